//! What was said during a trace: log lines, and the events of its spans, by time.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::batches::Batches;
use crate::{
    model::{Event, Id, Link, LogLine, Span},
    store::{Error, Store},
};

/// A log line of a trace, or of a batch that took records of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Said {
    #[serde(flatten)]
    pub(crate) line: LogLine,
    /// How many records the batch had of which this was said.
    pub(crate) batch_records: Option<i64>,
}

/// Reads the log lines of a trace, whatever their time, and the events of its spans among them; those of
/// the batches that took records of it too, but for what was said of other records alone.
pub(crate) fn read(store: &dyn Store, trace_id: Id) -> Result<Vec<Said>, Error> {
    let batches = Batches::follow(store, trace_id, |_| true)?;
    let own = trace_id.to_string();
    let spans = batches.spans.iter().filter(|span| span.trace_id == own);
    let mut said = of_trace(store, trace_id, spans, None)?;
    for batch in &batches.all {
        let mut of_batch =
            of_trace(store, batch.trace_id, batch.spans.iter(), Some(batch.records))?;
        of_batch.retain(|said| {
            let (trace_id, span_id) = (said.line.trace_id.clone(), said.line.span_id.clone());
            let span = trace_id.zip(span_id);
            span.is_none_or(|(trace_id, span_id)| !batches.others.has(&Link { trace_id, span_id }))
        });
        said.extend(of_batch);
    }
    said.sort_by_key(|said| said.line.time);
    Ok(said)
}

fn of_trace<'b>(
    store: &dyn Store,
    trace_id: Id,
    spans: impl Iterator<Item = &'b Span>,
    batch_records: Option<i64>,
) -> Result<Vec<Said>, Error> {
    let mut lines = store.logs(trace_id)?;
    for span in spans {
        lines.extend(span.events.iter().map(|event| line(span, event)));
    }
    Ok(lines.into_iter().map(|line| Said { line, batch_records }).collect())
}

fn line(span: &Span, event: &Event) -> LogLine {
    let text = |key: &str| event.attributes.get(key).and_then(Json::as_str);
    // Exceptions have a form of their own (semantic conventions, "Exceptions on spans").
    let is_exception = event.name == "exception";
    let parts = [text("exception.type"), text("exception.message")];
    let message = match is_exception {
        true => parts.into_iter().flatten().collect::<Vec<_>>().join(": "),
        false => event.name.clone(),
    };
    let mut attributes = event.attributes.clone();
    if is_exception {
        attributes.remove("exception.type");
        attributes.remove("exception.message");
    }
    LogLine {
        trace_id: Some(span.trace_id.clone()),
        span_id: Some(span.span_id.clone()),
        time: event.time,
        level: if is_exception { "ERROR" } else { "INFO" }.to_owned(),
        service: span.service.clone(),
        message,
        attributes,
    }
}

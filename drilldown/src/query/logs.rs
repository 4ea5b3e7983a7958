//! What was said during a trace: log lines, and the events of its spans, by time.

use serde_json::Value as Json;

use crate::{
    model::{Event, Id, LogLine, Span},
    store::{Error, Store},
};

/// Reads the log lines of a trace, whatever their time, and the events of its spans among them.
pub(crate) fn read(store: &dyn Store, trace_id: Id) -> Result<Vec<LogLine>, Error> {
    let mut lines = store.logs(trace_id)?;
    let own = trace_id.to_string();
    for span in store.spans(trace_id)?.into_iter().filter(|span| span.trace_id == own) {
        lines.extend(span.events.iter().map(|event| line(&span, event)));
    }
    lines.sort_by_key(|line| line.time);
    Ok(lines)
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

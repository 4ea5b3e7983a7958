//! What `tracing` users write: log lines that carry the ids, and spans that nest below the hops.

mod fields;
mod spans;

pub use spans::SpanLayer;

use std::{cell::RefCell, io::Write};

use tracing::{Event, Subscriber, span};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    hop::{Level, Log, Recorder, now},
    otel,
};

use fields::Fields;

/// How lines look.
#[derive(Clone, Debug, Default)]
pub enum LineFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// `[action] [trace_id=…] message key=value`.
    Text {
        /// What stands in the first brackets.
        action: String,
    },
}

type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// A layer that writes every event as a line with the ids of the current hop, and records it for
/// export.
///
/// Fields of the spans around an event stand on its line too; the event's own come last.
///
/// # Examples
///
/// ```
/// use tracebaton::log::LogLayer;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(LogLayer::default());
/// tracing::subscriber::with_default(subscriber, || tracing::info!(count = 3, "made"));
/// ```
pub struct LogLayer {
    recorder: Recorder,
    format: LineFormat,
    sink: Sink,
}

impl Default for LogLayer {
    /// Writes JSON to stdout and records for the process. A stdout that is gone is not an error.
    fn default() -> Self {
        let stdout = |line: &str| {
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
        };
        Self {
            recorder: Recorder::global().clone(),
            format: LineFormat::Json,
            sink: Box::new(stdout),
        }
    }
}

impl LogLayer {
    /// Sets how lines look.
    #[must_use]
    pub fn with_format(mut self, format: LineFormat) -> Self {
        self.format = format;
        self
    }

    /// Records with `recorder` instead of the process's.
    #[must_use]
    pub fn with_recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = recorder.clone();
        self
    }

    /// Gives lines to `sink` instead of stdout.
    #[must_use]
    pub fn with_sink(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.sink = Box::new(sink);
        self
    }
}

/// Makes JSON lines on stdout the process's log, and records the spans of `#[instrument]`; both are
/// filtered by `RUST_LOG` (`info` where it is unset).
///
/// # Errors
///
/// Returns an error where the process has a subscriber already.
pub fn init() -> Result<(), tracing_subscriber::util::TryInitError> {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    let layers = SpanLayer::default().and_then(LogLayer::default());
    tracing_subscriber::registry().with(filter).with(layers).try_init()
}

/// The fields of a span, for the lines inside it.
struct SpanFields(Fields);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = cx.span(id) {
            span.extensions_mut().replace(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        // A sink may log itself: it then finds this memory in use, and takes fresh.
        let is_done = MEMORY.try_with(|memory| {
            let mut memory = memory.try_borrow_mut().ok()?;
            let Memory { fields, line } = &mut *memory;
            self.say(event, &cx, fields, line);
            if line.capacity() > MAX_KEPT {
                *memory = Memory::default();
            }
            Some(())
        });
        // A thread that is about to end has none any more.
        if !matches!(is_done, Ok(Some(()))) {
            self.say(event, &cx, &mut Fields::default(), &mut String::new());
        }
    }
}

impl LogLayer {
    /// Writes an event by means of this memory, and records it.
    fn say<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        cx: &Context<'_, S>,
        fields: &mut Fields,
        line: &mut String,
    ) {
        fields.clear();
        line.clear();
        for span in cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(outer)) = span.extensions().get() {
                for (key, value) in &outer.pairs {
                    fields.put(key, value.clone());
                }
            }
        }
        event.record(fields);
        let log = Log {
            level: level(*event.metadata().level()),
            message: &fields.message,
            fields: &fields.pairs,
        };
        let baton = otel::current();
        // The same moment in both.
        let time = now();
        self.recorder.log_at(time, &log, baton.as_ref());
        match &self.format {
            LineFormat::Json => {
                log.write_json_at(time, self.recorder.service(), baton.as_ref(), line);
            }
            LineFormat::Text { action } => log.write_text(action, baton.as_ref(), line),
        }
        (self.sink)(line);
    }
}

/// A line longer than this does not leave its memory behind.
const MAX_KEPT: usize = 16 << 10;

thread_local! {
    /// The memory of the thread's last line.
    static MEMORY: RefCell<Memory> = RefCell::default();
}

#[derive(Default)]
struct Memory {
    fields: Fields,
    line: String,
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

//! A log line that carries the ids: as OTLP, as JSON and as text, the same in every language.

use std::{
    cell::RefCell,
    fmt::{self, Write},
};

use super::{
    clock::now,
    json::{self, push_ascii},
    proto::Writer,
    template::fill_event_head,
    timestamp,
    value::{Value, encode_pair},
};
use crate::{
    propagate::Baton,
    wire::{SpanId, TraceId},
};

/// How much a log line matters (OpenTelemetry logs data model, "Severity Fields").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The finest steps.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What may need a look.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    /// Returns the name that lines and OTLP's `severity_text` use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// Returns OTLP's `severity_number`.
    const fn number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }
}

/// One log line.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: &'a str,
    /// The facts of it.
    pub fields: &'a [(&'a str, Value<'a>)],
}

impl Log<'_> {
    /// Appends this as field `log_records` of a `ScopeLogs` (opentelemetry-proto, `logs.proto`).
    pub(crate) fn encode(&self, time: u64, baton: Option<&Baton>, buffer: &mut Vec<u8>) {
        Writer::new(buffer).message_of(2, self.is_short(baton), |log| {
            let context = baton.and_then(|baton| baton.context);
            match context {
                Some(context) if context.span_id.is_some() => {
                    log.filled(&[0; 51], |head| fill_event_head(head, time, &context));
                }
                context => {
                    log.fixed64(1, time);
                    log.fixed64(11, time);
                    if let Some(context) = context {
                        log.fixed32(8, u32::from(context.flags.bits()));
                        log.bytes(9, &context.trace_id.to_bytes());
                    }
                }
            }
            log.uint(2, u64::from(self.level.number()));
            log.text(3, self.level.as_str());
            Value::from(self.message).encode(log, 5);
            for (key, value) in self.fields {
                encode_pair(log, 6, key, value);
            }
            if let Some(legacy) = baton.and_then(Baton::legacy_text) {
                encode_pair(log, 6, "tracebaton.legacy_id", &Value::from(legacy));
            }
        });
    }

    /// Tells whether the record is most likely shorter than 128 bytes.
    fn is_short(&self, baton: Option<&Baton>) -> bool {
        let fields = self.fields.iter().map(|(key, value)| match value {
            Value::Text(text) => key.len() + text.len() + 8,
            _ => key.len() + 10,
        });
        let has_ids = baton.is_some_and(|baton| baton.context.is_some());
        let ids = if has_ids { 33 } else { 0 };
        self.message.len() + ids + fields.sum::<usize>() < 128 - 34
    }

    /// Appends the line as one JSON object and a newline.
    ///
    /// `timestamp`, `level`, `service`, `message`, `trace_id`, `span_id` and `legacy_id` stand at
    /// the top level in this order, then the fields; a field that has one of those names gets a
    /// trailing underscore.
    pub fn write_json(&self, service: &str, baton: Option<&Baton>, out: &mut String) {
        self.write_json_at(now(), service, baton, out);
    }

    /// Appends the line of a moment as one JSON object and a newline.
    pub(crate) fn write_json_at(
        &self,
        time: u64,
        service: &str,
        baton: Option<&Baton>,
        out: &mut String,
    ) {
        out.reserve(USUAL);
        out.push_str("{\"timestamp\":\"");
        timestamp::write(time, out);
        out.push_str("\",\"level\":\"");
        out.push_str(self.level.as_str());
        out.push_str("\",\"service\":\"");
        json::escape(service, out);
        out.push_str("\",\"message\":\"");
        json::escape(self.message, out);
        out.push('"');
        if let Some(context) = baton.and_then(|baton| baton.context) {
            json_ids(context.trace_id, context.span_id, out);
        }
        if let Some(legacy) = baton.and_then(Baton::legacy_text) {
            out.push_str(",\"legacy_id\":");
            json::text(legacy, out);
        }
        for (key, value) in self.fields {
            out.push_str(",\"");
            json::escape(key, out);
            if RESERVED.contains(key) {
                out.push('_');
            }
            out.push_str("\":");
            json::value(value, out);
        }
        out.push_str("}\n");
    }

    /// Appends the line as `[action] [trace_id=…] message key=value` and a newline.
    ///
    /// The id is the legacy text where there is one: it is what the client knows.
    pub fn write_text(&self, action: &str, baton: Option<&Baton>, out: &mut String) {
        if !action.is_empty() {
            let _ = write!(out, "[{}] ", Plain(action));
        }
        if let Some(legacy) = baton.and_then(Baton::legacy_text) {
            let _ = write!(out, "[trace_id={legacy}] ");
        } else if let Some(context) = baton.and_then(|baton| baton.context) {
            let _ = write!(out, "[trace_id={}] ", context.trace_id);
        }
        let _ = write!(out, "{}", Plain(self.message));
        for (key, value) in self.fields {
            let _ = write!(out, " {}=", Plain(key));
            json::value(value, out);
        }
        out.push('\n');
    }
}

/// Most lines are shorter.
const USUAL: usize = 256;

thread_local! {
    /// The ids this thread wrote last, as they stand on a line: a span writes many lines.
    static IDS: RefCell<Option<(TraceId, Option<SpanId>, String)>> = const { RefCell::new(None) };
}

/// Appends the ids as members of an object.
fn json_ids(trace_id: TraceId, span_id: Option<SpanId>, out: &mut String) {
    let known = |known: &mut Option<(TraceId, Option<SpanId>, String)>, out: &mut String| {
        let (known_trace, known_span, text) =
            known.get_or_insert_with(|| (trace_id, span_id, String::new()));
        if text.is_empty() || (*known_trace, *known_span) != (trace_id, span_id) {
            (*known_trace, *known_span) = (trace_id, span_id);
            text.clear();
            text.push_str(",\"trace_id\":\"");
            push_ascii(&trace_id.to_hex(), text);
            if let Some(span_id) = span_id {
                text.push_str("\",\"span_id\":\"");
                push_ascii(&span_id.to_hex(), text);
            }
            text.push('"');
        }
        out.push_str(text);
    };
    if IDS.try_with(|ids| known(&mut ids.borrow_mut(), out)).is_err() {
        // A thread that is ending remembers nothing.
        known(&mut None, out);
    }
}

const RESERVED: [&str; 7] =
    ["timestamp", "level", "service", "message", "trace_id", "span_id", "legacy_id"];

/// A text on one line: control characters are written as their escapes.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            if char.is_control() {
                write!(f, "{}", char.escape_default())?;
            } else {
                f.write_char(char)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_parse_whatever_is_in_them() {
        let fields = [
            ("level", Value::from("mine")),
            ("bad\"key\u{1b}", Value::from(f64::NAN)),
            ("raw", Value::from(&b"\x00\xff"[..])),
        ];
        let log = Log { level: Level::Warn, message: "a\u{9b}\n\"b\"", fields: &fields };
        let mut line = String::new();
        log.write_json("shop", None, &mut line);
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "a\u{9b}\n\"b\"");
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["level_"], "mine");
        assert_eq!(value["raw"], "00ff");
        assert!(!line.contains('\u{1b}') && !line.contains('\u{9b}'));
    }

    #[test]
    fn whether_a_record_is_short_is_guessed_right_but_for_a_few_bytes() {
        let fields = [("topic", Value::from("orders")), ("offset", Value::from(7))];
        for length in 0..200 {
            let message = "x".repeat(length);
            for fields in [&fields[..], &[]] {
                let log = Log { level: Level::Info, message: &message, fields };
                let mut bytes = Vec::new();
                log.encode(1, None, &mut bytes);
                if !(120..140).contains(&bytes.len()) {
                    assert_eq!(log.is_short(None), bytes.len() < 130, "{length}");
                }
            }
        }
    }

    #[test]
    fn text_lines_stay_on_one_line() {
        let log = Log { level: Level::Info, message: "one\ntwo\u{1b}[31m", fields: &[] };
        let mut line = String::new();
        log.write_text("Transform", None, &mut line);
        assert_eq!(line, "[Transform] one\\ntwo\\u{1b}[31m\n");
    }
}

//! Log lines that carry the ids of the current hop.

use std::{
    cell::RefCell,
    io::{ErrorKind, Write},
    thread,
    time::{Duration, Instant},
};

use napi_derive::napi;
use serde_json::Value as Json;
use tracebaton::{
    hop::{Level, Log, Recorder, Value},
    propagate,
};

use crate::baton::{Baton, wrong};

/// What is the same on every line of a logger.
struct Logger {
    action: Option<String>,
    is_text: bool,
}

thread_local! {
    static LOGGERS: RefCell<Vec<Logger>> = const { RefCell::new(Vec::new()) };
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps a logger and returns its number. `is_text` asks for `[action] [trace_id=…] message` instead
/// of JSON.
#[napi]
pub fn logger_number(action: Option<String>, is_text: bool) -> u32 {
    LOGGERS.with_borrow_mut(|loggers| {
        let known = |one: &Logger| one.action == action && one.is_text == is_text;
        let at = loggers.iter().position(known).unwrap_or_else(|| {
            loggers.push(Logger { action: action.clone(), is_text });
            loggers.len() - 1
        });
        u32::try_from(at).unwrap_or_default()
    })
}

/// Writes a line to stdout and records it for export; `fields` is a JSON object.
///
/// # Errors
///
/// Throws for a logger or a level that there is none of, or fields that are not an object.
#[napi]
pub fn log(
    logger: u32,
    level: u32,
    message: String,
    fields: Option<String>,
    baton: Option<&Baton>,
) -> napi::Result<()> {
    let fields = fields.as_deref().map(str::as_bytes);
    write(logger, level, &message, fields, baton.map(|Baton(baton)| baton))
        .ok_or_else(|| wrong("there is no such logger or level, or fields are no object"))
}

/// The same, for whoever has the parts at hand.
pub(crate) fn write(
    logger: u32,
    level: u32,
    message: &str,
    fields: Option<&[u8]>,
    baton: Option<&propagate::Baton>,
) -> Option<()> {
    let (level, fields) = (read_level(level)?, read_fields(fields)?);
    LOGGERS.with_borrow(|loggers| {
        let Logger { action, is_text } = loggers.get(logger as usize)?;
        let named = action.as_deref().filter(|_| !is_text).map(|action| ("action", action.into()));
        let is_named = named.is_some();
        let own = fields.iter().map(|(key, value)| match key.as_str() {
            // As with a field that has the name of an id.
            "action" if is_named => ("action_", attribute(value)),
            key => (key, attribute(value)),
        });
        let fields: Vec<(&str, Value<'_>)> = named.into_iter().chain(own).collect();
        let log = Log { level, message, fields: &fields };
        let recorder = Recorder::global();
        recorder.log(&log, baton);
        LINE.with_borrow_mut(|line| {
            line.clear();
            match is_text {
                true => log.write_text(action.as_deref().unwrap_or_default(), baton, line),
                false => log.write_json(recorder.service(), baton, line),
            }
            print(line.as_bytes());
        });
        Some(())
    })
}

/// Records a line for export that another logger prints.
///
/// # Errors
///
/// Throws for a level that there is none of, or fields that are not an object.
#[napi]
pub fn record(
    level: u32,
    message: String,
    fields: Option<String>,
    baton: Option<&Baton>,
) -> napi::Result<()> {
    let problem = || wrong("there is no such level, or fields are no object");
    let level = read_level(level).ok_or_else(problem)?;
    let fields = read_fields(fields.as_deref().map(str::as_bytes)).ok_or_else(problem)?;
    let fields: Vec<(&str, Value<'_>)> =
        fields.iter().map(|(key, value)| (key.as_str(), attribute(value))).collect();
    let log = Log { level, message: &message, fields: &fields };
    Recorder::global().log(&log, baton.map(|Baton(baton)| baton));
    Ok(())
}

fn read_level(number: u32) -> Option<Level> {
    let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
    levels.get(number as usize).copied()
}

fn read_fields(fields: Option<&[u8]>) -> Option<serde_json::Map<String, Json>> {
    fields.map_or_else(|| Some(serde_json::Map::new()), |text| serde_json::from_slice(text).ok())
}

/// How long a stdout that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes to stdout. One that is gone is no error of the line's writer; one that takes nothing at
/// the moment (Node makes some pipes non-blocking) gets a second to recover, so that no line is cut.
fn print(mut line: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let mut since = None;
    let mut waits = |error: &std::io::Error| {
        let start = *since.get_or_insert_with(Instant::now);
        let waits = error.kind() == ErrorKind::WouldBlock && start.elapsed() < PATIENCE;
        if waits {
            thread::sleep(Duration::from_millis(1));
        }
        waits || error.kind() == ErrorKind::Interrupted
    };
    while !line.is_empty() {
        match stdout.write(line) {
            Ok(0) => return,
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if waits(&error) => {}
            Err(_) => return,
        }
    }
    while let Err(error) = stdout.flush()
        && waits(&error)
    {}
}

fn attribute(value: &Json) -> Value<'_> {
    match value {
        Json::String(text) => text.as_str().into(),
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (_, Some(fraction)) => fraction.into(),
            _ => number.to_string().into(),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => value.to_string().into(),
    }
}

//! Log lines that carry the ids of the current hop.

use std::{
    io::{ErrorKind, Write},
    thread,
    time::{Duration, Instant},
};

use napi_derive::napi;
use serde_json::Value as Json;
use tracebaton::hop::{Level, Log, Recorder, Value};

use crate::baton::{Baton, wrong};

const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a line to stdout and records it for export. `fields` is a JSON object; `text` asks for
/// `[action] [trace_id=…] message` instead of JSON.
///
/// # Errors
///
/// Throws for a level that there is none of, or fields that are not an object.
#[napi]
pub fn log(
    level: String,
    action: Option<String>,
    message: String,
    fields: Option<String>,
    baton: Option<&Baton>,
    text: bool,
) -> napi::Result<()> {
    let (level, fields) = (read_level(&level)?, read_fields(fields)?);
    let own = fields.iter().map(|(key, value)| (key.as_str(), attribute(value)));
    let named = action.as_deref().filter(|_| !text).map(|action| ("action", action.into()));
    let fields: Vec<(&str, Value<'_>)> = named.into_iter().chain(own).collect();
    let log = Log { level, message: &message, fields: &fields };
    let baton = baton.map(|Baton(baton)| baton);
    let recorder = Recorder::global();
    recorder.log(&log, baton);
    let mut line = String::with_capacity(256);
    if text {
        log.write_text(action.as_deref().unwrap_or_default(), baton, &mut line);
    } else {
        log.write_json(recorder.service(), baton, &mut line);
    }
    print(line.as_bytes());
    Ok(())
}

/// Records a line for export that another logger prints.
///
/// # Errors
///
/// Throws for a level that there is none of, or fields that are not an object.
#[napi]
pub fn record(
    level: String,
    message: String,
    fields: Option<String>,
    baton: Option<&Baton>,
) -> napi::Result<()> {
    let (level, fields) = (read_level(&level)?, read_fields(fields)?);
    let fields: Vec<(&str, Value<'_>)> =
        fields.iter().map(|(key, value)| (key.as_str(), attribute(value))).collect();
    let log = Log { level, message: &message, fields: &fields };
    Recorder::global().log(&log, baton.map(|Baton(baton)| baton));
    Ok(())
}

fn read_level(name: &str) -> napi::Result<Level> {
    Ok(match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => return Err(wrong("level must be trace, debug, info, warn or error")),
    })
}

fn read_fields(fields: Option<String>) -> napi::Result<serde_json::Map<String, Json>> {
    match fields.map(|text| serde_json::from_str(&text)) {
        None => Ok(serde_json::Map::new()),
        Some(Ok(Json::Object(fields))) => Ok(fields),
        Some(_) => Err(wrong("fields must be an object")),
    }
}

/// Writes to stdout. One that is gone is no error of the line's writer; one that takes nothing at
/// the moment (Node makes some pipes non-blocking) gets a second to recover, so that no line is cut.
fn print(mut line: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let start = Instant::now();
    while !line.is_empty() {
        match stdout.write(line) {
            Ok(0) => return,
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return,
        }
    }
    while let Err(error) = stdout.flush()
        && error.kind() == ErrorKind::WouldBlock
        && start.elapsed() < PATIENCE
    {
        thread::sleep(Duration::from_millis(1));
    }
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

//! The events to send, cut into requests as a shop's front end would send them.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

/// How many records requests have, in turn.
const SIZES: [usize; 5] = [1, 12, 5, 30, 3];

/// The records of one request.
pub(crate) struct Request {
    pub(crate) records: Vec<Value>,
}

impl Request {
    /// Returns the body: a lone record as an object, several as an array.
    pub(crate) fn body(&self) -> String {
        match self.records.as_slice() {
            [only] => only.to_string(),
            several => Value::from(several).to_string(),
        }
    }
}

/// Reads a file of one JSON value a line. Its last five records go alone, so that each has a verdict
/// of its own.
pub(crate) fn read(path: Option<PathBuf>) -> anyhow::Result<Vec<Request>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("events.jsonl");
    let path = path.unwrap_or(own);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("EVENTS: cannot read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(at, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("EVENTS: {}:{} is not JSON", path.display(), at + 1))
    });
    let mut records = records.collect::<anyhow::Result<Vec<Value>>>()?;
    ensure!(!records.is_empty(), "EVENTS: {} holds no record", path.display());
    let alone = records.split_off(records.len().saturating_sub(5));
    let mut requests = Vec::new();
    let mut rest = records.into_iter();
    for size in SIZES.into_iter().cycle() {
        let records: Vec<Value> = rest.by_ref().take(size).collect();
        if records.is_empty() {
            break;
        }
        requests.push(Request { records });
    }
    requests.extend(alone.into_iter().map(|record| Request { records: vec![record] }));
    Ok(requests)
}

//! Runs the committed vectors, and every file named in `TRACEBATON_VECTORS`.

use std::{env, fs, path::PathBuf};

use serde_json::Value;
use tracebaton::{
    carrier::{List, Medium},
    propagate::{Extracted, Format, Propagation},
    wire::LegacyId,
};

fn read(format: Format, headers: &Value) -> Extracted {
    let pair =
        |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().map(str::to_owned));
    let headers = headers.as_array().unwrap().iter().map(pair);
    let list = List::new(Medium::Http, headers);
    Propagation::default().with_read([format]).extract(&list)
}

/// Says what was read in the vectors' own words.
fn outcome(format: Format, extracted: &Extracted) -> Value {
    let baton = &extracted.baton;
    let context = baton.context;
    let entry = |entry: &tracebaton::wire::BaggageEntry| {
        serde_json::json!([entry.key, entry.value, entry.properties])
    };
    let entries: Vec<Value> = baton.baggage.entries().iter().map(entry).collect();
    let is_valid = match format {
        Format::Baggage => !entries.is_empty(),
        _ => context.is_some(),
    };
    serde_json::json!({
        "valid": is_valid,
        "trace_id": context.map(|cx| cx.trace_id.to_string()),
        "span_id": context.and_then(|cx| cx.span_id).map(|id| id.to_string()),
        "flags": context.map(|cx| cx.flags.bits()),
        "tracestate": baton.tracestate.as_str(),
        "baggage": entries,
        "debug": baton.is_debug,
        "deferred": baton.is_deferred,
    })
}

fn agrees(expected: &Value, actual: &Value) -> bool {
    let fields = expected.as_object().unwrap();
    fields.iter().all(|(key, want)| want.is_null() || actual.get(key) == Some(want))
}

/// Returns the outcomes that are right; none where a row leaves it open and does not say what is ours.
fn allowed(row: &Value) -> Vec<&Value> {
    let is_open = row["verdict"] == "open" || row["level"] == "MAY" || row["level"] == "undefined";
    let is_contrary = row["verdict"] == "contrary" && row.get("spec_expected").is_none();
    let expected = row.get("spec_expected").unwrap_or(&row["expected"]);
    match row.get("ours") {
        Some(Value::String(word)) if word == "expected" => vec![expected],
        Some(ours) => vec![ours],
        None if is_open || is_contrary => Vec::new(),
        None => {
            let also = row.get("also_ok").and_then(Value::as_array).into_iter().flatten();
            std::iter::once(expected).chain(also).collect()
        }
    }
}

fn passes(row: &Value) -> bool {
    if let Some(raw) = row.get("raw") {
        let id = LegacyId::parse(raw.as_str().unwrap()).ok().flatten();
        let trace_id = id.map(|id| Value::String(id.trace_id().to_string()));
        return trace_id.unwrap_or(Value::Null) == row["trace_id"];
    }
    let format: Format = row["format"].as_str().unwrap().parse().unwrap();
    let actual = outcome(format, &read(format, &row["headers"]));
    let allowed = allowed(row);
    allowed.is_empty() || allowed.iter().any(|expected| agrees(expected, &actual))
}

fn rows(path: &PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{path:?}: {error}")))
        .collect()
}

/// Runs one file, prints its line, and returns how many rows were run.
fn run(path: &PathBuf) -> usize {
    let rows = rows(path);
    let name = |row: &Value| row.get("id").or(row.get("raw")).unwrap().to_string();
    let failed: Vec<String> = rows.iter().filter(|row| !passes(row)).map(name).collect();
    println!(
        "{}: {} of {} passed {failed:?}",
        path.display(),
        rows.len() - failed.len(),
        rows.len()
    );
    assert!(failed.is_empty(), "{}: {failed:?}", path.display());
    rows.len()
}

#[test]
fn every_committed_vector_passes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let counts = ["peers.jsonl", "probes.jsonl", "legacy_map.jsonl"].map(|f| run(&folder.join(f)));
    assert_eq!(counts, [297, 78, 25], "the committed files have changed");
}

#[test]
fn every_committed_vector_says_what_is_right_or_what_is_ours_and_why() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let rows: Vec<Value> =
        ["peers.jsonl", "probes.jsonl"].iter().flat_map(|file| rows(&folder.join(file))).collect();
    let silent: Vec<_> = rows.iter().filter(|row| allowed(row).is_empty()).collect();
    assert!(silent.is_empty(), "{silent:?}");
    let ours = rows.iter().filter(|row| row.get("ours").is_some());
    assert_eq!(ours.clone().count(), 51);
    assert!(ours.clone().all(|row| row["why"].as_str().is_some_and(|why| !why.is_empty())));
}

#[test]
fn vectors_from_elsewhere_pass_too() {
    let paths = env::var("TRACEBATON_VECTORS").unwrap_or_default();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        assert!(run(&path.into()) > 0, "{path} holds no vector");
    }
}

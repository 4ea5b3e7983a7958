//! Telemetry comes from anybody: nothing in it reaches the terminal that a terminal would act upon.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Status, status::StatusCode};

use crate::support::*;

/// Clears the screen, sets a title, turns the direction of writing, goes back in the line.
const EVIL: &str = "a\u{1b}[2Jb\u{1b}]0;title\u{7}c\u{9b}31md\u{202e}e\rf\ng\u{2066}h\u{7f}";

#[test]
fn control_characters_of_telemetry_stay_out_of_the_terminal() {
    let server = Server::start();
    let evil = |key: &str| attribute(key, Value::StringValue(EVIL.into()));
    let mut span = span(1, 1);
    span.name = EVIL.into();
    span.status = Some(Status { message: EVIL.into(), code: StatusCode::Error.into() });
    span.attributes = vec![evil(EVIL)];
    server.send_spans(vec![span]);
    let mut line = log(1, EVIL);
    line.attributes = vec![evil(EVIL)];
    let refused = attribute("tracebaton.records.failed", Value::IntValue(1));
    let event = vec![
        evil("tracebaton.hop.name"),
        evil("tracebaton.reason"),
        evil("error.type"),
        evil("messaging.destination.name"),
        evil("messaging.consumer.group.name"),
        evil("tracebaton.batch.id"),
        refused,
    ];
    let events = ["receive", "send", "process", "insert"].map(|kind| hop(1, kind, event.clone()));
    server.send_logs([&[line][..], &events].concat());
    let id = hex(&trace_id(1));
    let evil_id = format!("order{EVIL}");
    for id in [&id, &evil_id] {
        for command in ["trace", "logs", "diagnose"] {
            for more in [&[][..], &["--json"]] {
                let output = server.cli(&[&[command, id.as_str()], more].concat());
                for char in output.stdout.chars().chain(output.stderr.chars()) {
                    let is_safe = char == '\n'
                        || !(char.is_control()
                            || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
                    assert!(is_safe, "{command} {more:?} printed {char:?}");
                }
            }
        }
    }
    // As JSON the values are whole nevertheless.
    assert_eq!(server.cli(&["logs", &id, "--json"]).json()[0]["message"], EVIL);
}

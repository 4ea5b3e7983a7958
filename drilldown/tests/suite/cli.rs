//! The command line: what it prints, and how it ends.

use std::{fs, net::TcpListener};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    trace::v1::{
        Span,
        span::{Event, Link},
    },
};

use crate::support::*;

fn number(key: &str, number: i64) -> KeyValue {
    attribute(key, Value::IntValue(number))
}

fn word(key: &str, word: &str) -> KeyValue {
    attribute(key, Value::StringValue(word.into()))
}

/// Where a record was read.
fn place(topic: &str) -> Vec<KeyValue> {
    vec![
        word("messaging.destination.name", topic),
        word("messaging.destination.partition.id", "0"),
        number("messaging.kafka.offset", 7),
    ]
}

fn read(trace: u64, topic: &str, group: &str, kind: &str, fate: &str) -> Vec<KeyValue> {
    let mut attributes = place(topic);
    attributes.push(word("messaging.consumer.group.name", group));
    attributes
        .push(word("tracebaton.hop.name", if kind == "insert" { "shop.orders" } else { topic }));
    attributes.push(word("tracebaton.reason", "because"));
    attributes.push(word("tracebaton.batch.id", &format!("b{trace}")));
    if !fate.is_empty() {
        attributes.push(number(&format!("tracebaton.records.{fate}"), 1));
    }
    attributes
}

#[test]
fn the_exit_code_is_the_class_of_the_verdict() {
    let server = Server::start();
    let received = |trace, fate: &str| {
        let attributes = vec![
            word("tracebaton.hop.name", "/ingest/{topic}"),
            number(&format!("tracebaton.records.{fate}"), 1),
            number("http.response.status_code", if fate == "failed" { 400 } else { 200 }),
        ];
        hop(trace, "receive", attributes)
    };
    let at_hop =
        |trace, kind: &str, fate: &str| hop(trace, kind, read(trace, "users", "sync", kind, fate));
    let mut waiting = place("nobody-reads-this");
    waiting.push(number("tracebaton.records.emitted", 1));
    let events = vec![
        (at_hop(1, "insert", "passed"), 0, "INSERTED"),
        (at_hop(2, "process", "filtered"), 0, "FILTERED"),
        (at_hop(3, "process", "failed"), 10, "TRANSFORM_FAILED_LOST"),
        (received(4, "failed"), 10, "REJECTED_HTTP"),
        (at_hop(5, "process", "dead_lettered"), 11, "TRANSFORM_FAILED_DLQ"),
        (at_hop(6, "insert", "failed"), 11, "DROPPED_AT_MAPPING"),
        (
            hop(7, "send", [place("users"), vec![number("tracebaton.records.failed", 1)]].concat()),
            12,
            "PARTIAL_PRODUCE",
        ),
        (hop(8, "send", waiting), 13, "PRODUCED_NOT_CONSUMED"),
        (at_hop(9, "insert", ""), 13, "BATCH_BLOCKED"),
        (received(10, "passed"), 15, "INCONCLUSIVE"),
    ];
    let logs = events.iter().map(|(event, ..)| event.clone()).collect();
    assert_eq!(server.send_logs(logs).status, 200);
    for (event, code, verdict) in events {
        let id = hex(&event.trace_id);
        let output = server.cli(&["diagnose", &id]);
        assert_eq!(output.code, code, "{}", output.stdout);
        assert_eq!(output.stdout.lines().next().unwrap(), format!("{verdict}  {id}"));
        let output = server.cli(&["diagnose", &id, "--json"]);
        assert_eq!((output.code, &output.json()["verdict"]), (code, &verdict.into()));
        assert_eq!(output.json()["findings"][0]["verdict"], verdict);
    }
    for (id, code, verdict) in [
        ("order-of-nobody", 14, "UNKNOWN_ID"),
        ("not an id", 14, "ID_MALFORMED"),
        ("-", 14, "ID_MALFORMED"),
        ("fffffffffffe7000a000000000000001", 14, "ID_IN_FUTURE"),
        ("0000000000017000a000000000000001", 14, "BEFORE_RETENTION"),
    ] {
        let output = server.cli(&["diagnose", id, "--json"]);
        assert_eq!((output.code, &output.json()["verdict"]), (code, &verdict.into()));
        assert_eq!(output.json()["id"], id);
    }
}

#[test]
fn an_option_that_there_is_none_of_is_no_id() {
    let server = Server::start();
    for command in ["trace", "logs", "diagnose"] {
        let output = server.cli(&[command, "--jsn"]);
        assert_eq!(output.code, 2, "{}", output.stdout);
        assert!(output.stderr.contains("--json"), "{}", output.stderr);
    }
    // An id that looks like one says so.
    let url = server.url();
    let output = cli(&["diagnose", "--json", "--server", &url, "--", "-order"]);
    assert_eq!((output.code, &output.json()["id"]), (14, &"-order".into()));
}

#[test]
fn the_store_itself_gives_the_same_answers_as_the_server() {
    let server = Server::start();
    server.send_spans(vec![span(1, 1), span(1, 2)]);
    server.send_logs(vec![
        log(1, "hello"),
        hop(1, "process", read(1, "users", "sync", "process", "filtered")),
    ]);
    let id = hex(&trace_id(1));
    for command in ["trace", "logs", "diagnose"] {
        for more in [&[][..], &["--json"]] {
            let asked = server.cli(&[&[command, &id], more].concat());
            let data = ["--data", folder(server.data.path())];
            let read = cli(&[&[command, &id], more, &data].concat());
            assert_eq!(
                (read.code, &read.stdout),
                (asked.code, &asked.stdout),
                "{command} {more:?}"
            );
            assert_eq!(asked.code, 0);
            assert!(!asked.stdout.is_empty());
        }
    }
}

#[test]
fn an_id_is_found_by_the_text_that_came_in() {
    let server = Server::start();
    let legacy = "01H3Z8X9Y2ABCDEFGHJKLMNPQR";
    let mapped = tracebaton::wire::LegacyId::parse(legacy).unwrap().unwrap().trace_id();
    let mut line = log(1, "found by its text");
    line.trace_id = mapped.to_bytes().to_vec();
    server.send_logs(vec![line]);
    let output = server.cli(&["logs", legacy]);
    assert!(output.stdout.ends_with("INFO  shop  found by its text\n"), "{}", output.stdout);
    let uuid = format!("{}-{}-{}-{}-{}", "abababab", "abab", "abab", "0000", "000000000001");
    server.send_logs(vec![log(1, "found by its UUID")]);
    assert!(server.cli(&["logs", &uuid]).stdout.contains("found by its UUID"));
}

#[test]
fn a_text_that_came_in_beside_another_trace_finds_that_trace() {
    let server = Server::start();
    for text in ["conf-1", "a/b|c:d+e=f@g", "..", "00000000000000000000000000000abc"] {
        let mut attributes = read(1, "users", "sync", "process", "filtered");
        attributes.push(word("tracebaton.legacy_id", text));
        server.send_logs(vec![log(1, "hello"), hop(1, "receive", attributes)]);
        server.send_spans(vec![span(1, 1)]);
        let data = ["--data", folder(server.data.path())];
        for place in [&["--server", &server.url()][..], &data] {
            let ask = |command| cli(&[&[command, text][..], place].concat());
            let output = ask("diagnose");
            let start = format!("FILTERED  {text}\n  trace {}\n", hex(&trace_id(1)));
            assert!(output.stdout.starts_with(&start), "{text}: {}", output.stdout);
            let output = ask("trace");
            let start = format!("trace {}   1 span", hex(&trace_id(1)));
            assert!(output.stdout.starts_with(&start), "{text}: {}", output.stdout);
            assert!(ask("logs").stdout.contains("hello"), "{text}");
        }
    }
    // A text that stands for a trace by itself means that one.
    let own = tracebaton::wire::LegacyId::parse("conf-1").unwrap().unwrap().trace_id();
    let line = log(1, "of its own");
    server.send_logs(vec![LogRecord { trace_id: own.to_bytes().to_vec(), ..line }]);
    assert!(server.cli(&["logs", "conf-1"]).stdout.ends_with("of its own\n"));
    // What is no legacy id, for instance one too long, is no way to find anything.
    let long = "x".repeat(129);
    server.send_logs(vec![hop(1, "receive", vec![word("tracebaton.legacy_id", &long)])]);
    assert_eq!(server.cli(&["diagnose", &long, "--json"]).json()["verdict"], "ID_MALFORMED");
}

#[test]
fn a_batch_of_another_trace_is_shown_where_it_links_to() {
    let server = Server::start();
    let linked = |trace, span: u64| Link {
        trace_id: trace_id(trace),
        span_id: span.to_be_bytes().to_vec(),
        ..Link::default()
    };
    let batch = Span { links: vec![linked(1, 1), linked(2, 7)], ..span(3, 9) };
    server.send_spans(vec![span(1, 1), batch, span(3, 10)]);
    let nodes = server.cli(&["trace", &hex(&trace_id(1)), "--json"]).json();
    assert_eq!(nodes.as_array().unwrap().len(), 2);
    assert_eq!(nodes[1]["is_linked"], true);
    assert_eq!(nodes[1]["span"]["links"][0][0], hex(&trace_id(1)));
    let text = server.cli(&["trace", &hex(&trace_id(1))]).stdout;
    assert!(text.lines().nth(2).unwrap().starts_with("  ⇢ span 9"), "{text}");
}

#[test]
fn a_record_that_came_with_a_legacy_id_alone_is_shown_in_its_batch() {
    let server = Server::start();
    let legacy = tracebaton::wire::LegacyId::parse("order-1042").unwrap().unwrap().trace_id();
    let members = [legacy.to_bytes().to_vec(), trace_id(7)].concat();
    let mut attributes = read(1, "users", "sync", "process", "passed");
    attributes.push(attribute("tracebaton.batch.traces", Value::BytesValue(members)));
    server.send_logs(vec![hop(2, "process", attributes), log(2, "summed up")]);
    let below = Span { parent_span_id: 1_u64.to_be_bytes().to_vec(), ..span(2, 2) };
    server.send_spans(vec![span(2, 1), below]);
    for place in [["--server", &server.url()], ["--data", folder(server.data.path())]] {
        let output = cli(&[&["trace", "order-1042"][..], &place].concat());
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert!(lines[0].starts_with(&format!("trace {legacy}   2 spans")), "{}", output.stdout);
        assert!(lines[1].starts_with("⇢ span 1 (batch of 2) "), "{}", output.stdout);
        assert!(lines[2].starts_with("  ⇢ span 2 "), "{}", output.stdout);
        assert_eq!(output.code, 0);
        let output = cli(&[&["logs", "order-1042"][..], &place].concat());
        assert!(output.stdout.ends_with("  ⇢ batch of 2: summed up\n"), "{}", output.stdout);
        assert_eq!(output.code, 0);
    }
}

#[test]
fn events_of_spans_stand_among_the_log_lines() {
    let server = Server::start();
    let mut span = span(1, 1);
    let event = |nanos: u64, name: &str, attributes: Vec<KeyValue>| Event {
        time_unix_nano: 1_767_960_000_123_000_000 + nanos,
        name: name.into(),
        attributes,
        ..Event::default()
    };
    let thrown = vec![word("exception.type", "KeyError"), word("exception.message", "user_id")];
    span.events = vec![event(1_000_000, "exception", thrown), event(0, "cache miss", Vec::new())];
    server.send_spans(vec![span]);
    server
        .send_logs(vec![log(1, "first"), LogRecord { time_unix_nano: u64::MAX, ..log(1, "last") }]);
    let lines = server.cli(&["logs", &hex(&trace_id(1))]).stdout;
    let lines: Vec<&str> = lines.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "INFO  shop  first",
            "INFO  shop  cache miss",
            "ERROR shop  KeyError: user_id",
            "INFO  shop  last"
        ]
    );
}

#[test]
fn what_is_not_there_ends_with_14_and_says_what_to_ask() {
    let server = Server::start();
    for (command, what) in [("trace", "spans"), ("logs", "log lines")] {
        let output = server.cli(&[command, "order-1"]);
        let more = "`tracebaton diagnose order-1` says more";
        let text = format!("tracebaton: there are no {what} of order-1; {more}\n");
        assert_eq!((output.code, output.stdout.as_str(), output.stderr), (14, "", text));
        let output = server.cli(&[command, "none"]);
        assert_eq!((output.code, output.stdout.as_str()), (1, ""));
        assert_eq!(output.stderr, "tracebaton: `none` is what writers send who have no id\n");
    }
}

/// Runs a command that has to fail at once, and returns its only line.
fn complaint(words: &[&str]) -> String {
    let output = cli(words);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    output.stderr
}

#[test]
fn a_server_that_is_not_there_is_one_clear_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let line = complaint(&["diagnose", "order-1", "--server", &url]);
    let start = format!(
        "tracebaton: no server answers at {url}; start `tracebaton serve`, or name one by --server: "
    );
    assert!(line.starts_with(&start), "{line}");
    let line = complaint(&["trace", "order-1", "--server", "https://127.0.0.1:1"]);
    assert_eq!(line, "tracebaton: --server: only http:// is spoken, not https://127.0.0.1:1\n");
    let line = complaint(&["trace", "order-1", "--server", "http://a b"]);
    assert!(line.starts_with("tracebaton: --server is not a URL: http://a b"), "{line}");
}

#[test]
fn a_folder_without_a_store_is_one_clear_line_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let line = complaint(&["diagnose", "order-1", "--data", path]);
    let text = "there is none; `tracebaton serve --data` makes one";
    assert_eq!(line, format!("tracebaton: cannot read the store in {path}: {text}\n"));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_file_that_is_no_store_is_one_clear_line_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let file = folder.path().join("telemetry.sqlite");
    let content = "a file of somebody else's".repeat(100);
    fs::write(&file, &content).unwrap();
    let words = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", path];
    let line = complaint(&words);
    let what = "file is not a database";
    assert_eq!(line, format!("tracebaton: cannot open the store in {path}: {what}\n"));
    let line = complaint(&["trace", "order-1", "--data", path]);
    assert_eq!(line, format!("tracebaton: cannot read the store in {path}: {what}\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), content);
}

#[test]
fn a_store_of_another_version_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("telemetry.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let line = complaint(&["trace", "order-1", "--data", path]);
    let what = "another version of tracebaton made it; choose another folder by --data";
    assert_eq!(line, format!("tracebaton: cannot read the store in {path}: {what}\n"));
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    for (own, other) in [("--grpc", "--http"), ("--http", "--grpc")] {
        let ports = ["serve", own, &address, other, "127.0.0.1:0"];
        let line = complaint(&[&ports[..], &data].concat());
        let start = format!("tracebaton: cannot listen on {address}; choose another by {own}: ");
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn a_second_server_on_a_store_is_one_clear_line() {
    let server = Server::start();
    let data = folder(server.data.path());
    let words = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data];
    let line = complaint(&words);
    let start = format!("tracebaton: cannot open the store in {data}: another `tracebaton serve`");
    assert!(line.starts_with(&start), "{line}");
    assert!(line.ends_with("has it open; stop that one, or choose another folder by --data\n"));
}

#[test]
fn listening_beyond_this_machine_has_to_be_meant() {
    let line = complaint(&["serve", "--http", "0.0.0.0:0"]);
    assert!(line.contains("say --insecure if that is meant"), "{line}");
}

#[test]
fn help_names_every_command_and_wrong_words_end_with_2() {
    let output = cli(&["--help"]);
    for command in ["serve", "trace", "logs", "diagnose"] {
        assert!(output.stdout.contains(&format!("\n  {command} ")), "{}", output.stdout);
    }
    assert_eq!(output.code, 0);
    assert_eq!(cli(&["nothing"]).code, 2);
    assert_eq!(cli(&["trace"]).code, 2);
}

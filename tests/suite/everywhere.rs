//! The id is everywhere: header, log line, span, ledger event, and the rows are there.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::process::Command;
use tracebaton_embedded::Part;
use tracebaton_tests::{Message, Relay, event, read_topic};

use crate::expected::{End, Event, sample};

const TOPICS: [&str; 6] = [
    "shop_events",
    "shop_events.dlq",
    "user_events",
    "user_events.dlq",
    "enriched_events",
    "enriched_events.dlq",
];

/// How many links a span has at most (OpenTelemetry SDK, `LinkCountLimit`).
const MAX_LINKS: usize = 128;

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_request_is_in_every_header_log_line_span_and_ledger_event() {
    let mut relay = Relay::start().await.unwrap();
    let events = sample();
    // Each event goes alone, so that its own trace tells all about it.
    let mut traces: BTreeMap<String, String> = BTreeMap::new();
    for event in &events {
        let answer = relay.post(&event.json, &[]).await.unwrap();
        let is_refused = event.end == End::Refused;
        assert_eq!(answer.status, if is_refused { 400 } else { 200 }, "{}", answer.body);
        assert_eq!(answer.trace_id().len(), 32);
        assert_eq!(answer.json().unwrap()["trace_id"], answer.trace_id());
        traces.insert(event.id.clone(), answer.trace_id().to_owned());
    }
    let ids: Vec<String> = traces.values().cloned().collect();
    assert_eq!(ids.len(), events.len(), "every event has an id of its own");
    let diagnoses = relay.settled(&ids).await.unwrap();

    let brokers = relay.stack.kafka().to_owned();
    let messages: Vec<Message> =
        TOPICS.iter().flat_map(|topic| read_topic(&brokers, topic).unwrap()).collect();
    in_every_header(&messages, &traces);
    every_message_is_where_it_should_be(&messages, &events);
    in_every_log_line(&mut relay, &traces, &events);
    let rows = relay.rows().await.unwrap();
    for event in &events {
        let wanted = if let End::Rows(count) = event.end { count } else { 0 };
        assert_eq!(
            rows.get(&event.id).copied().unwrap_or_default(),
            wanted,
            "rows of {}",
            event.id
        );
        let trace_id = &traces[&event.id];
        in_every_ledger_event(&diagnoses[trace_id], event);
        in_every_span(&relay.ask(trace_id, "").await.unwrap(), trace_id, event);
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_shown_to_records_for_which_its_span_has_no_link_left() {
    let mut relay = Relay::start().await.unwrap();
    relay.stack.take(Part::Sync).unwrap().kill().await.unwrap();
    let mut ids = Vec::new();
    for number in 0..MAX_LINKS + 22 {
        let answer = relay.post(&event(&format!("evt-{number}"), "cart_add"), &[]).await.unwrap();
        ids.push(answer.trace_id().to_owned());
    }
    // One that waits until it has them all.
    let mut patient = Command::new(relay.stack.layout().binary("sync").unwrap());
    patient.env("BATCH_SIZE", ids.len().to_string()).env("BATCH_MS", "60000");
    let mut sync = relay.stack.run("sync", patient).unwrap();
    sync.ready(Duration::from_secs(30)).await.unwrap();
    relay.settled(&ids).await.unwrap();
    let mut without_link = 0;
    for id in &ids {
        let nodes = relay.ask(id, "").await.unwrap();
        let nodes = nodes.as_array().unwrap();
        let insert = nodes.iter().find(|node| node["span"]["name"] == "INSERT shop.user_events");
        let insert = insert.unwrap_or_else(|| panic!("{id} has no insert: {nodes:#?}"));
        assert_eq!(insert["batch_records"], ids.len(), "{insert:#}");
        let links = insert["span"]["links"].as_array().unwrap();
        assert_eq!(links.len(), MAX_LINKS);
        without_link += usize::from(!links.iter().any(|link| link[0] == id.as_str()));
    }
    assert_eq!(without_link, ids.len() - MAX_LINKS);
    sync.stop(Duration::from_secs(10)).await.unwrap();
    relay.stop().await;
}

fn in_every_header(messages: &[Message], traces: &BTreeMap<String, String>) {
    for message in messages {
        let trace_id = &traces[message.event_id()];
        assert_eq!(message.header("trace_id"), [trace_id], "{message:?}");
        let [traceparent] = message.header("traceparent")[..] else { panic!("{message:?}") };
        let parts: Vec<&str> = traceparent.split('-').collect();
        assert_eq!(parts[..2], ["00", trace_id], "{message:?}");
        assert_eq!((parts[2].len(), parts[3]), (16, "03"), "{message:?}");
    }
}

fn every_message_is_where_it_should_be(messages: &[Message], events: &[Event]) {
    let count = |topic: &str, id: &str| {
        messages.iter().filter(|message| message.topic == topic && message.event_id() == id).count()
    };
    for Event { id, end, .. } in events {
        let found = TOPICS.map(|topic| count(topic, id) as u64);
        let wanted = match end {
            End::Rows(rows) => [1, 0, *rows, 0, *rows, 0],
            End::Filtered => [1, 0, 0, 0, 0, 0],
            End::Refused => [0, 0, 0, 0, 0, 0],
            End::DeadLetters("shop_events.dlq") => [1, 1, 0, 0, 0, 0],
            End::DeadLetters(_) => [1, 0, 1, 0, 1, 1],
        };
        assert_eq!(found, wanted, "messages of {id} in {TOPICS:?}");
    }
    let dead = messages.iter().filter(|message| message.topic.ends_with(".dlq"));
    for message in dead {
        assert_eq!(message.header("tracebaton-error-type").len(), 1, "{message:?}");
        assert_eq!(message.header("tracebaton-error-message").len(), 1, "{message:?}");
    }
}

fn in_every_log_line(relay: &mut Relay, traces: &BTreeMap<String, String>, events: &[Event]) {
    let mut lines: BTreeMap<(&str, String, String), u64> = BTreeMap::new();
    for part in Part::SERVICES {
        for line in relay.log_lines(part).unwrap() {
            let word = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
            // Kafka clients speak of connections and groups, not of records.
            if ["ready", "stopped"].contains(&word("message")) || word("action") == "kafka" {
                continue;
            }
            assert_eq!(word("trace_id").len(), 32, "no id in {line}");
            assert_eq!(word("span_id").len(), 16, "no span in {line}");
            let key = (part.as_str(), word("trace_id").to_owned(), word("message").to_owned());
            *lines.entry(key).or_default() += 1;
        }
    }
    for Event { id, end, .. } in events {
        let count = |service: &'static str, message: &str| {
            let key = (service, traces[id].clone(), message.to_owned());
            lines.get(&key).copied().unwrap_or_default()
        };
        let found = [
            count("ingest", "produced"),
            count("ingest", "refused"),
            count("raw_to_user", "transformed"),
            count("raw_to_user", "cannot transform"),
            count("enrich", "enriched"),
            count("sync", "sent to the dead letters"),
        ];
        let wanted = match end {
            End::Rows(rows) => [1, 0, 1, 0, *rows, 0],
            End::Filtered => [1, 0, 1, 0, 0, 0],
            End::Refused => [1, 1, 0, 0, 0, 0],
            End::DeadLetters("shop_events.dlq") => [1, 0, 0, 1, 0, 0],
            End::DeadLetters(_) => [1, 0, 1, 0, 1, 1],
        };
        assert_eq!(found, wanted, "log lines of {id}");
        let inserted = count("sync", "inserted");
        assert_eq!(inserted > 0, matches!(end, End::Rows(_)), "log lines of {id} in sync");
    }
}

fn in_every_ledger_event(diagnosis: &Value, event: &Event) {
    let verdict = match event.end {
        End::Rows(_) => "INSERTED",
        End::Filtered => "FILTERED",
        End::Refused => "REJECTED_HTTP",
        End::DeadLetters("shop_events.dlq") => "TRANSFORM_FAILED_DLQ",
        End::DeadLetters(_) => "DROPPED_AT_MAPPING",
    };
    assert_eq!(diagnosis["verdict"], verdict, "{diagnosis:#}");
    let branches = diagnosis["ledger"]["branches"].as_array().unwrap();
    for branch in branches {
        let number = |key: &str| branch[key].as_i64().unwrap();
        // The two laws, at the end of everything.
        let fates = ["passed", "filtered", "failed", "dead_lettered", "pending"].map(number);
        assert_eq!(number("records_in"), fates.iter().sum::<i64>(), "{branch:#}");
        assert_eq!(number("emitted"), number("records_in"), "{branch:#}");
        assert_eq!(number("unconfirmed"), 0, "{branch:#}");
    }
    let of = |group: &str| {
        let found = branches.iter().find(|branch| branch["group"] == group);
        found.map(|branch| ["records_in", "passed"].map(|key| branch[key].as_u64().unwrap()))
    };
    let found = [of("raw_to_user"), of("enrich"), of("sync")];
    let wanted = match event.end {
        End::Rows(rows) => [Some([1, 1]), Some([rows, rows]), Some([rows, rows])],
        End::Filtered | End::DeadLetters("shop_events.dlq") => [Some([1, 0]), None, None],
        End::Refused => [None, None, None],
        End::DeadLetters(_) => [Some([1, 1]), Some([1, 1]), Some([1, 0])],
    };
    assert_eq!(found, wanted, "{diagnosis:#}");
}

fn in_every_span(nodes: &Value, trace_id: &str, event: &Event) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for node in nodes.as_array().unwrap() {
        let span = &node["span"];
        if node["is_linked"] == true {
            let links = span["links"].as_array().unwrap();
            let is_linked = links.iter().any(|link| link[0] == trace_id);
            // A large batch has more records than a span may have links; the ledger names them all.
            let records = node["batch_records"].as_u64().unwrap_or_default();
            let is_full = links.len() == MAX_LINKS && records > MAX_LINKS as u64;
            assert!(is_linked || is_full, "{span:#}");
        } else {
            assert_eq!(span["trace_id"], trace_id);
        }
        *counts.entry(span["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let found = [
        "POST /ingest/{topic}",
        "send shop_events",
        "process shop_events",
        "send user_events",
        "process user_events",
        "send enriched_events",
    ]
    .map(|name| counts.get(name).copied().unwrap_or_default());
    let wanted = match event.end {
        End::Rows(rows) => [1, 1, 1, rows, rows, rows],
        End::Refused => [1, 0, 0, 0, 0, 0],
        End::Filtered | End::DeadLetters("shop_events.dlq") => [1, 1, 1, 0, 0, 0],
        End::DeadLetters(_) => [1; 6],
    };
    assert_eq!(found, wanted, "spans of {}: {counts:?}", event.id);
    let is_inserted = counts.keys().any(|name| name.starts_with("INSERT"));
    assert_eq!(is_inserted, matches!(event.end, End::Rows(_)), "{}: {counts:?}", event.id);
}

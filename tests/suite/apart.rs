//! Concurrent requests keep their ids apart.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;
use tracebaton_tests::{Relay, event, read_topic};

const REQUESTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_requests_keep_their_ids_apart_through_all_hops() {
    let relay = Arc::new(Relay::start().await.unwrap());
    let mut requests = JoinSet::new();
    for number in 0..REQUESTS {
        let relay = relay.clone();
        requests.spawn(async move {
            let id = format!("evt-{number}");
            // Every third has an id of the old kind, every third a traceparent, the rest none.
            let legacy = format!("order-{number}");
            let parent = format!("00-{:032x}-{:016x}-03", number + 1, number + 1);
            let header = match number % 3 {
                0 => Some(("X-Trace-Id", legacy.as_str())),
                1 => Some(("traceparent", parent.as_str())),
                _ => None,
            };
            let answer = relay.post(&event(&id, "page_view"), header.as_slice()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            match number % 3 {
                0 => assert_eq!(answer.trace_id(), legacy),
                1 => assert_eq!(answer.trace_id(), format!("{:032x}", number + 1)),
                _ => assert_eq!(answer.trace_id().len(), 32),
            }
            (id, answer.trace_id().to_owned())
        });
    }
    let traces: BTreeMap<String, String> = requests.join_all().await.into_iter().collect();
    assert_eq!(traces.len(), REQUESTS);
    let mut relay = Arc::into_inner(relay).unwrap();
    let ids: Vec<String> = traces.values().cloned().collect();
    for (id, diagnosis) in relay.settled(&ids).await.unwrap() {
        assert_eq!(diagnosis["verdict"], "INSERTED", "{id}: {diagnosis:#}");
    }
    for topic in ["shop_events", "user_events", "enriched_events"] {
        let messages = read_topic(relay.stack.kafka(), topic).unwrap();
        assert_eq!(messages.len(), REQUESTS, "{topic}");
        let mut whose: BTreeMap<String, String> = BTreeMap::new();
        for message in &messages {
            assert_eq!(message.header("trace_id"), [&traces[message.event_id()]], "{message:?}");
            let [traceparent] = message.header("traceparent")[..] else { panic!("{message:?}") };
            let trace_id = traceparent[3..35].to_owned();
            let other = whose.insert(trace_id, message.event_id().to_owned());
            assert_eq!(other, None, "one trace id, two events: {message:?}");
        }
    }
    let rows = relay.rows().await.unwrap();
    assert_eq!(rows.len(), REQUESTS);
    assert!(rows.values().all(|count| *count == 1), "{rows:?}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_id_is_echoed_unchanged_and_found_by_its_own_text() {
    let mut relay = Relay::start().await.unwrap();
    let opaque = "01H3Z8X9Y2ABCDEFGHJKLMNPQR";
    let body = json!([event("evt-1", "page_view"), event("evt-2", "page_view")]);
    let answer = relay.post(&body, &[("X-Trace-Id", opaque)]).await.unwrap();
    assert_eq!((answer.status, answer.trace_id()), (200, opaque));
    let diagnosis = relay.await_verdict(opaque, "INSERTED").await.unwrap();
    // The id is no 128 bits: its mapping is, and it finds the same.
    let mapped = diagnosis["trace_id"].as_str().unwrap().to_owned();
    assert_eq!(relay.verdict(&mapped).await.unwrap(), "INSERTED");
    for topic in ["shop_events", "user_events", "enriched_events"] {
        for message in read_topic(relay.stack.kafka(), topic).unwrap() {
            assert_eq!(message.header("trace_id"), [opaque]);
            assert_eq!(&message.header("traceparent")[0][3..35], mapped);
        }
    }
    let logs = relay.ask(opaque, "/logs").await.unwrap();
    let services: Vec<&str> =
        logs.as_array().unwrap().iter().filter_map(|line| line["service"].as_str()).collect();
    for service in ["ingest", "raw_to_user", "enrich", "sync"] {
        assert!(services.contains(&service), "{logs:#}");
    }
    // No span claims a parent that nobody has.
    let spans = relay.ask(opaque, "").await.unwrap();
    let roots: Vec<_> =
        spans.as_array().unwrap().iter().filter(|node| node["depth"] == 0).collect();
    assert_eq!(roots.len(), 1, "{spans:#}");
    assert!(roots[0]["span"]["parent_span_id"].is_null(), "{spans:#}");
    relay.stop().await;
}

//! "My data is not in the table": three ways to lose sight of a record, and what is said of each.

use tracebaton_embedded::Part;
use tracebaton_tests::{Relay, event, read_topic};

#[tokio::test(flavor = "multi_thread")]
async fn basic_propagation_the_id_of_the_answer_finds_produce_and_insert() {
    let mut relay = Relay::start().await.unwrap();
    let answer = relay.post(&event("evt-1", "cart_add"), &[]).await.unwrap();
    let id = answer.trace_id().to_owned();
    relay.await_verdict(&id, "INSERTED").await.unwrap();
    for (part, message) in [(Part::Ingest, "produced"), (Part::Sync, "inserted")] {
        let lines = relay.log_lines(part).unwrap();
        let found = lines.iter().find(|line| line["trace_id"] == id.as_str()).unwrap();
        assert_eq!(found["message"], message);
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn across_languages_each_transform_logs_the_id_and_hands_it_on() {
    let mut relay = Relay::start().await.unwrap();
    let answer = relay.post(&event("evt-1", "cart_add"), &[]).await.unwrap();
    let id = answer.trace_id().to_owned();
    relay.await_verdict(&id, "INSERTED").await.unwrap();
    for (part, message) in [(Part::RawToUser, "transformed"), (Part::Enrich, "enriched")] {
        let lines = relay.log_lines(part).unwrap();
        let found = lines.iter().find(|line| line["trace_id"] == id.as_str()).unwrap();
        assert_eq!(found["message"], message);
    }
    let spans = relay.ask(&id, "").await.unwrap();
    let nodes = spans.as_array().unwrap();
    // Each hop's parent is the hop before: one chain, from the request to the last send.
    let chain = [
        "POST /ingest/{topic}",
        "send shop_events",
        "process shop_events",
        "send user_events",
        "process user_events",
        "send enriched_events",
    ];
    let mut above = serde_json::Value::Null;
    for name in chain {
        let span = &nodes.iter().find(|node| node["span"]["name"] == name).unwrap()["span"];
        assert_eq!(span["parent_span_id"], above, "{spans:#}");
        above = span["span_id"].clone();
    }
    for topic in ["user_events", "enriched_events"] {
        let messages = read_topic(relay.stack.kafka(), topic).unwrap();
        assert_eq!(messages[0].header("trace_id"), [&id]);
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_names_the_hop_where_a_record_stopped() {
    let mut relay = Relay::start().await.unwrap();

    // Produced and not consumed: the transform is down.
    relay.stack.take(Part::RawToUser).unwrap().kill().await.unwrap();
    let answer = relay.post(&event("evt-1", "page_view"), &[]).await.unwrap();
    let waiting = answer.trace_id().to_owned();
    let diagnosis = relay.await_verdict(&waiting, "PRODUCED_NOT_CONSUMED").await.unwrap();
    assert!(diagnosis["summary"].as_str().unwrap().contains("shop_events"), "{diagnosis:#}");
    relay.stack.start_part(Part::RawToUser).await.unwrap();
    relay.await_verdict(&waiting, "INSERTED").await.unwrap();

    // Consumed and not inserted: the transform failed.
    let mut failing = event("evt-2", "cart_add");
    failing["currency"] = "XXX".into();
    let answer = relay.post(&failing, &[]).await.unwrap();
    let diagnosis = relay.await_verdict(answer.trace_id(), "TRANSFORM_FAILED_DLQ").await.unwrap();
    let summary = diagnosis["summary"].as_str().unwrap();
    assert!(summary.contains("raw_to_user") && summary.contains("XXX"), "{diagnosis:#}");

    // Inserting and not in the table: ClickHouse would not take the row, and its neighbours got in.
    let mut poison = event("evt-3", "cart_add");
    (poison["amount"], poison["currency"]) = ("99999999999999.99".into(), "EUR".into());
    let body = [event("evt-4", "page_view"), poison, event("evt-5", "page_view")];
    let answer = relay.post(&serde_json::json!(body), &[]).await.unwrap();
    let diagnosis = relay.await_verdict(answer.trace_id(), "DROPPED_AT_MAPPING").await.unwrap();
    assert!(diagnosis["summary"].as_str().unwrap().contains("sync"), "{diagnosis:#}");
    relay.settled(&[answer.trace_id().to_owned()]).await.unwrap();
    let rows = relay.rows().await.unwrap();
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["evt-1", "evt-4", "evt-5"]);

    // Left out on purpose.
    let answer = relay.post(&event("evt-6", "heartbeat"), &[]).await.unwrap();
    relay.await_verdict(answer.trace_id(), "FILTERED").await.unwrap();

    // Never sent here at all.
    let diagnosis = relay.ask("0af7651916cd43dd8448eb211c80319c", "/diagnosis").await.unwrap();
    assert_eq!(diagnosis["verdict"], "UNKNOWN_ID");
    relay.stop().await;
}

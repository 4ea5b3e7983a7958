//! Each verdict that the ledger can give, on the smallest ledger that gives it.

use super::{Verdict::*, *};

#[test]
fn what_went_all_the_way_is_inserted() {
    let diagnosis = diagnosis_of(relay(3));
    assert_eq!(found(&diagnosis), [(Inserted, "sync (insert users)")]);
    assert_eq!(diagnosis.summary, "sync (insert users): 3 inserted by batch batch");
    assert_eq!(diagnosis.verdict.exit_code(), 0);
}

#[test]
fn what_was_left_out_beside_what_is_in_is_listed_and_the_verdict_is_inserted() {
    let mut events = relay(2);
    events[0] = request(3);
    events[1] = sent("request", "raw", 0, 2);
    events.push(read("transform-2", "raw", "transform", 2, Fate::Filtered));
    let diagnosis = diagnosis_of(events);
    let transform = "transform (process raw)";
    assert_eq!(found(&diagnosis), [(Inserted, "sync (insert users)"), (Filtered, transform)]);
    assert_eq!(diagnosis.findings[1].evidence, "1 left out on purpose: Filtered by transform");
}

#[test]
fn only_what_was_left_out_whole_is_filtered() {
    let events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        read("transform", "raw", "transform", 0, Fate::Filtered),
    ];
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(Filtered, "transform (process raw)")]);
    assert_eq!(diagnosis.verdict.exit_code(), 0);
}

#[test]
fn hops_stand_in_the_order_of_the_relay() {
    // By name and by time the topics would stand the other way round.
    let mut events = vec![request(1), sent("request", "z", 0, 0)];
    for (hop, topic) in [("c", "z"), ("b", "y"), ("a", "x")] {
        events.push(HopEvent {
            time: NOW - 7200 * SECOND - i64::from(topic.as_bytes()[0]),
            ..read(hop, topic, hop, 0, Fate::Passed)
        });
    }
    events.extend([sent("c", "y", 0, 0), sent("b", "x", 0, 0), sent("a", "w", 0, 0)]);
    let diagnosis = diagnosis_of(events);
    let topics: Vec<&str> =
        diagnosis.ledger.branches.iter().map(|branch| branch.topic.as_str()).collect();
    assert_eq!(topics, ["z", "y", "x", "w"]);
}

#[test]
fn a_circle_of_topics_ends() {
    let events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        read("a", "raw", "transform", 0, Fate::Passed),
        sent("a", "retry", 0, 0),
        read("b", "retry", "again", 0, Fate::Passed),
        sent("b", "raw", 1, 1),
        read("c", "raw", "transform", 1, Fate::Filtered),
    ];
    let diagnosis = diagnosis_of(events);
    let topics: Vec<&str> =
        diagnosis.ledger.branches.iter().map(|branch| branch.topic.as_str()).collect();
    assert_eq!(topics, ["raw", "retry"]);
    assert_eq!(branch(&diagnosis, "again").verdict, Some(Filtered));
}

#[test]
fn a_batch_read_again_within_other_bounds_is_the_same_input() {
    let other = "00000000000000000000000000000001";
    let mut events = relay(3);
    events.pop();
    events.push(batch("one", "users", 0, &[TRACE, TRACE], Fate::Passed));
    events.push(batch("two", "users", 1, &[TRACE, TRACE, other], Fate::Passed));
    let diagnosis = diagnosis_of(events);
    let sync = branch(&diagnosis, "sync");
    assert_eq!((sync.records_in, sync.passed, sync.duplicated), (3, 3, 1));
    assert_eq!(found(&diagnosis)[0], (Duplicated, "sync (insert users)"));
    assert_eq!(diagnosis.findings[0].evidence, "1 inserted again by batches one, two");
    assert_eq!(diagnosis.verdict.exit_code(), 12);
}

#[test]
fn a_retry_of_the_same_batch_doubles_nothing() {
    let mut events = relay(2);
    events.push(HopEvent {
        time: NOW - 3599 * SECOND,
        attempt: 2,
        ..batch("batch", "users", 0, &[TRACE, TRACE], Fate::Passed)
    });
    assert_eq!(diagnosis_of(events).verdict, Inserted);
}

#[test]
fn a_record_that_left_its_batch_keeps_its_own_fate() {
    let mut events = relay(4);
    let mut batch = events.pop().unwrap();
    // Offset 1 left: three members stand at 0, 2 and 3.
    (batch.records_in, batch.passed) = (3, 3);
    batch.members.pop();
    let left = HopEvent {
        kind: "insert".into(),
        batch_id: Some("batch".into()),
        ..read("left", "users", "sync", 1, Fate::DeadLettered)
    };
    events.extend([batch, left]);
    let diagnosis = diagnosis_of(events);
    let sync = branch(&diagnosis, "sync");
    assert_eq!((sync.records_in, sync.passed, sync.dead_lettered, sync.unseen), (4, 3, 1, 0));
    assert_eq!(found(&diagnosis)[0], (DroppedAtMapping, "sync (insert users)"));
    assert_eq!(diagnosis.verdict.exit_code(), 11);
}

#[test]
fn a_redelivery_that_passes_makes_good_what_failed_before() {
    let mut events = relay(1);
    events.push(HopEvent {
        time: NOW - 7200 * SECOND,
        ..read("first-try", "raw", "transform", 0, Fate::Failed)
    });
    events.push(HopEvent {
        failed: 1,
        passed: 0,
        emitted: 0,
        reason: Some("timed out".into()),
        ..sent("first-try", "users", 0, 0)
    });
    assert_eq!(found(&diagnosis_of(events)), [(Inserted, "sync (insert users)")]);
}

#[test]
fn a_transform_that_sends_again_what_it_had_sent_doubles_it() {
    let mut events = relay(1);
    events.push(read("again", "raw", "transform", 0, Fate::Passed));
    events.push(sent("again", "users", 1, 1));
    events.push(batch("later", "users", 1, &[TRACE], Fate::Passed));
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis)[0], (Duplicated, "transform (process raw)"));
    assert_eq!(branch(&diagnosis, "transform").records_in, 1);
}

#[test]
fn every_branch_of_a_fork_has_a_verdict_and_the_worst_is_the_traces() {
    let mut events = relay(2);
    events.push(read("audit-0", "raw", "audit", 0, Fate::Filtered));
    events.push(read("audit-1", "raw", "audit", 1, Fate::Failed));
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.verdict, TransformFailedLost);
    assert_eq!(branch(&diagnosis, "audit").verdict, Some(TransformFailedLost));
    assert_eq!(branch(&diagnosis, "transform").verdict, Some(Inserted));
    assert_eq!(branch(&diagnosis, "transform").sends_to, ["users"]);
    assert_eq!(diagnosis.verdict.exit_code(), 10);
}

#[test]
fn a_group_that_began_later_and_further_on_owes_nothing() {
    let mut events = relay(2);
    let late = read("late", "raw", "newcomer", 7, Fate::Passed);
    let other = "00000000000000000000000000000001".to_owned();
    events.push(HopEvent { trace_id: other, time: NOW - 60 * SECOND, ..late });
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.verdict, Inserted);
    assert_eq!(branch(&diagnosis, "newcomer").before, 2);
}

#[test]
fn a_transform_that_failed_has_lost_the_record() {
    let events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        read("transform", "raw", "transform", 0, Fate::Failed),
    ];
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(TransformFailedLost, "transform (process raw)")]);
    let text = "transform (process raw): 1 failed and nothing else took them: Failed by transform";
    assert_eq!(diagnosis.summary, text);
}

#[test]
fn a_dead_letter_is_named_with_its_reason() {
    let letter = HopEvent { is_dead_letter: true, ..sent("transform", "raw.dlq", 0, 0) };
    let events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        HopEvent { emitted: 1, ..read("transform", "raw", "transform", 0, Fate::DeadLettered) },
        letter,
    ];
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(TransformFailedDlq, "transform (process raw)")]);
    assert_eq!(diagnosis.ledger.dead_letters["raw.dlq"], 1);
    assert_eq!(diagnosis.verdict.exit_code(), 11);
}

/// Three records, of which one comes no further than to the transform.
fn relay_with_a_hole() -> Vec<HopEvent> {
    let mut events = relay(3);
    events.retain(|event| !event.span_id.ends_with("-1"));
    let last = events.pop().unwrap();
    let members = [TRACE, "00000000000000000000000000000001", TRACE];
    events.push(HopEvent { time: last.time, ..batch("batch", "users", 0, &members, Fate::Passed) });
    events
}

#[test]
fn a_loss_is_one_where_nobody_told_of_sending_the_first_record() {
    // The producer of `raw` is not traced: its record stands for nothing but itself.
    let first = HopEvent { emitted: 3, ..read("fan", "raw", "fan", 0, Fate::Passed) };
    let mut events = vec![first, sent("fan", "users", 0, 2)];
    events.extend([0, 2].map(|at| read(&format!("end-{at}"), "users", "end", at, Fate::Filtered)));
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.verdict, LostBetweenHops, "{diagnosis:#?}");
    assert_eq!(branch(&diagnosis, "end").unseen, 1);
}

#[test]
fn what_a_group_went_past_without_a_word_is_lost() {
    let diagnosis = diagnosis_of(relay_with_a_hole());
    let lost = (LostBetweenHops, "transform (process raw)");
    assert_eq!(found(&diagnosis), [lost, (Inserted, "sync (insert users)")]);
    let evidence = &diagnosis.findings[0].evidence;
    assert!(evidence.starts_with("1 of 3 records were sent and the group went past"), "{evidence}");
    assert!(evidence.ends_with("transform was heard last 60 min ago"), "{evidence}");
    assert_eq!(diagnosis.verdict.exit_code(), 10);
}

#[test]
fn what_was_sent_a_moment_ago_is_not_missed_yet() {
    let just_now = |event: HopEvent| HopEvent { time: NOW - SECOND, ..event };
    let events = vec![
        just_now(request(2)),
        just_now(sent("request", "raw", 0, 1)),
        just_now(read("transform", "raw", "transform", 1, Fate::Filtered)),
    ];
    assert_eq!(diagnosis_of(events).verdict, ProducedNotConsumed);
}

#[test]
fn a_hole_where_the_service_dropped_evidence_is_no_proof_of_a_loss() {
    let events = relay_with_a_hole();
    let dropped = Dropped { time: NOW, service: "transform".into(), ledger: 7 };
    let elsewhere = Dropped { service: "elsewhere".into(), ..dropped.clone() };
    let (store_of_other, _folder) = store(events.clone(), vec![elsewhere]);
    assert_eq!(diagnose(&store_of_other, TRACE, || NOW).unwrap().verdict, LostBetweenHops);
    let (store, _folder) = store(events, vec![dropped]);
    let diagnosis = diagnose(&store, TRACE, || NOW).unwrap();
    assert_eq!(diagnosis.verdict, Inconclusive);
    assert!(diagnosis.summary.contains("transform dropped 7 ledger events"));
    assert_eq!(diagnosis.verdict.exit_code(), 15);
}

#[test]
fn a_hole_beyond_which_records_arrived_is_no_proof_of_a_loss() {
    // A crash took the transform's last events with it; what it had sent is in the table.
    let mut events = relay(3);
    events.retain(|event| !event.span_id.ends_with("-1"));
    let diagnosis = diagnosis_of(events);
    let hole = (Inconclusive, "transform (process raw)");
    assert_eq!(found(&diagnosis), [hole, (Inserted, "sync (insert users)")]);
    let text = "yet 1 of this trace were read from users";
    assert!(diagnosis.summary.contains(text), "{}", diagnosis.summary);
}

#[test]
fn a_refused_request_is_rejected() {
    let refused = HopEvent {
        passed: 0,
        emitted: 0,
        failed: 2,
        http_status: Some(400),
        reason: Some("`user_id` is missing".into()),
        ..request(2)
    };
    let diagnosis = diagnosis_of(vec![refused]);
    let text = "ingest /ingest/{topic}: HTTP 400, 2 of 2 records refused: `user_id` is missing";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (RejectedHttp, text));
    assert_eq!(diagnosis.verdict.exit_code(), 10);
}

#[test]
fn a_request_that_was_taken_in_part_is_a_partial_produce() {
    let mut events = relay(2);
    events[0] = HopEvent { records_in: 3, failed: 1, ..request(2) };
    let diagnosis = diagnosis_of(events);
    let request = (PartialProduce, "ingest /ingest/{topic}");
    assert_eq!(found(&diagnosis), [request, (Inserted, "sync (insert users)")]);
    assert_eq!(diagnosis.verdict.exit_code(), 12);
}

#[test]
fn what_the_broker_did_not_take_is_a_partial_produce() {
    let mut events = relay(2);
    let refused = HopEvent { failed: 1, passed: 0, emitted: 0, ..sent("request", "raw", 9, 9) };
    events.push(HopEvent { reason: Some("message too large".into()), ..refused });
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.summary, "send raw: 1 not taken by the broker: message too large");
    assert_eq!(diagnosis.verdict, PartialProduce);
}

#[test]
fn refusals_of_the_same_kind_are_one_finding() {
    let mut events = relay(1);
    for at in 0..3 {
        let span = format!("request-{at}");
        let refused = HopEvent { failed: 1, passed: 0, emitted: 0, ..sent(&span, "raw", 9, 9) };
        events.push(HopEvent { reason: Some("message too large".into()), ..refused });
    }
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.findings.len(), 2);
    assert_eq!(diagnosis.summary, "send raw: 3 not taken by the broker: message too large");
}

#[test]
fn what_a_request_left_out_on_purpose_is_filtered() {
    let left_out = HopEvent {
        filtered: 1,
        passed: 0,
        emitted: 0,
        reason: Some("a health check".into()),
        ..request(1)
    };
    assert_eq!(found(&diagnosis_of(vec![left_out])), [(Filtered, "ingest /ingest/{topic}")]);
}

#[test]
fn readers_and_senders_that_tell_no_place_are_compared_by_number() {
    let nowhere = |event: HopEvent| HopEvent { partition: None, first: None, last: None, ..event };
    let mut events = relay(3);
    for event in &mut events {
        if event.span_id.starts_with("transform") {
            *event = nowhere(event.clone());
        }
    }
    let diagnosis = diagnosis_of(events.clone());
    assert_eq!(found(&diagnosis), [(Inserted, "sync (insert users)")]);
    events.retain(|event| event.span_id != "transform-1" || event.kind == "send");
    let transform = &diagnosis_of(events).ledger.branches[0];
    assert_eq!((transform.records_in, transform.waiting), (2, 1));
}

#[test]
fn an_input_at_another_place_does_not_stand_in_for_one_that_is_lost() {
    let mut events = relay(3);
    events.retain(|event| !event.span_id.ends_with("-1"));
    events.push(read("elsewhere", "raw", "transform", 9, Fate::Filtered));
    let diagnosis = diagnosis_of(events);
    assert_eq!(branch(&diagnosis, "transform").unseen, 1);
}

#[test]
fn a_batch_that_was_given_up_is_dropped_at_mapping() {
    let mut events = relay(1);
    events.pop();
    events.push(HopEvent {
        error_type: Some("TYPE_MISMATCH".into()),
        reason: Some("no such column".into()),
        ..batch("batch", "users", 0, &[TRACE], Fate::Failed)
    });
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(DroppedAtMapping, "sync (insert users)")]);
    let text = "sync (insert users): 1 given up by the sink, and in no dead-letter topic: \
        TYPE_MISMATCH: no such column";
    assert_eq!((diagnosis.summary.as_str(), diagnosis.verdict.exit_code()), (text, 11));
}

#[test]
fn a_batch_that_is_tried_again_is_blocked_until_it_passes() {
    let mut events = relay(1);
    let passed = events.pop().unwrap();
    events.push(HopEvent {
        time: NOW - 7200 * SECOND,
        reason: Some("connection refused".into()),
        ..batch("batch", "users", 0, &[TRACE], Fate::Pending)
    });
    let diagnosis = diagnosis_of(events.clone());
    assert_eq!(found(&diagnosis), [(BatchBlocked, "sync (insert users)")]);
    assert_eq!(diagnosis.verdict.exit_code(), 13);
    events.push(HopEvent { attempt: 2, ..passed });
    assert_eq!(found(&diagnosis_of(events)), [(Inserted, "sync (insert users)")]);
}

#[test]
fn only_a_batch_that_is_in_is_said_to_have_inserted() {
    let mut events = relay(2);
    events.pop();
    events.push(batch("one", "users", 0, &[TRACE], Fate::Passed));
    events.push(HopEvent {
        reason: Some("connection refused".into()),
        ..batch("two", "users", 1, &[TRACE], Fate::Pending)
    });
    let diagnosis = diagnosis_of(events);
    let evidence = diagnosis.findings.iter().map(|finding| finding.evidence.as_str());
    let expected = ["1 on their way: connection refused", "1 inserted by batch one"];
    assert_eq!(evidence.collect::<Vec<_>>(), expected);
    assert_eq!(branch(&diagnosis, "sync").batches, ["one", "two"]);
}

#[test]
fn a_batch_on_its_way_is_pending() {
    let mut events = relay(1);
    events.pop();
    events.push(batch("batch", "users", 0, &[TRACE], Fate::Pending));
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(BatchPending, "sync (insert users)")]);
    assert_eq!(diagnosis.verdict.exit_code(), 13);
}

#[test]
fn a_topic_that_nobody_reads_has_not_been_consumed() {
    let diagnosis = diagnosis_of(vec![request(2), sent("request", "raw", 0, 1)]);
    let text = "raw: 2 not read yet; no consumer group has ever read this topic";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (ProducedNotConsumed, text));
    assert_eq!(diagnosis.verdict.exit_code(), 13);
}

#[test]
fn a_group_that_has_not_come_so_far_says_when_it_was_heard() {
    let other = "00000000000000000000000000000001".to_owned();
    let before = HopEvent {
        trace_id: other,
        time: NOW - 90 * SECOND,
        ..read("other", "raw", "transform", 4, Fate::Passed)
    };
    let diagnosis = diagnosis_of(vec![request(1), sent("request", "raw", 5, 5), before]);
    let text = "transform (raw): 1 not read yet; transform was heard last 90 s ago";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (ProducedNotConsumed, text));
}

#[test]
fn a_request_of_which_no_hop_tells_more_is_inconclusive() {
    let silent = HopEvent { emitted: 0, ..request(1) };
    let diagnosis = diagnosis_of(vec![silent]);
    assert_eq!(found(&diagnosis), [(Inconclusive, "ingest /ingest/{topic}")]);
    assert_eq!(diagnosis.verdict.exit_code(), 15);
}

#[test]
fn outputs_whose_delivery_nobody_told_are_inconclusive_until_they_are_read() {
    let mut events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        HopEvent { unconfirmed: 1, ..read("transform", "raw", "transform", 0, Fate::Passed) },
    ];
    let diagnosis = diagnosis_of(events.clone());
    assert_eq!(found(&diagnosis), [(Inconclusive, "transform (process raw)")]);
    events.push(batch("batch", "users", 0, &[TRACE], Fate::Passed));
    assert_eq!(found(&diagnosis_of(events)), [(Inserted, "sync (insert users)")]);
}

#[test]
fn a_relay_that_ends_in_a_transform_names_the_word_that_is_missing() {
    let events = vec![
        request(1),
        sent("request", "raw", 0, 0),
        HopEvent { emitted: 0, ..read("transform", "raw", "transform", 0, Fate::Passed) },
    ];
    let diagnosis = diagnosis_of(events);
    assert_eq!(found(&diagnosis), [(Inconclusive, "transform (process raw)")]);
}

/// A request whose record is polled in a batch with another's, of which one message is made.
fn polled_together(total: Vec<HopEvent>) -> Vec<HopEvent> {
    let other = "00000000000000000000000000000001";
    let id = "00000000000000000000000000000002";
    let polled = HopEvent {
        kind: "process".into(),
        name: "raw".into(),
        group: Some("totals".into()),
        emitted: 1,
        batch_id: None,
        ..batch(id, "raw", 0, &[TRACE, other], Fate::Passed)
    };
    let total = total.into_iter().map(|event| HopEvent { trace_id: id.into(), ..event });
    let mut events = vec![request(1), sent("request", "raw", 0, 0), polled];
    events.extend(total);
    events
}

#[test]
fn what_was_made_of_a_whole_batch_is_followed_into_its_trace() {
    let id = "00000000000000000000000000000002";
    let total = sent(id, "totals", 5, 5);
    let diagnosis = diagnosis_of(polled_together(vec![total.clone()]));
    assert_eq!(found(&diagnosis), [(ProducedNotConsumed, "totals (process raw)")]);
    let summary = "totals (process raw): went on in a batch of 2, trace \
        00000000000000000000000000000002, whose outputs no link ties to one record: totals: 1 not \
        read yet; no consumer group has ever read this topic";
    assert_eq!(diagnosis.summary, summary);
    let inserted =
        HopEvent { group: Some("sink".into()), ..batch("batch", "totals", 5, &[id], Fate::Passed) };
    let diagnosis = diagnosis_of(polled_together(vec![total, inserted]));
    assert_eq!(found(&diagnosis), [(Inserted, "totals (process raw)")]);
    assert_eq!(branch(&diagnosis, "totals").verdict, Some(Inserted));
    assert_eq!(branch(&diagnosis, "totals").continues_in, [id]);
}

#[test]
fn batches_that_lead_to_each_other_end() {
    let id = "00000000000000000000000000000002";
    // The batch's message is polled in a batch of the trace that the record came from.
    let back = HopEvent {
        kind: "process".into(),
        group: Some("back".into()),
        ..batch("batch", "totals", 5, &[id], Fate::Passed)
    };
    let mut events = polled_together(vec![sent(id, "totals", 5, 5)]);
    events.push(HopEvent { trace_id: TRACE.into(), ..back });
    let diagnosis = diagnosis_of(events);
    assert_eq!(diagnosis.verdict, Inconclusive, "{diagnosis:#?}");
}

#[test]
fn a_batch_of_which_nothing_was_made_leaves_it_open_what_became_of_its_records() {
    let diagnosis = diagnosis_of(polled_together(Vec::new()));
    assert_eq!(diagnosis.verdict, Inconclusive);
    assert!(branch(&diagnosis, "totals").continues_in.is_empty());
}

#[test]
fn a_batch_whose_outputs_are_unconfirmed_is_said_to_have_made_some() {
    let mut events = polled_together(Vec::new());
    for event in events.iter_mut().filter(|event| event.kind == "process") {
        (event.emitted, event.unconfirmed) = (2, 2);
    }
    let text = "totals (process raw): 1 passed, outputs unconfirmed: no `send` event tells whether \
        they were delivered";
    assert_eq!(diagnosis_of(events).summary, text);
}

#[test]
fn a_batch_can_be_asked_for_by_its_own_trace() {
    let id = "0192f3c4b5a67b8c9d0e1f2a3b4c5d6f";
    let other = "00000000000000000000000000000001";
    let events = vec![batch(id, "users", 0, &[TRACE, other, TRACE], Fate::Passed)];
    let (store, _folder) = store(events, Vec::new());
    let diagnosis = diagnose(&store, id, || NOW).unwrap();
    assert_eq!(branch(&diagnosis, "sync").passed, 3);
    assert_eq!(diagnosis.verdict, Inserted);
}

/// Asks an otherwise busy store for an id of which it knows nothing.
fn unknown(id: &str) -> Diagnosis {
    let (store, _folder) = store(relay(1), Vec::new());
    diagnose(&store, id, || NOW).unwrap()
}

/// A UUIDv7 made at a moment in milliseconds since 1970.
fn made_at(millis: i64) -> String {
    format!("{millis:012x}7b8c9d0e1f2a3b4c5d6f")
}

#[test]
fn an_unknown_id_says_who_was_heard_when_it_was_made() {
    let diagnosis = unknown(&made_at(NOW / 1_000_000 - 3_600_000));
    let text =
        "the id was made 60 min ago; heard then were ingest, sync, transform, with other ids";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (UnknownId, text));
    let diagnosis = unknown(&made_at(NOW / 1_000_000 - 60_000));
    assert!(diagnosis.summary.contains("no service was heard then"));
    assert_eq!(unknown("order-17").verdict, UnknownId);
    assert_eq!(diagnosis.verdict.exit_code(), 14);
}

#[test]
fn an_id_from_before_the_oldest_evidence_is_before_retention() {
    let diagnosis = unknown(&made_at(NOW / 1_000_000 - 86_400_000));
    assert_eq!((diagnosis.verdict, diagnosis.verdict.exit_code()), (BeforeRetention, 14));
}

#[test]
fn an_id_from_the_future_is_told() {
    let diagnosis = unknown(&made_at(NOW / 1_000_000 + 86_400_000));
    assert_eq!((diagnosis.verdict, diagnosis.verdict.exit_code()), (IdInFuture, 14));
    assert_eq!(diagnosis.summary, "the id says it was made 24 h from now");
}

#[test]
fn events_without_a_record_are_not_called_nothing() {
    let nothing = HopEvent { records_in: 0, ..read("none", "raw", "g", 0, Fate::Pending) };
    let diagnosis = diagnosis_of(vec![nothing]);
    let text = "there are ledger events of this trace, and none of them tells of a record";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (Inconclusive, text));
}

#[test]
fn who_claims_more_fates_than_records_leaves_none_pending() {
    let more = HopEvent { records_in: 3, passed: 5, ..request(2) };
    let diagnosis = diagnosis_of(vec![more, sent("request", "raw", 0, 1)]);
    assert_eq!(diagnosis.ledger.received[0].pending(), 0);
}

#[test]
fn a_text_that_is_no_id_is_malformed() {
    for text in ["", "none", "with space", "00000000000000000000000000000000"] {
        let diagnosis = unknown(text);
        assert_eq!((diagnosis.verdict, diagnosis.trace_id), (IdMalformed, None), "{text}");
    }
}

#[test]
fn numbers_that_no_pipeline_has_are_survived() {
    let huge = HopEvent {
        records_in: u32::MAX.into(),
        passed: u32::MAX.into(),
        last: Some((1 << 60) - 1),
        ..read("huge", "raw", "transform", 0, Fate::Passed)
    };
    let sent = HopEvent { emitted: u32::MAX.into(), ..sent("request", "raw", 0, 0) };
    let diagnosis = diagnosis_of(vec![request(1), sent.clone(), sent, huge]);
    assert_eq!(branch(&diagnosis, "transform").records_in, i64::from(u32::MAX));
}

/// The relay of three records, of which the table has one more than was made.
fn relay_with_a_copy() -> Vec<HopEvent> {
    let mut events = relay(3);
    let last = events.pop().unwrap();
    let batch = batch("batch", "users", 0, &[TRACE; 4], Fate::Passed);
    events.push(HopEvent { time: last.time, ..batch });
    events
}

#[test]
fn what_an_attempt_sent_that_could_not_tell_is_a_duplicate() {
    let duplicate = (Duplicated, "sync (insert users)");
    let expected = [duplicate, (Inserted, "sync (insert users)")];
    let mut events = relay_with_a_copy();
    let diagnosis = diagnosis_of(events.clone());
    assert_eq!(found(&diagnosis), expected);
    let text = "4 came in, and the hops before tell of 3: an attempt that could not tell sent \
        some again";
    assert_eq!(diagnosis.findings[0].evidence, text);
    // The `send` of that attempt was still told of, and nothing else.
    events.push(HopEvent { service: "transform".into(), ..sent("crashed", "users", 3, 3) });
    for event in events.iter_mut().filter(|event| event.topic.as_deref() == Some("users")) {
        if event.kind == "send" {
            event.service = "transform".into();
        }
    }
    assert_eq!(found(&diagnosis_of(events)), expected);
}

#[test]
fn records_beyond_those_sent_are_never_plainly_inserted() {
    let (store, _folder) = store(
        relay_with_a_copy(),
        vec![Dropped { time: NOW, service: "transform".into(), ledger: 1 }],
    );
    assert_eq!(diagnose(&store, TRACE, || NOW).unwrap().verdict, Inconclusive);
    let events = relay_with_a_copy().into_iter();
    let fresh = events.map(|event| HopEvent { time: NOW - SECOND, ..event }).collect();
    assert_eq!(diagnosis_of(fresh).verdict, Inconclusive);
}

#[test]
fn only_texts_that_hold_a_time_are_dated() {
    for text in ["cust-119", "order-17", "00000000deadbeef", "20261121093000123456789012"] {
        let diagnosis = unknown(text);
        let words = "nothing here has this id; just sent? try again in a moment";
        assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (UnknownId, words), "{text}");
    }
    // A ULID of the year 2021.
    let diagnosis = unknown("01F8MECHZX3TBDSZ7XRADM79XV");
    assert_eq!(diagnosis.verdict, BeforeRetention);
}

#[test]
fn a_moment_after_now_is_no_negative_time() {
    let ahead = HopEvent {
        trace_id: "00000000000000000000000000000001".into(),
        time: NOW + 2 * SECOND,
        ..read("other", "raw", "transform", 4, Fate::Passed)
    };
    let diagnosis = diagnosis_of(vec![request(1), sent("request", "raw", 5, 5), ahead]);
    assert!(diagnosis.summary.ends_with("transform was heard last 0 s ago"));
}

#[test]
fn a_hop_that_passed_and_whose_outputs_are_open_is_named() {
    let events = vec![
        HopEvent { emitted: 0, ..request(1) },
        HopEvent { unconfirmed: 1, ..read("transform", "raw", "transform", 0, Fate::Passed) },
    ];
    let diagnosis = diagnosis_of(events);
    let text = "transform (process raw): 1 passed, outputs unconfirmed: no event tells where \
        they went";
    assert_eq!((diagnosis.verdict, diagnosis.summary.as_str()), (Inconclusive, text));
}

#[test]
fn a_relay_of_many_topics_is_settled_at_once() {
    const TOPICS: i64 = 1_500;
    let mut events = vec![request(1), sent("request", "topic-0", 0, 0)];
    for at in 0..TOPICS {
        let (span, topic) = (format!("hop-{at}"), format!("topic-{at}"));
        events.push(read(&span, &topic, "relay", 0, Fate::Passed));
        events.push(sent(&span, &format!("topic-{}", at + 1), 0, 0));
    }
    events.push(read("last", &format!("topic-{TOPICS}"), "relay", 0, Fate::Failed));
    // A second reader of the first topic is none of those that the failure comes back to.
    events.push(read("audit", "topic-0", "audit", 0, Fate::Filtered));
    let start = std::time::Instant::now();
    let diagnosis = diagnosis_of(events);
    let took = start.elapsed();
    assert!(took.as_secs() < 12, "{took:?}");
    let branches = &diagnosis.ledger.branches;
    let topics = branches.iter().map(|branch| branch.topic.as_str()).skip(1);
    assert!(topics.eq((0..=TOPICS).map(|at| format!("topic-{at}"))));
    let settled = branches.iter().filter(|branch| branch.verdict == Some(TransformFailedLost));
    assert_eq!(settled.count() as i64, TOPICS + 1);
    assert_eq!(branch(&diagnosis, "audit").verdict, Some(Filtered));
}

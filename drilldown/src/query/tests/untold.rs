//! Records of which more or fewer came in than anybody told to have sent.

use super::{super::verdict::Verdict::*, *};

fn verdicts(events: Vec<HopEvent>) -> Vec<Verdict> {
    diagnosis_of(events).findings.iter().map(|finding| finding.verdict).collect()
}

/// Two records that a group left out, of which one was sent.
fn one_more() -> Vec<HopEvent> {
    let read = |at: i64| read(&format!("t-{at}"), "raw", "transform", at, Fate::Filtered);
    vec![request(1), sent("request", "raw", 0, 0), read(0), read(1)]
}

#[test]
fn more_than_a_request_sent_is_nobodys_second_attempt() {
    assert_eq!(verdicts(one_more()), [Inconclusive, Filtered]);
    // Nor is it where other hops of the relay have feeders of their own.
    let mut events = one_more();
    events.push(sent("request", "more", 0, 0));
    events.push(read("other", "more", "other", 0, Fate::Filtered));
    assert_eq!(verdicts(events), [Inconclusive, Filtered, Filtered]);
}

#[test]
fn what_a_request_sent_without_a_word_of_its_delivery_may_be_what_came_in() {
    let mut events = one_more();
    events[0] = request(2);
    assert_eq!(verdicts(events), [Filtered]);
}

#[test]
fn what_the_broker_refused_may_have_come_in_all_the_same() {
    let mut events = one_more();
    let refused = HopEvent { failed: 1, passed: 0, emitted: 0, ..sent("request", "raw", 1, 1) };
    events.push(HopEvent { partition: None, first: None, ..refused });
    assert_eq!(verdicts(events), [PartialProduce, Filtered]);
}

#[test]
fn what_is_pending_before_may_have_brought_what_came_in_beyond() {
    let mut events = relay(3);
    events.pop();
    events.push(batch("batch", "users", 0, &[TRACE; 4], Fate::Passed));
    assert_eq!(verdicts(events.clone()), [Duplicated, Inserted]);
    events[1] = sent("request", "raw", 0, 3);
    events.push(read("open", "raw", "transform", 3, Fate::Pending));
    assert_eq!(verdicts(events), [BatchBlocked, Inserted]);
}

#[test]
fn who_sends_on_his_own_is_no_attempt_of_another() {
    let mut events = relay(1);
    events.pop();
    for event in events.iter_mut().filter(|event| event.kind == "send") {
        event.service = "transform".into();
    }
    let of = |service: &str| HopEvent { service: service.into(), ..sent("own", "users", 1, 1) };
    events.push(batch("batch", "users", 0, &[TRACE; 2], Fate::Passed));
    assert_eq!(verdicts([events.clone(), vec![of("cron")]].concat()), [Inserted]);
    assert_eq!(verdicts([events, vec![of("transform")]].concat()), [Duplicated, Inserted]);
}

#[test]
fn what_another_group_read_beyond_of_the_same_topic_explains_no_hole() {
    let read = |group: &str, at| read(&format!("{group}-{at}"), "raw", group, at, Fate::Filtered);
    let mut events = vec![request(2), sent("request", "raw", 0, 1), read("late", 1)];
    events.extend((0..3).map(|at| read("eager", at)));
    assert_eq!(verdicts(events)[0], LostBetweenHops);
}

#[test]
fn what_another_hop_sends_to_explains_no_hole() {
    // The hole is at `transform`; `audit` reads the same topic, and sends on without telling it all.
    let mut events = vec![request(2), sent("request", "raw", 0, 1)];
    events.push(read("transform-1", "raw", "transform", 1, Fate::Filtered));
    events.push(read("users-0", "users", "audit", 0, Fate::Passed));
    events.push(sent("users-0", "audited", 0, 0));
    events.extend([sent("request", "users", 0, 0)]);
    events
        .extend((0..2).map(|at| read(&format!("end-{at}"), "audited", "end", at, Fate::Filtered)));
    let diagnosis = diagnosis_of(events);
    let hole = diagnosis.findings.iter().find(|finding| finding.hop.starts_with("transform"));
    assert_eq!(hole.map(|finding| finding.verdict), Some(LostBetweenHops), "{diagnosis:#?}");
}

#[test]
fn the_first_few_of_many_reasons_are_listed() {
    let mut events = vec![request(6), sent("request", "raw", 0, 5)];
    events.extend((0..6).map(|at| HopEvent {
        reason: Some(format!("reason {at}")),
        ..read(&format!("t-{at}"), "raw", "transform", at, Fate::Failed)
    }));
    let listed: Vec<String> = (0..5).map(|at| format!("1 × reason {at}")).collect();
    let expected = format!("{} and 1 more", listed.join(", "));
    let summary = diagnosis_of(events).summary;
    assert!(summary.ends_with(&expected), "{summary}");
}

#[test]
fn an_error_without_a_text_is_told_by_its_type_alone() {
    let failed = HopEvent {
        error_type: Some("KeyError".into()),
        reason: Some(String::new()),
        ..read("t", "raw", "transform", 0, Fate::Failed)
    };
    let summary = diagnosis_of(vec![request(1), sent("request", "raw", 0, 0), failed]).summary;
    assert!(summary.ends_with(": KeyError"), "{summary}");
}

#[test]
fn an_insert_without_a_name_is_called_none() {
    let mut events = relay(1);
    events.pop();
    let insert = batch("span", "users", 0, &[TRACE], Fate::Passed);
    events.push(HopEvent { batch_id: None, ..insert });
    assert_eq!(diagnosis_of(events).summary, "sync (insert users): 1 inserted");
}

#[test]
fn a_branch_has_the_worst_of_all_ways_from_it_on() {
    // What passed on the one way comes first in the order of the relay.
    let mut events = vec![request(1), sent("request", "raw", 0, 0)];
    events.push(HopEvent { emitted: 2, ..read("fan", "raw", "fan", 0, Fate::Passed) });
    events.extend([sent("fan", "a-users", 0, 0), sent("fan", "b-audits", 0, 0)]);
    events.push(batch("batch", "a-users", 0, &[TRACE], Fate::Passed));
    events.push(read("audit", "b-audits", "audit", 0, Fate::Failed));
    let diagnosis = diagnosis_of(events);
    assert_eq!(branch(&diagnosis, "fan").verdict, Some(TransformFailedLost));
    assert_eq!(branch(&diagnosis, "sync").verdict, Some(Inserted));
}

#[test]
fn a_topic_that_is_sent_to_again_by_its_reader_stands_before_what_comes_after_it() {
    let retry = HopEvent { emitted: 2, ..read("first", "raw", "transform", 0, Fate::Passed) };
    let mut events = vec![request(1), sent("request", "raw", 0, 0), retry];
    events.extend([sent("first", "raw", 1, 1), sent("first", "before", 0, 0)]);
    events.push(read("second", "raw", "transform", 1, Fate::Filtered));
    // By the clock of the last hop it was the first.
    let early = read("end", "before", "end", 0, Fate::Filtered);
    events.push(HopEvent { time: NOW - 7200 * SECOND, ..early });
    let diagnosis = diagnosis_of(events);
    let topics = diagnosis.ledger.branches.iter().map(|branch| branch.topic.as_str());
    assert_eq!(topics.collect::<Vec<_>>(), ["raw", "before"]);
}

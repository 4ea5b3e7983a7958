//! When a record that a group went past is missed: not before the evidence for it is old enough.

use super::{super::verdict::Verdict::*, *};

/// Brings events to a store at a moment.
fn bring(store: &Sqlite, at: i64, hops: Vec<HopEvent>) {
    let delivery = cut::logs(&encode::request(hops)).unwrap();
    store.keep(Delivery { arrived: at, ..delivery }).unwrap();
}

fn verdict_at(store: &Sqlite, at: i64) -> Verdict {
    diagnose(store, TRACE, || at).unwrap().verdict
}

fn filtered(offset: i64) -> HopEvent {
    read(&format!("transform-{offset}"), "raw", "transform", offset, Fate::Filtered)
}

fn of_another(offset: i64) -> HopEvent {
    HopEvent { trace_id: "00000000000000000000000000000001".into(), ..filtered(offset) }
}

#[test]
fn a_batch_of_which_the_evidence_comes_out_of_order_is_not_lost_in_between() {
    // Sent an hour ago, as far as the events tell; what counts is when evidence came.
    let (store, _folder) = store(vec![request(100), sent("request", "raw", 0, 99)], Vec::new());
    for step in 0..10 {
        let at = NOW + step * SECOND;
        // The second half of every ten comes at once, the first half four seconds later.
        bring(&store, at, (step * 10 + 5..step * 10 + 10).map(filtered).collect());
        if let Some(late) = step.checked_sub(4).filter(|late| *late >= 0) {
            bring(&store, at, (late * 10..late * 10 + 5).map(filtered).collect());
        }
        assert_eq!(verdict_at(&store, at), ProducedNotConsumed, "after {step} s");
    }
    bring(&store, NOW + 14 * SECOND, (60..100).map(filtered).collect());
    assert_eq!(verdict_at(&store, NOW + 15 * SECOND), Filtered);
}

#[test]
fn a_hole_is_lost_once_the_group_was_heard_beyond_it_for_long() {
    let (store, _folder) = store(vec![request(3), sent("request", "raw", 0, 2)], Vec::new());
    bring(&store, NOW, vec![filtered(0), filtered(2)]);
    assert_eq!(verdict_at(&store, NOW + 4 * SECOND), ProducedNotConsumed);
    // Nothing more is heard: what is missing may be held up with the rest, for a while.
    assert_eq!(verdict_at(&store, NOW + 9 * SECOND), ProducedNotConsumed);
    assert_eq!(verdict_at(&store, NOW + 16 * SECOND), LostBetweenHops);
    bring(&store, NOW + 6 * SECOND, vec![of_another(3)]);
    assert_eq!(verdict_at(&store, NOW + 7 * SECOND), LostBetweenHops);
    bring(&store, NOW + 8 * SECOND, vec![filtered(1)]);
    assert_eq!(verdict_at(&store, NOW + 9 * SECOND), Filtered);
}

//! The order of the relay: a topic stands after those whose readers sent to it.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Branch;
use crate::model::HopEvent;

/// Says for each branch where its records went on to, and puts the branches in the order of the
/// relay. Where the graph leaves it open, or turns in a circle as retry topics do, the time decides.
pub(super) fn arrange(branches: &mut Vec<Branch>, events: &[HopEvent]) {
    let mut topics_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "send" && !event.is_dead_letter) {
        // A `send` bears the span of the hop it went out of.
        let topic = event.topic.as_deref().unwrap_or_default();
        topics_of.entry(&event.span_id).or_default().insert(topic);
    }
    let mut next: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind != "send" && event.kind != "receive") {
        let topic = event.topic.as_deref().unwrap_or_default();
        let group = event.group.as_deref().unwrap_or_default();
        let topics = topics_of.get(event.span_id.as_str()).into_iter().flatten();
        next.entry((topic, group)).or_default().extend(topics);
    }
    for branch in branches.iter_mut() {
        let topics = next.get(&(branch.topic.as_str(), branch.group.as_str()));
        branch.sends_to = topics.into_iter().flatten().map(|topic| (*topic).to_owned()).collect();
    }
    let mut rest = std::mem::take(branches);
    rest.sort_by(|a, b| {
        (a.first_seen, &a.topic, &a.group).cmp(&(b.first_seen, &b.topic, &b.group))
    });
    while !rest.is_empty() {
        let awaited: BTreeSet<&str> = rest
            .iter()
            .flat_map(|branch| branch.sends_to.iter().filter(|topic| **topic != branch.topic))
            .map(String::as_str)
            .collect();
        let is_next = |branch: &Branch| !awaited.contains(branch.topic.as_str());
        let topic = rest.iter().find(|branch| is_next(branch)).or(rest.first());
        let Some(topic) = topic.map(|branch| branch.topic.clone()) else { return };
        let (now, later) = rest.into_iter().partition(|branch| branch.topic == topic);
        branches.extend::<Vec<Branch>>(now);
        rest = later;
    }
}

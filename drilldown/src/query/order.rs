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
    let mut awaited: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_topic: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, branch) in rest.iter().enumerate() {
        of_topic.entry(branch.topic.clone()).or_default().push(at);
        for topic in branch.sends_to.iter().filter(|topic| **topic != branch.topic) {
            *awaited.entry(topic.clone()).or_default() += 1;
        }
    }
    let is_awaited = |awaited: &BTreeMap<String, usize>, topic: &str| {
        awaited.get(topic).is_some_and(|senders| *senders > 0)
    };
    let mut left: BTreeMap<usize, Branch> = rest.into_iter().enumerate().collect();
    let mut ready: BTreeSet<usize> = BTreeSet::new();
    ready.extend(left.iter().filter(|(_, of)| !is_awaited(&awaited, &of.topic)).map(|(at, _)| *at));
    while let Some(next) = ready.first().or(left.keys().next()) {
        let Some(topic) = left.get(next).map(|branch| branch.topic.clone()) else { return };
        for at in of_topic.remove(&topic).into_iter().flatten() {
            ready.remove(&at);
            let Some(branch) = left.remove(&at) else { continue };
            for sent in branch.sends_to.iter().filter(|sent| **sent != topic) {
                let senders = awaited.entry(sent.clone()).or_default();
                *senders = senders.saturating_sub(1);
                if *senders == 0 {
                    ready.extend(of_topic.get(sent).into_iter().flatten());
                }
            }
            branches.push(branch);
        }
    }
}

//! The diagnosis: which hop lost the record, and on what evidence.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    absent, id,
    inputs::Fate,
    ledger::{self, Branch, Ledger},
    verdict::Verdict,
};
use crate::store::{Error, Store};

/// A verdict with its evidence.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) id: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) verdict: Verdict,
    /// The verdict in one sentence.
    pub(crate) summary: String,
    /// Every finding, the worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) ledger: Ledger,
}

/// One thing that was found at one hop.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) hop: String,
    pub(crate) evidence: String,
}

/// Decides what became of a trace, as far as is known at `now`, in nanoseconds since 1970.
pub(crate) fn diagnose(store: &dyn Store, text: &str, now: i64) -> Result<Diagnosis, Error> {
    let id = match id::resolve(text) {
        Ok(id) => id,
        Err(_) => return Ok(absent::malformed(text)),
    };
    let mut ledger = ledger::read(store, id, now)?;
    if ledger.received.is_empty() && ledger.branches.is_empty() && ledger.undelivered.is_empty() {
        return absent::explain(store, text, id, now);
    }
    let mut dropped: BTreeMap<String, i64> = BTreeMap::new();
    for row in store.dropped(ledger.first_heard)?.into_iter().filter(|row| row.ledger > 0) {
        *dropped.entry(row.service).or_default() += row.ledger;
    }
    let mut findings = of_requests(&ledger);
    let unsent = unsent(&ledger);
    let of_branches: Vec<Vec<Finding>> = ledger
        .branches
        .iter()
        .map(|branch| of_branch(branch, now, &dropped, &beyond(branch, &unsent, &ledger)))
        .collect();
    settle(&mut ledger.branches, &of_branches);
    findings.extend(of_branches.into_iter().flatten());
    findings.extend(untold(&ledger, &findings));
    findings.sort_by_key(|finding| finding.verdict);
    let (verdict, summary) = match findings.first() {
        Some(worst) => (worst.verdict, format!("{}: {}", worst.hop, worst.evidence)),
        None => (Verdict::Inconclusive, String::new()),
    };
    let trace_id = Some(id.to_string());
    Ok(Diagnosis { id: text.to_owned(), trace_id, verdict, summary, findings, ledger })
}

fn of_requests(ledger: &Ledger) -> Vec<Finding> {
    let mut findings = Vec::new();
    for event in &ledger.received {
        let status = event.http_status.map_or(String::new(), |code| format!("HTTP {code}, "));
        let reason = event.reason.as_deref().unwrap_or("no reason given");
        let mut found = |records: i64, verdict, what: &str| {
            if records > 0 {
                let all = event.records_in;
                let evidence = format!("{status}{records} of {all} records {what}: {reason}");
                let hop = format!("{} {}", event.service, event.name);
                findings.push(Finding { verdict, hop, evidence });
            }
        };
        let is_all = event.failed == event.records_in;
        let refused = if is_all { Verdict::RejectedHttp } else { Verdict::PartialProduce };
        found(event.failed, refused, "refused");
        found(event.dead_lettered, Verdict::TransformFailedDlq, "sent to the dead letters");
        found(event.filtered, Verdict::Filtered, "left out on purpose");
    }
    for undelivered in &ledger.undelivered {
        let evidence =
            format!("{} not taken by the broker: {}", undelivered.records, undelivered.reason);
        let hop = format!("send {}", undelivered.topic);
        findings.push(Finding { verdict: Verdict::PartialProduce, hop, evidence });
    }
    findings
}

/// Names a hop: the group, what it does, and where it reads.
fn name(branch: &Branch) -> String {
    let who = if branch.group.is_empty() { &branch.service } else { &branch.group };
    let parts = [branch.kind.as_str(), branch.topic.as_str()];
    let what: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if who.is_empty() { what.join(" ") } else { format!("{who} ({})", what.join(" ")) }
}

fn of_branch(
    branch: &Branch,
    now: i64,
    dropped: &BTreeMap<String, i64>,
    beyond: &BTreeMap<&str, i64>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |records: i64, verdict, evidence: String| {
        if records > 0 {
            findings.push(Finding { verdict, hop: name(branch), evidence });
        }
    };
    let is_sink = branch.kind == "insert";
    let at_sink = |sink, transform| if is_sink { sink } else { transform };
    let failed = at_sink(Verdict::DroppedAtMapping, Verdict::TransformFailedLost);
    let reasons = reasons(branch, Fate::Failed);
    let evidence = format!("{} failed and nothing else took them{reasons}", branch.failed);
    found(branch.failed, failed, evidence);

    // What a service had to drop of its ledger may be just what is missing here.
    let (verdict, why) = match dropped.get(&branch.service) {
        None if !beyond.is_empty() => {
            let topics: Vec<String> = beyond.keys().map(|topic| (*topic).to_owned()).collect();
            let records: i64 = beyond.values().sum();
            let why = format!(
                "yet {records} of this trace were read from {} that nobody told to have sent: {} \
                 handled some and ended before it could tell, most likely",
                list(&topics),
                branch.service
            );
            (Verdict::Inconclusive, why)
        }
        Some(events) => {
            let why = format!(
                "{} dropped {events} ledger events since, and what it did with them may be among \
                 those",
                branch.service
            );
            (Verdict::Inconclusive, why)
        }
        None => (
            Verdict::LostBetweenHops,
            format!("a loss, or evidence that never arrived; {}", last_heard(branch, now)),
        ),
    };
    let evidence = format!(
        "{} of {} records were sent and the group went past them without a trace of them: {why}",
        branch.unseen, branch.emitted
    );
    found(branch.unseen, verdict, evidence);

    let dead = at_sink(Verdict::DroppedAtMapping, Verdict::TransformFailedDlq);
    let reasons = self::reasons(branch, Fate::DeadLettered);
    found(
        branch.dead_lettered,
        dead,
        format!("{} sent to the dead letters{reasons}", branch.dead_lettered),
    );

    let batches = match branch.batches.as_slice() {
        [] => String::new(),
        [only] => format!(" by batch {only}"),
        several => format!(" by batches {}", list(several)),
    };
    let evidence = match is_sink {
        true => format!("{} inserted again{batches}", branch.duplicated),
        false => format!("{} processed again and sent on again", branch.duplicated),
    };
    found(branch.duplicated, Verdict::Duplicated, evidence);

    let reasons = self::reasons(branch, Fate::Pending);
    let pending = if reasons.is_empty() { Verdict::BatchPending } else { Verdict::BatchBlocked };
    found(branch.pending, pending, format!("{} on their way{reasons}", branch.pending));

    let who = match branch.group.as_str() {
        "" => "no consumer group has ever read this topic".to_owned(),
        _ => last_heard(branch, now),
    };
    let evidence = format!("{} not read yet; {who}", branch.waiting);
    found(branch.waiting, Verdict::ProducedNotConsumed, evidence);

    let reasons = self::reasons(branch, Fate::Filtered);
    let evidence = format!("{} left out on purpose{reasons}", branch.filtered);
    found(branch.filtered, Verdict::Filtered, evidence);
    if is_sink {
        let evidence = format!("{} inserted{batches}", branch.passed);
        found(branch.passed, Verdict::Inserted, evidence);
    }
    findings
}

/// Gives each branch the worst of what was found at it and on the way from it on.
fn settle(branches: &mut [Branch], findings: &[Vec<Finding>]) {
    let own = |at: usize| findings.get(at).into_iter().flatten().map(|finding| finding.verdict);
    let mut verdicts = Vec::new();
    for at in 0..branches.len() {
        let (mut seen, mut open) = (BTreeSet::from([at]), vec![at]);
        let mut worst: Option<Verdict> = None;
        while let Some(next) = open.pop() {
            worst = worst.into_iter().chain(own(next)).min();
            let Some(branch) = branches.get(next) else { continue };
            let below = (0..).zip(branches.iter());
            let below = below.filter(|(_, other)| branch.sends_to.contains(&other.topic));
            open.extend(below.map(|(other, _)| other).filter(|other| seen.insert(*other)));
        }
        verdicts.push(worst);
    }
    for (branch, verdict) in branches.iter_mut().zip(verdicts) {
        branch.verdict = verdict;
    }
}

/// Counts, by topic, the records that were read and that no `send` event has told of.
fn unsent(ledger: &Ledger) -> BTreeMap<String, i64> {
    let mut unsent = BTreeMap::new();
    for branch in ledger.branches.iter().filter(|branch| branch.records_in > branch.emitted) {
        let more: &mut i64 = unsent.entry(branch.topic.clone()).or_default();
        *more = (*more).max(branch.records_in - branch.emitted);
    }
    unsent
}

/// Picks the records without a `send` that this branch may have sent: of topics beyond its own, to
/// which no other branch sends.
fn beyond<'u>(
    branch: &Branch,
    unsent: &'u BTreeMap<String, i64>,
    ledger: &Ledger,
) -> BTreeMap<&'u str, i64> {
    let is_others = |topic: &String| {
        let others = ledger.branches.iter().filter(|other| other.topic != branch.topic);
        others.flat_map(|other| &other.sends_to).any(|sent| sent == topic)
    };
    let own = unsent.iter().filter(|(topic, _)| **topic != branch.topic && !is_others(topic));
    own.map(|(topic, records)| (topic.as_str(), *records)).collect()
}

/// Names what no hop has told: outputs that nobody saw again, records that end without a word.
fn untold(ledger: &Ledger, findings: &[Finding]) -> Vec<Finding> {
    let mut missing = Vec::new();
    let mut found = |hop: String, evidence: String| {
        missing.push(Finding { verdict: Verdict::Inconclusive, hop, evidence });
    };
    // What was read of a topic without a `send` is where the unconfirmed outputs went.
    let unsent = unsent(ledger);
    let arrived: i64 = unsent.values().sum();
    let of_request = |ledger: &Ledger| {
        ledger.received.first().map(|event| format!("{} {}", event.service, event.name))
    };
    let unconfirmed = ledger.branches.iter().map(|branch| (name(branch), branch.unconfirmed));
    let requests = (of_request(ledger).unwrap_or_default(), ledger.unconfirmed);
    let unconfirmed: Vec<(String, i64)> =
        std::iter::once(requests).chain(unconfirmed).filter(|(_, outputs)| *outputs > 0).collect();
    let outputs: i64 = unconfirmed.iter().map(|(_, outputs)| outputs).sum();
    if outputs > arrived {
        for (hop, outputs) in unconfirmed {
            found(
                hop,
                format!("{outputs} sent on; no `send` event tells whether they were delivered"),
            );
        }
    }
    let is_inserted = findings.iter().any(|finding| finding.verdict == Verdict::Inserted);
    let ends = ledger.branches.iter().filter(|branch| {
        branch.kind != "insert" && branch.sends_to.is_empty() && branch.unconfirmed == 0
    });
    for branch in ends.filter(|branch| branch.passed > 0 && !is_inserted) {
        let evidence = format!(
            "{} passed, and no `send` or `insert` event tells what became of them after that",
            branch.passed
        );
        found(name(branch), evidence);
    }
    if findings.is_empty() && missing.is_empty() {
        let evidence = "no hop after the request has told what it did: no `send`, `process` or \
            `insert` event has this trace";
        missing.push(Finding {
            verdict: Verdict::Inconclusive,
            hop: of_request(ledger).unwrap_or_default(),
            evidence: evidence.to_owned(),
        });
    }
    missing
}

/// Writes the reasons of a fate, with counts where there are several.
fn reasons(branch: &Branch, fate: Fate) -> String {
    let reasons: Vec<_> = branch.reasons.iter().filter(|reason| reason.fate == fate).collect();
    match reasons.as_slice() {
        [] => String::new(),
        [only] => format!(": {}", only.reason),
        several => {
            let texts: Vec<String> = several
                .iter()
                .map(|reason| format!("{} × {}", reason.records, reason.reason))
                .collect();
            format!(": {}", list(&texts))
        }
    }
}

/// Joins the first few of a list, and says how many are left out.
fn list(texts: &[String]) -> String {
    let shown = texts.get(..5).unwrap_or(texts);
    match texts.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Says who of the group was heard last, and when.
fn last_heard(branch: &Branch, now: i64) -> String {
    match branch.last_heard {
        0 => "the group was never heard".to_owned(),
        time => format!("{} was heard last {} s ago", branch.service, (now - time) / 1_000_000_000),
    }
}

//! The verdict: which hop lost the record, and on what evidence.

use serde::{Deserialize, Serialize};
use tracebaton::TraceId;

use super::{
    id,
    ledger::{self, Branch, Ledger},
};
use crate::store::{Error, Store};

/// What became of a trace, from the worst to the best.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// A transform failed and no dead-letter topic has the record.
    TransformFailedLost,
    /// Records were sent, the group went past them, and there is no evidence that it saw them.
    LostBetweenHops,
    /// The request was refused.
    RejectedHttp,
    /// Some records of the request went on, others were refused.
    PartialProduce,
    /// The sink could not map the record or the table would not have it.
    DroppedAtMapping,
    /// A transform failed, and a dead-letter topic has the record.
    TransformFailedDlq,
    /// A record was inserted more than once.
    Duplicated,
    /// A batch cannot get in, and is being tried again.
    BatchBlocked,
    /// A batch is on its way in.
    BatchPending,
    /// The group has not come to the record yet, or nobody reads the topic.
    ProducedNotConsumed,
    /// There is not enough evidence.
    Inconclusive,
    /// The text is not an id.
    IdMalformed,
    /// The id says it was made later than now.
    IdInFuture,
    /// The id was made before the oldest evidence that is kept.
    BeforeRetention,
    /// Nothing is known of this id.
    UnknownId,
    /// Every record was left out on purpose.
    Filtered,
    /// Every record that was to get in is in.
    Inserted,
}

impl Verdict {
    /// Returns the exit code of `tracebaton diagnose`: 0 as intended, 10 lost or refused, 11 in the
    /// dead letters, 12 in part or twice, 13 on its way, 14 unknown, 15 not enough evidence.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Inserted | Self::Filtered => 0,
            Self::TransformFailedLost | Self::LostBetweenHops | Self::RejectedHttp => 10,
            Self::DroppedAtMapping | Self::TransformFailedDlq => 11,
            Self::PartialProduce | Self::Duplicated => 12,
            Self::BatchBlocked | Self::BatchPending | Self::ProducedNotConsumed => 13,
            Self::UnknownId | Self::BeforeRetention | Self::IdInFuture | Self::IdMalformed => 14,
            Self::Inconclusive => 15,
        }
    }
}

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

/// Decides what became of a trace.
pub(crate) fn diagnose(store: &dyn Store, text: &str) -> Result<Diagnosis, Error> {
    let id = match id::resolve(text) {
        Ok(id) => id,
        Err(_) => return Ok(malformed(text)),
    };
    let ledger = ledger::read(store, &id.to_string())?;
    if ledger.received.is_empty() && ledger.branches.is_empty() && ledger.undelivered.is_empty() {
        return absent(store, text, id);
    }
    let mut findings = Vec::new();
    of_requests(&ledger, &mut findings);
    for branch in &ledger.branches {
        of_branch(store, branch, &mut findings)?;
    }
    if findings.is_empty() {
        let evidence = "no hop after the request has told what it did: no `send`, `process` or \
            `insert` event has this trace"
            .to_owned();
        let hop = ledger.received.first().map(|event| event.name.clone()).unwrap_or_default();
        findings.push(Finding { verdict: Verdict::Inconclusive, hop, evidence });
    }
    let dropped: i64 = store.dropped(first_time(&ledger))?.iter().map(|row| row.ledger).sum();
    if dropped > 0 {
        let evidence =
            format!("{dropped} ledger events were dropped by their senders since this trace began");
        let (verdict, hop) = (Verdict::Inconclusive, "export".to_owned());
        findings.push(Finding { verdict, hop, evidence });
    }
    findings.sort_by_key(|finding| finding.verdict);
    let (verdict, summary) = match findings.first() {
        Some(worst) => (worst.verdict, format!("{}: {}", worst.hop, worst.evidence)),
        None => (Verdict::Inconclusive, String::new()),
    };
    let trace_id = Some(id.to_string());
    Ok(Diagnosis { id: text.to_owned(), trace_id, verdict, summary, findings, ledger })
}

/// Explains what is wrong with a text that is not an id.
pub(crate) fn malformed(text: &str) -> Diagnosis {
    let what = id::resolve(text).err().unwrap_or_default();
    only(text, None, Verdict::IdMalformed, what)
}

fn first_time(ledger: &Ledger) -> i64 {
    ledger.received.iter().map(|event| event.time).min().unwrap_or(ledger.last_heard)
}

fn of_requests(ledger: &Ledger, findings: &mut Vec<Finding>) {
    for event in &ledger.received {
        let status = event.http_status.map_or(String::new(), |code| format!("HTTP {code}, "));
        let reason = event.reason.as_deref().unwrap_or("no reason given");
        let verdict = match (event.passed, event.failed) {
            (_, 0) => continue,
            (0, _) => Verdict::RejectedHttp,
            _ => Verdict::PartialProduce,
        };
        let evidence =
            format!("{status}{} of {} records refused: {reason}", event.failed, event.records_in);
        let hop = format!("{} {}", event.service, event.name);
        findings.push(Finding { verdict, hop, evidence });
    }
    for (topic, count, reason) in &ledger.undelivered {
        let evidence = format!("{count} not taken by the broker: {reason}");
        let hop = format!("send {topic}");
        findings.push(Finding { verdict: Verdict::PartialProduce, hop, evidence });
    }
}

fn of_branch(store: &dyn Store, branch: &Branch, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let hop = match (branch.group.as_str(), branch.kind.as_str()) {
        ("", _) => branch.topic.clone(),
        (group, "") => format!("{group} ({})", branch.topic),
        (group, kind) => format!("{group} ({kind} {})", branch.topic),
    };
    let mut found = |verdict, evidence| {
        findings.push(Finding { verdict, hop: hop.clone(), evidence });
    };
    let reasons = match branch.reasons.as_slice() {
        [] => String::new(),
        reasons => format!(": {}", reasons.join("; ")),
    };
    let is_sink = branch.kind == "insert";
    if branch.failed > 0 {
        let verdict =
            if is_sink { Verdict::DroppedAtMapping } else { Verdict::TransformFailedLost };
        found(verdict, format!("{} failed and nothing else took them{reasons}", branch.failed));
    }
    if branch.unseen > 0 {
        let silent = who_was_silent(store, branch)?;
        let evidence = format!(
            "{} of {} records were sent and the group went past them without a trace of them: a \
             loss, or evidence that never arrived{silent}",
            branch.unseen, branch.emitted
        );
        found(Verdict::LostBetweenHops, evidence);
    }
    if branch.dead_lettered > 0 {
        let verdict = if is_sink { Verdict::DroppedAtMapping } else { Verdict::TransformFailedDlq };
        found(verdict, format!("{} sent to the dead letters{reasons}", branch.dead_lettered));
    }
    if branch.duplicated > 0 {
        let batches = branch.batches.join(", ");
        let evidence = format!("{} inserted again, by batches {batches}", branch.duplicated);
        found(Verdict::Duplicated, evidence);
    }
    if branch.pending > 0 {
        let is_blocked = !branch.reasons.is_empty();
        let verdict = if is_blocked { Verdict::BatchBlocked } else { Verdict::BatchPending };
        found(verdict, format!("{} on their way{reasons}", branch.pending));
    }
    if branch.waiting > 0 {
        let who = if branch.group.is_empty() {
            "no consumer group has ever read this topic".to_owned()
        } else {
            who_was_silent(store, branch)?.trim_start_matches("; ").to_owned()
        };
        found(Verdict::ProducedNotConsumed, format!("{} not read yet; {who}", branch.waiting));
    }
    if branch.filtered > 0 {
        found(Verdict::Filtered, format!("{} left out on purpose{reasons}", branch.filtered));
    }
    if is_sink && branch.passed > 0 {
        let batches = branch.batches.join(", ");
        found(Verdict::Inserted, format!("{} inserted, batch {batches}", branch.passed));
    }
    Ok(())
}

/// Says who of the group was heard last, and when.
fn who_was_silent(store: &dyn Store, branch: &Branch) -> Result<String, Error> {
    let mut last = None;
    for partition in 0..64 {
        let position = store.position(&branch.topic, &branch.group, partition)?;
        last = last.max(position.map(|position| (position.time, position.service)));
    }
    Ok(match last {
        Some((time, service)) => {
            let ago = (id::now() - time) / 1_000_000_000;
            format!("; {service} was heard last {ago} s ago")
        }
        None => "; the group was never heard".to_owned(),
    })
}

/// Explains why nothing is found.
fn absent(store: &dyn Store, text: &str, id: TraceId) -> Result<Diagnosis, Error> {
    let has_more =
        !store.logs(&id.to_string())?.is_empty() || !store.spans(&id.to_string())?.is_empty();
    let (verdict, what) = if has_more {
        let what = "there are spans or log lines of this trace, and no ledger event: its services do \
            not record hops";
        (Verdict::Inconclusive, what.to_owned())
    } else {
        match id::made_at(id) {
            Some(made) if made > id::now() + 60_000_000_000 => {
                (Verdict::IdInFuture, "the id says it was made later than now".to_owned())
            }
            Some(made) => {
                let ago = (id::now() - made) / 1_000_000_000;
                match store.oldest()? {
                    Some(oldest) if oldest > made + 60_000_000_000 => {
                        let what = format!(
                            "the id was made {ago} s ago; the oldest evidence here is younger"
                        );
                        (Verdict::BeforeRetention, what)
                    }
                    _ => (Verdict::UnknownId, heard_around(store, made, ago)?),
                }
            }
            None => {
                let what = "no evidence has this id, and it does not tell when it was made";
                (Verdict::UnknownId, what.to_owned())
            }
        }
    };
    Ok(only(text, Some(id.to_string()), verdict, what))
}

fn heard_around(store: &dyn Store, made: i64, ago: i64) -> Result<String, Error> {
    let minute = 60_000_000_000;
    let heard = store.heard(made - minute, made + minute)?;
    let names: Vec<String> = heard.into_iter().map(|(service, _)| service).collect();
    let who = match names.as_slice() {
        [] => "no service was heard then: their export was down, or goes elsewhere".to_owned(),
        names => format!("heard then were {}, with other ids", names.join(", ")),
    };
    Ok(format!("the id was made {ago} s ago; {who}"))
}

fn only(text: &str, trace_id: Option<String>, verdict: Verdict, what: String) -> Diagnosis {
    let finding = Finding { verdict, hop: String::new(), evidence: what.clone() };
    Diagnosis {
        id: text.to_owned(),
        trace_id,
        verdict,
        summary: what,
        findings: vec![finding],
        ledger: Ledger::default(),
    }
}

//! What was found at each hop, in words.

use std::collections::BTreeMap;

use super::{
    diagnose::Finding,
    elapsed::elapsed,
    inputs::Fate,
    ledger::{Branch, Ledger},
    silent::{self, Silent},
    verdict::Verdict,
};

/// Says what became of the records of requests before any topic had them.
pub(super) fn of_requests(ledger: &Ledger) -> Vec<Finding> {
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
pub(super) fn name(branch: &Branch) -> String {
    let who = if branch.group.is_empty() { &branch.service } else { &branch.group };
    let parts = [branch.kind.as_str(), branch.topic.as_str()];
    let what: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if who.is_empty() { what.join(" ") } else { format!("{who} ({})", what.join(" ")) }
}

/// Says what became of the records at one hop. `dropped` is what services had to drop of their ledger,
/// `beyond` what was read further on and may have come from here, by topic; `silent` are the batches that
/// took records and told nothing.
pub(super) fn of_branch(
    branch: &Branch,
    now: i64,
    dropped: &BTreeMap<String, i64>,
    beyond: &BTreeMap<&str, i64>,
    silent: &[&Silent<'_>],
) -> Vec<Finding> {
    let taken = silent::linked(silent);
    let taken_by = silent::taken_by(silent, now);
    // What it took and what nobody has read yet look alike; a loss is not explained away by either.
    let held = taken.min(branch.waiting);
    let untold = (taken - held).min(branch.unseen);
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
    let what = match is_sink {
        true => "given up by the sink, and in no dead-letter topic",
        false => "failed and nothing else took them",
    };
    found(branch.failed, failed, format!("{} {what}{reasons}", branch.failed));

    let (verdict, why) = of_unseen(branch, now, dropped, beyond);
    let evidence = format!(
        "{} of {} records were sent and the group went past them without a trace of them: {why}",
        branch.unseen - untold,
        branch.emitted
    );
    found(branch.unseen - untold, verdict, evidence);
    let evidence = format!(
        "{untold} of {} records were sent and the group went past them: taken by {taken_by}, which \
         told nothing and ended before it could, most likely",
        branch.emitted
    );
    found(untold, Verdict::Inconclusive, evidence);

    let dead = at_sink(Verdict::DroppedAtMapping, Verdict::TransformFailedDlq);
    let reasons = self::reasons(branch, Fate::DeadLettered);
    found(
        branch.dead_lettered,
        dead,
        format!("{} sent to the dead letters{reasons}", branch.dead_lettered),
    );

    let batches: Vec<String> = branch.inserted_by.iter().cloned().collect();
    let batches = match batches.as_slice() {
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

    let evidence = format!(
        "{held} taken by {taken_by}, and nothing told since: it is at work, ended before it could \
         tell, or keeps no ledger"
    );
    found(held, Verdict::BatchPending, evidence);
    let who = match branch.group.as_str() {
        "" if held > 0 => "no consumer group has told of this topic".to_owned(),
        "" => "no consumer group has ever read this topic".to_owned(),
        _ => last_heard(branch, now),
    };
    let waiting = branch.waiting - held;
    let evidence = format!("{waiting} not read yet; {who}");
    found(waiting, Verdict::ProducedNotConsumed, evidence);

    let reasons = self::reasons(branch, Fate::Filtered);
    let evidence = format!("{} left out on purpose{reasons}", branch.filtered);
    found(branch.filtered, Verdict::Filtered, evidence);
    if is_sink {
        let evidence = format!("{} inserted{batches}", branch.passed);
        found(branch.passed, Verdict::Inserted, evidence);
    }
    findings
}

/// Says what it means that the group went past records without a word.
fn of_unseen(
    branch: &Branch,
    now: i64,
    dropped: &BTreeMap<String, i64>,
    beyond: &BTreeMap<&str, i64>,
) -> (Verdict, String) {
    // What a service had to drop of its ledger may be just what is missing here.
    match dropped.get(&branch.service) {
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
    }
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
        time => format!("{} was heard last {} ago", branch.service, elapsed(now - time)),
    }
}

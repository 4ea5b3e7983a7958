//! The two laws on random runs of a pipeline: what was lost, left out, failed, read twice or not yet
//! read is known from the run, and the ledger has to tell the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::{Verdict::*, *};

const OTHER: &str = "00000000000000000000000000000001";

/// What a transform does with a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Pass(i64),
    PassTwice,
    Filter,
    Fail,
    DeadLetter,
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..3_i64).prop_map(Step::Pass),
        1 => Just(Step::PassTwice),
        2 => Just(Step::Filter),
        1 => Just(Step::Fail),
        1 => Just(Step::DeadLetter),
        1 => Just(Step::Lose),
    ]
}

/// A record of the first topic: whether it is the trace's, and what its two readers do with it.
#[derive(Clone, Debug)]
struct Record {
    is_own: bool,
    transform: Step,
    audit: Step,
    /// How many times the transform had tried before.
    tries: usize,
}

#[derive(Clone, Debug)]
struct Run {
    raw: Vec<Record>,
    /// How far each group has come, in parts of 100.
    transform_read: usize,
    audit_read: usize,
    sync_read: usize,
    has_audit: bool,
    /// What the sink does with its records, in turn: `None` takes it in.
    sink: Vec<Option<Step>>,
    batch_size: usize,
    /// A stretch of the sink's topic that is inserted again, in parts of 100.
    again: Option<(usize, usize)>,
    /// Turns the order in which events arrive.
    turn: usize,
}

fn run() -> impl Strategy<Value = Run> {
    let record = (prop::bool::weighted(0.8), step(), step(), 0..3_usize)
        .prop_map(|(is_own, transform, audit, tries)| Record { is_own, transform, audit, tries });
    let sink = prop_oneof![
        8 => Just(None),
        1 => prop_oneof![Just(Step::Fail), Just(Step::DeadLetter), Just(Step::Lose)].prop_map(Some),
    ];
    let read = || prop_oneof![3 => Just(100_usize), 1 => 0..100_usize];
    let again = prop::option::of((0..100_usize, 0..100_usize));
    let shape = (vec(record, 1..16), vec(sink, 1..8), 1..8_usize, again, 0..100_usize);
    (shape, read(), read(), read(), any::<bool>()).prop_map(
        |(
            (mut raw, sink, batch_size, again, turn),
            transform_read,
            audit_read,
            sync_read,
            has_audit,
        )| {
            raw[0].is_own = true;
            Run {
                raw,
                transform_read,
                audit_read,
                sync_read,
                has_audit,
                sink,
                batch_size,
                again,
                turn,
            }
        },
    )
}

/// What is true of a group, counted as the run goes on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Truth {
    emitted: i64,
    passed: i64,
    filtered: i64,
    failed: i64,
    dead_lettered: i64,
    waiting: i64,
    unseen: i64,
    duplicated: i64,
}

/// Events of the run, and what they have to add up to.
#[derive(Default)]
struct Told {
    events: Vec<HopEvent>,
    truth: BTreeMap<&'static str, Truth>,
}

fn trace_of(is_own: bool) -> String {
    if is_own { TRACE } else { OTHER }.to_owned()
}

impl Told {
    /// Tells what a group of transforms did, and returns what it sent on: whose records.
    fn transform(&mut self, group: &'static str, raw: &[Record], until: usize) -> Vec<bool> {
        let step_of = |record: &Record| match group {
            "audit" => record.audit,
            _ => record.transform,
        };
        let is_told = |record: &Record| step_of(record) != Step::Lose;
        let position = raw[..until].iter().rposition(is_told);
        let mut truth = Truth::default();
        let mut out = Vec::new();
        for (at, record) in raw.iter().enumerate() {
            let (step, own) = (step_of(record), i64::from(record.is_own));
            truth.emitted += own;
            if at >= until || !is_told(record) {
                let is_behind = position.is_none_or(|position| position < at);
                *(if is_behind { &mut truth.waiting } else { &mut truth.unseen }) += own;
                continue;
            }
            // Offset 0 was there before the trace.
            let offset = at as i64 + 1;
            let (fate, outputs) = match step {
                Step::Pass(outputs) => (Fate::Passed, outputs),
                Step::PassTwice => (Fate::Passed, 1),
                Step::Filter => (Fate::Filtered, 0),
                Step::Fail => (Fate::Failed, 0),
                _ => (Fate::DeadLettered, 0),
            };
            *(match fate {
                Fate::Passed => &mut truth.passed,
                Fate::Filtered => &mut truth.filtered,
                Fate::Failed => &mut truth.failed,
                _ => &mut truth.dead_lettered,
            }) += own;
            let mut tell = |span: String, time: i64, fate: Fate, outputs: i64| {
                let time = NOW - 3600 * SECOND + time;
                let trace_id = trace_of(record.is_own);
                let mut event = read(&span, "raw", group, offset, fate);
                event.emitted = outputs;
                self.events.push(HopEvent { trace_id: trace_id.clone(), time, ..event });
                if outputs > 0 {
                    let (topic, first) =
                        (if group == "audit" { "audited" } else { "users" }, out.len() as i64);
                    let sent = sent(&span, topic, first, first + outputs - 1);
                    self.events.push(HopEvent { trace_id, time, ..sent });
                    out.extend((0..outputs).map(|_| record.is_own));
                }
            };
            for attempt in 0..record.tries {
                let fate = if attempt % 2 == 0 { Fate::Failed } else { Fate::Pending };
                tell(format!("{group}-{at}-{attempt}"), attempt as i64, fate, 0);
            }
            tell(format!("{group}-{at}"), 10, fate, outputs);
            if step == Step::PassTwice {
                tell(format!("{group}-{at}-again"), 11, fate, outputs);
                truth.duplicated += own;
            }
            if fate == Fate::Passed && record.tries == 2 {
                tell(format!("{group}-{at}-late"), 12, Fate::Failed, 0);
            }
        }
        self.truth.insert(group, truth);
        out
    }

    /// Tells what the sink did with what was sent to it.
    fn sink(&mut self, run: &Run, users: &[bool]) {
        let until = users.len() * run.sync_read / 100;
        let step_of = |at: usize| run.sink[at % run.sink.len()];
        let position = (0..until).rev().find(|at| step_of(*at) != Some(Step::Lose));
        let mut truth = Truth::default();
        for (at, is_own) in users.iter().enumerate() {
            let own = i64::from(*is_own);
            truth.emitted += own;
            *(match step_of(at) {
                _ if at >= until && position.is_none_or(|position| position < at) => {
                    &mut truth.waiting
                }
                Some(Step::Lose) if position.is_none_or(|position| position < at) => {
                    &mut truth.waiting
                }
                Some(Step::Lose) => &mut truth.unseen,
                Some(Step::Fail) => &mut truth.failed,
                Some(_) => &mut truth.dead_lettered,
                None => &mut truth.passed,
            }) += own;
        }
        let offsets: Vec<usize> = (0..until).collect();
        for (number, chunk) in offsets.chunks(run.batch_size).enumerate() {
            let id = format!("batch-{number}");
            let is_in = |at: &&usize| step_of(**at).is_none();
            let members: Vec<&str> = chunk
                .iter()
                .filter(is_in)
                .map(|at| if users[*at] { TRACE } else { OTHER })
                .collect();
            for at in chunk {
                let fate = match step_of(*at) {
                    Some(Step::Fail) => Fate::Failed,
                    Some(Step::DeadLetter) => Fate::DeadLettered,
                    _ => continue,
                };
                let left = read(&format!("left-{at}"), "users", "sync", *at as i64, fate);
                self.events.push(HopEvent {
                    kind: "insert".into(),
                    trace_id: trace_of(users[*at]),
                    batch_id: Some(id.clone()),
                    ..left
                });
            }
            let (Some(first), Some(last)) =
                (chunk.iter().find(is_in), chunk.iter().rev().find(is_in))
            else {
                continue;
            };
            // Tried once in vain.
            for (time, fate) in [(0, Fate::Pending), (1, Fate::Passed)] {
                let event = batch(&id, "users", *first as i64, &members, fate);
                let time = NOW - 3600 * SECOND + time;
                self.events.push(HopEvent { time, last: Some(*last as i64), ..event });
            }
        }
        // A stretch without losses is read and inserted again, within other bounds.
        let stretch = run.again.map(|(a, b)| (a.min(b) * until / 100, a.max(b) * until / 100));
        if let Some((from, to)) = stretch
            && from < to
            && (0..until).all(|at| step_of(at).is_none())
        {
            let members: Vec<&str> =
                users[from..to].iter().map(|own| if *own { TRACE } else { OTHER }).collect();
            self.events.push(batch("again", "users", from as i64, &members, Fate::Passed));
            truth.duplicated = users[from..to].iter().filter(|own| **own).count() as i64;
        }
        self.truth.insert("sync", truth);
    }
}

/// Plays a run, and returns what its hops told.
fn play(run: &Run) -> Told {
    let mut told = Told::default();
    let own: Vec<i64> =
        (1..).zip(&run.raw).filter(|(_, record)| record.is_own).map(|(offset, _)| offset).collect();
    let (first, last) = (own[0], own[own.len() - 1]);
    let records = own.len() as i64;
    told.events.push(request(records));
    let sent = sent("request", "raw", first, last);
    told.events.push(HopEvent { records_in: records, passed: records, emitted: records, ..sent });
    let groups: &[&'static str] =
        if run.has_audit { &["transform", "audit"] } else { &["transform"] };
    for group in groups {
        // The groups were there before.
        told.events.push(HopEvent {
            trace_id: OTHER.into(),
            time: NOW - 7200 * SECOND,
            ..read("earlier", "raw", group, 0, Fate::Filtered)
        });
    }
    let until = |part: usize| run.raw.len() * part / 100;
    if run.has_audit {
        told.transform("audit", &run.raw, until(run.audit_read));
    }
    let users = told.transform("transform", &run.raw, until(run.transform_read));
    told.sink(run, &users);
    told
}

fn expected(group: &str, truth: &Truth) -> BTreeSet<Verdict> {
    let is_sink = group == "sync";
    let at_sink = |sink, transform| if is_sink { sink } else { transform };
    [
        (truth.failed, at_sink(DroppedAtMapping, TransformFailedLost)),
        (truth.dead_lettered, at_sink(DroppedAtMapping, TransformFailedDlq)),
        (truth.unseen, LostBetweenHops),
        (truth.duplicated, Duplicated),
        (truth.waiting, ProducedNotConsumed),
        (truth.filtered, Filtered),
        (if is_sink { truth.passed } else { 0 }, Inserted),
    ]
    .into_iter()
    .filter(|(records, _)| *records > 0)
    .map(|(_, verdict)| verdict)
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_ledger_tells_what_became_of_every_record(run in run()) {
        let mut told = play(&run);
        // Events arrive in any order, and some of them twice.
        let turn = run.turn % told.events.len();
        told.events.rotate_left(turn);
        told.events.extend(told.events.first().cloned());
        let diagnosis = diagnosis_of(told.events);
        let mut all = BTreeSet::new();
        for (group, truth) in &told.truth {
            let branch = diagnosis.ledger.branches.iter().find(|branch| {
                branch.group == *group || (branch.group.is_empty() && branch.topic == "users")
            });
            let Some(branch) = branch else {
                prop_assert_eq!(truth.emitted, 0, "nothing is told of {}", group);
                continue;
            };
            let settled = branch.passed + branch.filtered + branch.failed + branch.dead_lettered;
            prop_assert_eq!(branch.records_in, settled + branch.pending, "first law at {}", group);
            prop_assert_eq!(
                branch.emitted,
                branch.records_in + branch.waiting + branch.unseen,
                "second law at {}: {:?}", group, branch
            );
            let mut of_ledger = Truth {
                emitted: branch.emitted,
                passed: branch.passed,
                filtered: branch.filtered,
                failed: branch.failed,
                dead_lettered: branch.dead_lettered,
                waiting: branch.waiting,
                unseen: branch.unseen,
                duplicated: branch.duplicated,
            };
            let mut truth = truth.clone();
            // Between records of others it is not known which of the trace's are missing; as long
            // as the group has not read them all, they count as waiting.
            if truth.waiting > 0 && run.raw.iter().any(|record| !record.is_own) {
                for counts in [&mut of_ledger, &mut truth] {
                    counts.waiting += std::mem::take(&mut counts.unseen);
                }
            }
            prop_assert_eq!(&of_ledger, &truth, "{}", group);
            let hop = |hop: &str| {
                hop.starts_with(&format!("{group} (")) || (*group == "sync" && hop == "users")
            };
            let findings = diagnosis.findings.iter().filter(|finding| hop(&finding.hop));
            let mut found: BTreeSet<Verdict> = findings.map(|finding| finding.verdict).collect();
            let mut expected = expected(group, &truth);
            if truth.waiting > 0 {
                found.remove(&LostBetweenHops);
                expected.remove(&LostBetweenHops);
            }
            // Where nothing is inserted, a hop that passed records on to nobody says so.
            found.remove(&Inconclusive);
            prop_assert_eq!(&found, &expected, "{}", group);
            all.extend(diagnosis.findings.iter().map(|finding| finding.verdict));
        }
        prop_assert_eq!(Some(&diagnosis.verdict), all.first());
        prop_assert!(diagnosis.verdict != Filtered || told.truth.values().all(|truth| truth.passed == 0));
    }
}

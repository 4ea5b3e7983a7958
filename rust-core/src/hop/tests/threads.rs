//! What many threads record, while somebody takes it.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::*;

/// Takes all there is.
fn take_all(recorder: &Recorder) -> Counts {
    let mut counts = Counts::default();
    loop {
        let taken = recorder.take();
        if taken.is_empty() {
            return counts;
        }
        let logs = ScopeLogs::decode(taken.logs.as_slice()).unwrap().log_records;
        let spans = ScopeSpans::decode(taken.spans.as_slice()).unwrap().spans;
        assert_eq!(spans.len() as u64, taken.counts.spans);
        assert_eq!(logs.len() as u64, taken.counts.logs + taken.counts.ledger);
        recorder.settle(taken.spans.len() + taken.logs.len());
        counts += taken.counts;
    }
}

#[test]
fn nothing_stays_behind_in_threads_that_have_ended_or_idle() {
    let recorder = recorder();
    let (done, stop) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let work = |recorder: Recorder| {
        move || (0..2_000).for_each(|offset| Hop::process(&recorder, &at(offset), &baton()).end())
    };
    let idle: Vec<_> = (0..2)
        .map(|_| {
            let (work, done, stop) = (work(recorder.clone()), done.clone(), stop.clone());
            thread::spawn(move || {
                work();
                done.wait();
                stop.wait();
            })
        })
        .collect();
    for _ in 0..3 {
        thread::spawn(work(recorder.clone())).join().unwrap();
    }
    done.wait();
    let all = Counts { spans: 10_000, logs: 0, ledger: 10_000 };
    assert_eq!(recorder.held(), all);
    assert_eq!(take_all(&recorder), all);
    assert_eq!(recorder.0.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(recorder.lock().shards.len(), 2, "those of threads that have ended are gone");
    stop.wait();
    idle.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn what_is_taken_while_others_record_is_whole_and_counted_once() {
    let recorder = recorder();
    recorder.set_limit(256 << 10);
    let is_over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let recorder = recorder.clone();
            thread::spawn(move || {
                for offset in 0..5_000 {
                    let hop = Hop::process(&recorder, &at(offset), &baton());
                    hop.output("users").delivered(0, offset);
                    hop.end();
                }
            })
        })
        .collect();
    let taker = {
        let (recorder, is_over) = (recorder.clone(), is_over.clone());
        thread::spawn(move || {
            let mut counts = Counts::default();
            while !is_over.load(Ordering::Relaxed) {
                counts += take_all(&recorder);
            }
            counts
        })
    };
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    is_over.store(true, Ordering::Relaxed);
    let mut counts = taker.join().unwrap();
    counts += take_all(&recorder);
    counts += recorder.take_dropped();
    assert_eq!(counts, Counts { spans: 30_000, logs: 0, ledger: 30_000 });
    assert_eq!(recorder.0.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_is_ending_still_records() {
    struct Last(Recorder);
    impl Drop for Last {
        fn drop(&mut self) {
            Hop::process(&self.0, &at(1), &baton()).end();
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });
    let recorder = recorder();
    let own = recorder.clone();
    thread::spawn(move || {
        LAST.set(Some(Last(own.clone())));
        Hop::process(&own, &at(0), &baton()).end();
    })
    .join()
    .unwrap();
    assert_eq!(take_all(&recorder), Counts { spans: 2, logs: 0, ledger: 2 });
}

#[test]
fn a_recorder_that_is_gone_leaves_nothing_in_the_threads_it_was_used_in() {
    let weak = {
        let recorder = recorder();
        Hop::process(&recorder, &at(1), &baton()).end();
        Arc::downgrade(&recorder.0)
    };
    assert_eq!(weak.strong_count(), 0);
}

#[test]
fn a_child_that_forgot_records_anew_in_the_thread_that_forked() {
    let recorder = recorder();
    Hop::process(&recorder, &at(1), &baton()).end();
    recorder.pause().forget();
    recorder.switch(true);
    Hop::process(&recorder, &at(2), &baton()).end();
    let (spans, logs) = read(&recorder);
    assert_eq!((spans.len(), logs.len()), (1, 1));
    assert_eq!(map(&spans[0].attributes)["messaging.kafka.offset"], "2");
}

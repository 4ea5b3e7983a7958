//! Hops that wait to hear of their outputs, or have heard and are not done: told at the latest when the
//! export stops.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{recorder::Recorder, state::Inner};

const PARTS: usize = 16;

/// The hops that wait, each in the part of the thread that said so: threads do not wait for each other.
#[derive(Default)]
pub(super) struct Waiting([Part; PARTS]);

/// No two parts are in one line of the processor's cache.
#[derive(Default)]
#[repr(align(128))]
struct Part(Mutex<List>);

/// They are not kept alive: a hop whose last handle goes settles by itself.
#[derive(Default)]
pub(super) struct List {
    hops: Vec<Option<Weak<Inner>>>,
    /// Which places in the list are free.
    free: Vec<usize>,
}

/// A place in the lists of those that wait.
pub(super) struct Ticket {
    part: usize,
    at: usize,
    /// How often the recorder had been forgotten: tickets of an earlier life are worth nothing.
    age: u64,
}

impl Waiting {
    fn add(&self, hop: Weak<Inner>, age: u64) -> Option<Ticket> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PARTS;
        }
        let part = OWN.try_with(|own| *own).unwrap_or(0);
        let at = self.0.get(part)?.lock().add(hop);
        Some(Ticket { part, at, age })
    }

    fn remove(&self, ticket: &Ticket) -> Option<Weak<Inner>> {
        self.0.get(ticket.part)?.lock().remove(ticket.at)
    }

    /// Locks all of it.
    pub(super) fn hold(&self) -> [MutexGuard<'_, List>; PARTS] {
        self.0.each_ref().map(Part::lock)
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn add(&mut self, hop: Weak<Inner>) -> usize {
        if let Some(at) = self.free.pop()
            && let Some(place) = self.hops.get_mut(at)
        {
            *place = Some(hop);
            return at;
        }
        self.hops.push(Some(hop));
        self.hops.len() - 1
    }

    fn remove(&mut self, at: usize) -> Option<Weak<Inner>> {
        let place = self.hops.get_mut(at)?;
        self.free.push(at);
        place.take()
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Weak<Inner>> + use<> {
        self.free.clear();
        mem::take(&mut self.hops).into_iter().flatten()
    }
}

impl Recorder {
    /// Takes note of a hop that waits.
    pub(super) fn wait(&self, hop: Weak<Inner>) -> Option<Ticket> {
        self.waiting().add(hop, self.age())
    }

    /// Tells whether a ticket is of this life: a process that forks gives its child none, where whoever
    /// goes on with a hop that waited has to say so anew.
    #[inline]
    pub(super) fn knows(&self, ticket: &Ticket) -> bool {
        ticket.age == self.age()
    }

    /// Returns how often all that was recorded was forgotten.
    pub(super) fn age(&self) -> u64 {
        self.0.age.load(Ordering::Relaxed)
    }

    /// Takes note that a hop waits no longer.
    pub(super) fn waits_no_more(&self, ticket: &Ticket) {
        if self.knows(ticket) {
            // The lock is let go first: to forget a hop may be to free its memory.
            let _hop = self.waiting().remove(ticket);
        }
    }

    /// Settles the hops that are done and still wait for word of their outputs: these count as
    /// unconfirmed. An exporter that stops does so, lest such a hop leave no trace.
    pub fn settle_waiting(&self) {
        self.each_waiting(|hop| hop.close_if_done());
    }

    /// Settles all hops of which the broker has an output, done or not: what is not is pending. An
    /// exporter does so last of all.
    pub fn settle_open(&self) {
        self.each_waiting(Inner::stop);
    }

    fn each_waiting(&self, each: impl Fn(&Inner)) {
        for part in &self.waiting().0 {
            let hops: Vec<_> = part.lock().hops.iter().flatten().cloned().collect();
            // A hop locks itself first and then the recorder, so this one is let go by now.
            hops.into_iter().filter_map(|hop| hop.upgrade()).for_each(|hop| each(&hop));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        hop::{Coordinates, Hop, Recorder},
        propagate::Baton,
    };

    fn start() -> (Recorder, Hop) {
        let recorder = Recorder::new();
        recorder.switch(true);
        let input = Coordinates { topic: "raw".into(), partition: 0, offset: 1, group: None };
        let hop = Hop::process(&recorder, &input, &Baton::default());
        (recorder, hop)
    }

    fn waiting(recorder: &Recorder) -> usize {
        recorder.waiting().hold().iter().map(|list| list.hops.iter().flatten().count()).sum()
    }

    fn places(recorder: &Recorder) -> usize {
        recorder.waiting().hold().iter().map(|list| list.hops.len()).sum()
    }

    #[test]
    fn a_hop_waits_until_its_last_output_is_told() {
        let (recorder, hop) = start();
        let (one, two) = (hop.output("out"), hop.output("out"));
        hop.end();
        one.delivered(0, 1);
        assert_eq!(waiting(&recorder), 1);
        two.delivered(0, 2);
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 2));
    }

    #[test]
    fn a_hop_whose_handles_are_gone_waits_no_more() {
        let (recorder, hop) = start();
        let output = hop.output("out");
        hop.end();
        drop(hop);
        assert_eq!(waiting(&recorder), 1);
        drop(output);
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 1));
    }

    #[test]
    fn what_was_delivered_before_the_export_stops_is_told_with_its_hop() {
        let (recorder, hop) = start();
        hop.output("out").delivered(0, 1);
        recorder.settle_waiting();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (1, 0), "it may still be done");
        recorder.settle_open();
        let held = recorder.held();
        assert_eq!((waiting(&recorder), held.ledger, held.spans), (0, 2, 2));
        hop.end();
        assert_eq!(recorder.held(), held, "once");
    }

    #[test]
    fn a_hop_that_is_done_after_its_output_was_delivered_waits_no_more() {
        let (recorder, hop) = start();
        hop.output("out").delivered(0, 1);
        assert_eq!(waiting(&recorder), 1);
        hop.end();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 2));
    }

    #[test]
    fn threads_wait_each_in_a_part_of_its_own() {
        let (recorder, hop) = start();
        let output = hop.output("out");
        std::thread::spawn(move || output.delivered(0, 1)).join().unwrap();
        let (other, _output) = (hop.clone(), hop.output("out"));
        assert_eq!(waiting(&recorder), 1);
        other.close();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 2));
    }

    #[test]
    fn a_hop_without_outputs_never_waits() {
        let (recorder, hop) = start();
        hop.end();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 1));
    }

    #[test]
    fn who_was_told_of_does_not_push_out_who_came_after() {
        let (recorder, hop) = start();
        let output = hop.output("out");
        hop.failed("ValueError", "no");
        recorder.settle_waiting();
        let input = Coordinates { topic: "raw".into(), partition: 0, offset: 2, group: None };
        let hops = [(); 3].map(|()| Hop::process(&recorder, &input, &Baton::default()));
        let outputs = hops.each_ref().map(|hop| hop.output("out"));
        hops.iter().for_each(Hop::end);
        output.delivered(0, 1);
        assert_eq!(waiting(&recorder), 3);
        let mut outputs = outputs.into_iter();
        drop(outputs.next());
        hop.end();
        let more = Hop::process(&recorder, &input, &Baton::default());
        let another = more.output("out");
        more.end();
        assert_eq!((waiting(&recorder), places(&recorder)), (3, 3), "used again");
        drop((outputs, another));
        assert_eq!(waiting(&recorder), 0);
    }

    #[test]
    fn places_given_before_a_fork_are_nobodys_in_the_child() {
        let (recorder, hop) = start();
        let wait = || {
            let input = Coordinates { topic: "raw".into(), partition: 0, offset: 2, group: None };
            let hop = Hop::process(&recorder, &input, &Baton::default());
            let output = hop.output("out");
            hop.end();
            (hop, output)
        };
        let [first, second] = [wait(), wait()];
        let old = hop.output("out");
        hop.end();
        drop(first);
        drop(second);
        recorder.pause().forget();
        recorder.switch(true);
        let new = [wait(), wait(), wait()];
        assert_eq!((waiting(&recorder), places(&recorder)), (3, 3), "each has a place of its own");
        drop(old);
        assert_eq!(waiting(&recorder), 3, "the old one's place is another's now");
        drop(new);
        assert_eq!(waiting(&recorder), 0);
    }

    #[test]
    fn a_hop_that_waited_before_a_fork_waits_anew_where_it_goes_on() {
        let (recorder, hop) = start();
        hop.output("out").delivered(0, 1);
        recorder.pause().forget();
        recorder.switch(true);
        let _output = hop.output("out");
        assert_eq!(waiting(&recorder), 0, "so far it is the parent's alone");
        hop.end();
        recorder.settle_waiting();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 2));
    }

    #[test]
    fn what_failed_is_told_even_if_it_was_never_ended() {
        for is_dead_letter in [false, true] {
            let (recorder, hop) = start();
            let tell = if is_dead_letter { Hop::dead_lettered } else { Hop::failed };
            tell(&hop, "ValueError", "no");
            let _output = hop.output("out");
            recorder.settle_waiting();
            assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 1));
            hop.end();
            assert_eq!((recorder.held().ledger, recorder.held().spans), (1, 1), "once");
        }
    }
}

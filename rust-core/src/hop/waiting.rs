//! Hops that are done and wait to hear of their outputs: told at the latest when the export stops.

use std::{collections::HashMap, sync::Weak};

use super::{recorder::Recorder, state::Inner};
use crate::wire::SpanId;

/// The hops that wait. They are not kept alive: a hop whose last handle goes settles by itself.
#[derive(Default)]
pub(super) struct Waiting(HashMap<SpanId, Weak<Inner>>);

impl Recorder {
    /// Takes note of a hop that waits.
    pub(super) fn wait(&self, span_id: SpanId, hop: Weak<Inner>) {
        self.waiting().0.insert(span_id, hop);
    }

    /// Takes note that a hop waits no longer.
    pub(super) fn waits_no_more(&self, span_id: SpanId) {
        self.waiting().0.remove(&span_id);
    }

    /// Settles the hops that are done and still wait for word of their outputs: these count as
    /// unconfirmed. An exporter that stops does so, lest such a hop leave no trace.
    pub fn settle_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        // A hop locks itself first and then the recorder, so this one is let go by now.
        for hop in waiting.0.into_values().filter_map(|hop| hop.upgrade()) {
            hop.close();
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
        recorder.waiting().0.len()
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
    fn a_hop_without_outputs_never_waits() {
        let (recorder, hop) = start();
        hop.end();
        assert_eq!((waiting(&recorder), recorder.held().ledger), (0, 1));
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

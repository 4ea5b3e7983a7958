//! Which traces are kept: consistent probability sampling, decided once for the whole relay.
//!
//! A trace is sampled where 56 bits of randomness are not below a threshold (OpenTelemetry, "TraceState
//! probability sampling"). The randomness is the trace id's right-most 56 bits, or the explicit `rv`
//! of `tracestate`, so that every hop that has to decide decides alike; the threshold goes along as
//! `th`, so that whoever counts spans knows how many traces each stands for.
//!
//! The stock `traceidratio` samplers compare the right-most 64 bits instead. In a UUIDv7 the first
//! two of those are always `10`: at a ratio of one half or less nothing is sampled, and from three
//! quarters on everything.

mod ot;

use sha2::{Digest, Sha256};

use self::ot::OtEntry;
use crate::{
    propagate::Baton,
    wire::{TraceId, TraceState},
};

/// The randomness has 56 bits.
const BITS: u32 = 56;
/// The threshold that nothing reaches.
const NEVER: u64 = 1 << BITS;

/// Decides which new traces are sampled; a trace that is decided stays as it is.
///
/// # Examples
///
/// ```
/// use tracebaton::{TraceId, sample::Sampler, wire::TraceState};
///
/// let sampler = Sampler::new(0.25);
/// let trace_id = TraceId::parse("0198f3a1c0de7abc8ac0ffee00000001")?;
/// let decision = sampler.decide(trace_id, true, &TraceState::default());
/// assert!(decision.is_sampled);
/// assert_eq!(decision.tracestate.as_str(), "ot=th:c");
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    threshold: u64,
}

/// What was decided of a new trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether its spans are kept.
    pub is_sampled: bool,
    /// The state that goes along with it.
    pub tracestate: TraceState,
}

impl Sampler {
    /// Creates a sampler that keeps this share of all new traces: none at 0, all at 1.
    ///
    /// The share is rounded to four significant hexadecimal digits of the threshold, as the
    /// specification recommends, so that `tracestate` stays short.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        let kept = (rate.clamp(0.0, 1.0) * NEVER as f64).round() as u64;
        // The smallest share there is.
        let kept = if rate > 0.0 { kept.max(1) } else { 0 };
        Self { threshold: ot::rounded(NEVER - kept.min(NEVER)) }
    }

    /// Returns the share of new traces that are kept.
    #[must_use]
    pub fn rate(self) -> f64 {
        (NEVER - self.threshold) as f64 / NEVER as f64
    }

    /// Decides on a trace that nobody has decided on yet.
    ///
    /// `is_random` tells whether the trace id's right-most 56 bits are known or presumed to be
    /// random. A given id, say a counter's, need not be: its randomness is then made of all of it, and
    /// goes along as `rv`, so that every hop still decides alike.
    #[must_use]
    pub fn decide(self, trace_id: TraceId, is_random: bool, tracestate: &TraceState) -> Decision {
        let mut entry = OtEntry::of(tracestate);
        let randomness = match (entry.randomness, is_random) {
            (Some(explicit), _) => explicit,
            (None, true) => low_bits(trace_id),
            (None, false) => *entry.randomness.insert(hashed_bits(trace_id)),
        };
        let is_sampled = randomness >= self.threshold;
        // A threshold beside a trace that was not sampled would be false.
        entry.threshold = is_sampled.then_some(self.threshold);
        Decision { is_sampled, tracestate: entry.put_into(tracestate) }
    }

    /// Decides on a baton whose trace has just begun, or whose decision was left open; any other is
    /// left as it is.
    #[must_use]
    pub fn decide_on(self, mut baton: Baton) -> Baton {
        let Some(context) = &mut baton.context else { return baton };
        if context.span_id.is_some() && !baton.is_deferred {
            return baton;
        }
        // Only an id that came without a span is suspected of not being random.
        let is_random = context.flags.is_random() || context.span_id.is_some();
        let decision = self.decide(context.trace_id, is_random, &baton.tracestate);
        context.flags = context.flags.with_sampled(decision.is_sampled || baton.is_debug);
        baton.tracestate = decision.tracestate;
        baton.is_deferred = false;
        baton
    }
}

fn low_bits(trace_id: TraceId) -> u64 {
    (u128::from_be_bytes(trace_id.to_bytes()) & u128::from(NEVER - 1)) as u64
}

fn hashed_bits(trace_id: TraceId) -> u64 {
    let hash = Sha256::new().chain_update(b"tracebaton/rv/v1\0").chain_update(trace_id.to_bytes());
    hash.finalize().iter().take(7).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TraceId {
        TraceId::parse(text).unwrap()
    }

    fn decide(rate: f64, trace_id: &str, state: &str) -> (bool, String) {
        let state = TraceState::parse(state).unwrap();
        let decision = Sampler::new(rate).decide(id(trace_id), true, &state);
        (decision.is_sampled, decision.tracestate.to_string())
    }

    const HALF: &str = "ffffffffffffffffff80000000000000";
    const BELOW: &str = "ffffffffffffffffff7fffffffffffff";

    #[test]
    fn the_right_most_56_bits_decide() {
        assert_eq!(decide(0.5, HALF, ""), (true, "ot=th:8".into()));
        assert_eq!(decide(0.5, BELOW, ""), (false, String::new()));
        assert_eq!(decide(1.0, "ffffffffffffffffff00000000000000", ""), (true, "ot=th:0".into()));
        assert_eq!(decide(0.0, "ffffffffffffffffffffffffffffffff", ""), (false, String::new()));
    }

    #[test]
    fn explicit_randomness_goes_before_the_id() {
        let state = "a=1,ot=p:8;rv:ffffffffffffff;th:1";
        let after = "ot=rv:ffffffffffffff;th:8;p:8,a=1";
        assert_eq!(decide(0.5, BELOW, state), (true, after.into()));
        let low = "ot=rv:00000000000000";
        assert_eq!(decide(0.5, HALF, low), (false, low.into()));
        // What is not 14 digits is not randomness.
        assert_eq!(decide(0.5, HALF, "ot=rv:0"), (true, "ot=th:8".into()));
        assert_eq!(decide(0.5, HALF, "ot=rv:FFFFFFFFFFFFFF"), (true, "ot=th:8".into()));
    }

    #[test]
    fn the_smallest_share_is_not_nothing() {
        let sampler = Sampler::new(1e-30);
        assert!(sampler.rate() > 0.0);
        assert_eq!(Sampler::new(f64::NAN).rate(), 0.0);
        for rate in [0.0, 0.01, 0.1, 0.5, 0.9, 1.0] {
            assert!((Sampler::new(rate).rate() - rate).abs() < 1e-4, "{rate}");
        }
    }

    #[test]
    fn a_given_id_takes_its_randomness_along() {
        let counters = (1..=10_000u128).filter_map(|n| TraceId::from_bytes(n.to_be_bytes()));
        let decide = |id| Sampler::new(0.5).decide(id, false, &TraceState::default());
        let decisions: Vec<(TraceId, Decision)> = counters.map(|id| (id, decide(id))).collect();
        let sampled = decisions.iter().filter(|(_, decision)| decision.is_sampled).count();
        assert!((4_850..5_150).contains(&sampled), "{sampled}");
        for (id, decision) in decisions {
            let next = Sampler::new(0.5).decide(id, true, &decision.tracestate);
            assert_eq!(next, decision, "the next hop decides alike");
        }
    }

    #[test]
    fn a_decision_that_was_taken_stands() {
        let text = "00-ffffffffffffffffff80000000000000-b7ad6b7169203331-00";
        let baton = |is_deferred| Baton {
            context: Some(text.parse().unwrap()),
            is_deferred,
            ..Baton::default()
        };
        assert_eq!(Sampler::new(1.0).decide_on(baton(false)), baton(false));
        let decided = Sampler::new(0.5).decide_on(baton(true));
        assert!(decided.context.unwrap().flags.is_sampled() && !decided.is_deferred);
        let debug = Baton { is_debug: true, ..baton(true) };
        assert!(Sampler::new(0.0).decide_on(debug).context.unwrap().flags.is_sampled());
    }
}

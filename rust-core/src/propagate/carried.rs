//! A baton among the spans of another library: what came in stands beside them, and is put right
//! again where something goes out.

use super::Baton;
use crate::wire::{Flags, SpanId, TraceContext, TraceId, TraceState};

/// A baton that came in, and the `tracestate` the other library was able to take of it.
///
/// Such a library cannot hold all that a baton holds: OpenTelemetry's `TraceState` refuses keys of
/// Level 2, and its SDKs decide anew about the random flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    baton: Baton,
    given: TraceState,
}

/// A span as another library knows it.
#[derive(Clone, Copy, Debug)]
pub struct ActiveSpan<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its flags.
    pub flags: Flags,
    /// Its `tracestate`, as that library writes it.
    pub tracestate: &'a str,
}

impl Carried {
    /// Keeps a baton beside a library that was `given` this `tracestate` for it.
    #[must_use]
    #[inline]
    pub fn new(baton: Baton, given: TraceState) -> Self {
        Self { baton, given }
    }

    /// Returns the baton that came in.
    #[must_use]
    pub fn baton(&self) -> &Baton {
        &self.baton
    }

    /// Returns the `tracestate` the library was given.
    #[must_use]
    pub fn given(&self) -> &TraceState {
        &self.given
    }

    /// Returns what goes out: the active span, with what came along with its trace.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::{TraceContext, wire::{Flags, SpanId, TraceState}};
    /// use tracebaton::propagate::{ActiveSpan, Baton, Carried};
    ///
    /// let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03")?;
    /// let baton = Baton { context: Some(context), ..Baton::default() };
    /// let carried = Carried::new(baton, TraceState::default());
    /// let span_id = SpanId::parse("00f067aa0ba902b7")?;
    /// let (trace_id, flags) = (context.trace_id, Flags::default());
    /// let active = ActiveSpan { trace_id, span_id, flags, tracestate: "" };
    /// let baton = Carried::hand_on(Some(&carried), Some(active)).unwrap();
    /// assert_eq!(
    ///     baton.context.and_then(TraceContext::to_traceparent).unwrap(),
    ///     "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-02",
    /// );
    /// # Ok::<(), tracebaton::ParseError>(())
    /// ```
    #[must_use]
    pub fn hand_on(carried: Option<&Self>, active: Option<ActiveSpan<'_>>) -> Option<Baton> {
        let Some(ActiveSpan { trace_id, span_id, flags, tracestate }) = active else {
            return carried.map(|carried| carried.baton.clone());
        };
        let context = TraceContext { trace_id, span_id: Some(span_id), flags };
        let own = carried.and_then(|carried| {
            let known = carried.baton.context.filter(|known| known.trace_id == trace_id)?;
            Some((carried, known.flags.is_random()))
        });
        let Some((carried, is_random)) = own else {
            // Another trace: only what the library knows of it. Baggage is no trace's.
            let tracestate = TraceState::parse(tracestate).unwrap_or_default();
            let baggage = carried.map(|carried| carried.baton.baggage.clone()).unwrap_or_default();
            return Some(Baton { context: Some(context), tracestate, baggage, ..Baton::default() });
        };
        // Whether an id is random was settled when it was made; libraries lose the flag where they
        // do not sample, or set it as if they had made the id.
        let flags = flags.with_random(is_random);
        let mut baton = carried.baton.clone();
        // While the span is the one that came in, nobody here has decided yet.
        baton.is_deferred &= baton.context.is_some_and(|known| known.span_id == context.span_id);
        baton.context = Some(TraceContext { flags, ..context });
        if tracestate != carried.given.as_str() {
            baton.tracestate = carried.changed(tracestate);
        }
        Some(baton)
    }

    /// Returns the state after somebody, a sampler for instance, has changed what the library had.
    ///
    /// The library cannot have removed members that it was not given: they stay, behind what it has
    /// now (Trace Context Level 2, "Mutating the tracestate Field").
    fn changed(&self, now: &str) -> TraceState {
        let Ok(now) = TraceState::parse(now) else { return self.baton.tracestate.clone() };
        let ours = self.baton.tracestate.members();
        let kept = ours
            .filter(|(key, _)| self.given.get(key).is_none())
            .map(|(key, value)| format!("{key}={value}"));
        let kept = TraceState::parse(&kept.collect::<Vec<_>>().join(",")).unwrap_or_default();
        let members: Vec<_> = now.members().collect();
        members
            .iter()
            .rev()
            .fold(kept, |state, (key, value)| state.with(key, value).unwrap_or(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagate::Propagation;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn carried(flags: &str, state: &str, given: &str) -> Carried {
        let text = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
        let context = Some(TraceContext::parse(&text).unwrap());
        let tracestate = TraceState::parse(state).unwrap();
        let baton = Baton { context, tracestate, is_deferred: true, ..Baton::default() };
        Carried::new(baton, TraceState::parse(given).unwrap())
    }

    fn active(flags: u8, tracestate: &str) -> ActiveSpan<'_> {
        ActiveSpan {
            trace_id: TraceId::parse(TRACE).unwrap(),
            span_id: SpanId::parse("00f067aa0ba902b7").unwrap(),
            flags: Flags::from_bits(flags),
            tracestate,
        }
    }

    fn flags(baton: &Baton) -> u8 {
        baton.context.unwrap().flags.bits()
    }

    #[test]
    fn the_random_flag_is_neither_lost_nor_invented() {
        for (came, now, goes) in [("03", 0, 2), ("03", 1, 3), ("01", 3, 1), ("00", 2, 0)] {
            let baton = Carried::hand_on(Some(&carried(came, "", "")), Some(active(now, "")));
            assert_eq!(flags(&baton.unwrap()), goes, "{came} {now}");
        }
    }

    #[test]
    fn a_span_has_decided_about_sampling() {
        let carried = carried("02", "", "");
        let baton = Carried::hand_on(Some(&carried), Some(active(3, ""))).unwrap();
        assert!(!baton.is_deferred);
        let span_id = carried.baton.context.unwrap().span_id.unwrap();
        let same = ActiveSpan { span_id, ..active(2, "") };
        assert!(Carried::hand_on(Some(&carried), Some(same)).unwrap().is_deferred);
    }

    #[test]
    fn state_that_the_library_could_not_take_goes_out_again() {
        let carried = carried("03", "1a@@b=1,c=2,d=3", "c=2,d=3");
        for (now, goes) in [
            ("c=2,d=3", "1a@@b=1,c=2,d=3"),
            ("ot=th:8,c=3", "ot=th:8,c=3,1a@@b=1"),
            ("", "1a@@b=1"),
        ] {
            let baton = Carried::hand_on(Some(&carried), Some(active(3, now))).unwrap();
            assert_eq!(baton.tracestate.as_str(), goes);
        }
    }

    #[test]
    fn a_state_that_was_changed_goes_out_as_it_is_now() {
        let carried = carried("03", "a=1,b=2", "a=1,b=2");
        for now in ["b=3,a=1", "a=1", ""] {
            let baton = Carried::hand_on(Some(&carried), Some(active(3, now))).unwrap();
            assert_eq!(baton.tracestate.as_str(), now);
        }
    }

    #[test]
    fn a_span_of_another_trace_takes_the_baggage_only() {
        let mut carried = carried("03", "a=1", "a=1");
        carried.baton.baggage.set("user", "alice").unwrap();
        let trace_id = TraceId::parse("00000000000000000000000000000001").unwrap();
        let active = ActiveSpan { trace_id, ..active(1, "b=2") };
        let baton = Carried::hand_on(Some(&carried), Some(active)).unwrap();
        assert_eq!((flags(&baton), baton.tracestate.as_str()), (1, "b=2"));
        assert_eq!(baton.baggage.get("user"), Some("alice"));
    }

    #[test]
    fn without_a_span_the_baton_goes_on_as_it_came() {
        let carried = carried("02", "a=1", "");
        let baton = Carried::hand_on(Some(&carried), None).unwrap();
        assert_eq!(&baton, carried.baton());
        assert!(Carried::hand_on(None, None).is_none());
        let mut list = crate::carrier::List::new::<&str, &str>(crate::carrier::Medium::Http, []);
        Propagation::default().inject(&baton, &mut list);
        assert_eq!(list.entries().len(), 3);
    }
}

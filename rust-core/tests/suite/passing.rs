//! A propagator that passes state and baggage through: what goes out is what would go out otherwise.

use std::collections::{BTreeMap, HashMap};

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use proptest::{collection::vec, prelude::*, sample::select};
use tracebaton::otel::{BatonPropagator, baton_of};

use crate::support::PARENT;

/// Several headers of a name may stand here.
#[derive(Debug)]
struct Pairs(Vec<(&'static str, String)>);

impl Extractor for Pairs {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.0.iter().filter(|(name, _)| *name == key);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then_some(values)
    }
}

fn passing() -> BatonPropagator {
    BatonPropagator::default().passing_through()
}

fn sent(propagator: &BatonPropagator, cx: &Context) -> BTreeMap<String, String> {
    let mut headers = HashMap::new();
    propagator.inject_context(cx, &mut headers);
    headers.into_iter().collect()
}

fn full() -> Pairs {
    let pairs = [("traceparent", PARENT), ("tracestate", "a=1,1b@@c=2"), ("baggage", "k=v,l=w")];
    Pairs(pairs.map(|(name, value)| (name, value.to_owned())).to_vec())
}

#[test]
fn opentelemetry_sees_the_span_and_our_own_reader_all_of_it() {
    let cx = passing().extract(&full());
    assert!(cx.span().span_context().is_remote());
    assert_eq!(cx.span().span_context().trace_state().header(), "");
    assert!(cx.baggage().is_empty());
    let baton = baton_of(&cx).unwrap();
    assert_eq!(baton.tracestate.as_str(), "a=1,1b@@c=2");
    assert_eq!(baton.baggage.to_header(), "k=v,l=w");
}

#[test]
fn what_the_application_adds_goes_along() {
    let cx =
        passing().extract(&full()).with_baggage([KeyValue::new("l", "x"), KeyValue::new("m", "y")]);
    assert_eq!(sent(&passing(), &cx)["baggage"], "k=v,l=x,m=y");
    let removed = cx.with_cleared_baggage();
    assert_eq!(sent(&passing(), &removed)["baggage"], "k=v,l=w", "it is not there to be removed");
}

#[test]
fn baggage_of_an_outer_context_is_not_taken_for_the_message_s() {
    let outer = Context::new().with_baggage([KeyValue::new("outer", "1")]);
    for headers in [full(), Pairs(vec![("traceparent", PARENT.to_owned())])] {
        let [eager, lazy] = [BatonPropagator::default(), passing()].map(|propagator| {
            sent(&propagator, &propagator.extract_with_context(&outer, &headers))
        });
        assert_eq!(lazy, eager);
        assert!(!lazy.values().any(|value| value.contains("outer")));
    }
}

fn value() -> impl Strategy<Value = String> {
    let known = select(vec![
        PARENT,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
        "order-1234",
        "none",
        "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
        "1a@@b=1,c=2, d=3",
        "a=1,a=2",
        "userId=Am%C3%A9lie;p;q=r , k = v",
        "a=%zz,b=2,c",
        "a=1,b=2,c=3,d=4,e=5",
        "a(b=1,k=v",
        "",
        " ",
    ]);
    let near = (known.clone(), any::<prop::sample::Index>(), any::<char>());
    let near = near.prop_map(|(text, at, new)| {
        let mut chars: Vec<char> = text.chars().collect();
        if !chars.is_empty() {
            let at = at.index(chars.len());
            chars[at] = new;
        }
        chars.into_iter().collect()
    });
    let pairs = vec(("[a-z0-9@*]{1,8}", "[ -~]{0,8}"), 0..80).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    });
    prop_oneof![6 => known.prop_map(str::to_owned), 2 => near, 1 => pairs]
}

fn headers() -> impl Strategy<Value = Pairs> {
    let name = select(vec![
        "traceparent",
        "traceparent",
        "tracestate",
        "baggage",
        "x-trace-id",
        "trace_id",
        "x-span-id",
        "x-baggage-k",
        "X-Baggage-User",
        "host",
    ]);
    let rest = vec((name, value()), 0..6);
    // Most messages have a parent that is right.
    (any::<bool>(), rest).prop_map(|(has_parent, mut rest)| {
        if has_parent {
            rest.insert(0, ("traceparent", PARENT.to_owned()));
        }
        Pairs(rest)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_out_is_what_would_go_out_otherwise(headers in headers()) {
        let [eager, lazy] = [BatonPropagator::default(), passing()].map(|propagator| {
            let cx = propagator.extract_with_context(&Context::new(), &headers);
            (sent(&propagator, &cx), baton_of(&cx))
        });
        prop_assert_eq!(lazy, eager);
    }
}

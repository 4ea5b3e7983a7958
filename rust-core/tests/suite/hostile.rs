//! What a peer may send to do harm: very long values, very many headers, bytes that break lines.

use std::time::{Duration, Instant};

use tracebaton::{
    Propagation,
    carrier::{List, Medium},
    propagate::{Extracted, Format},
};

const MEGABYTE: usize = 1 << 20;
const MEDIA: [Medium; 3] = [Medium::Http, Medium::Kafka, Medium::Metadata];
const NAMES: [&str; 17] = [
    "traceparent",
    "tracestate",
    "baggage",
    "trace_id",
    "x-trace-id",
    "x-span-id",
    "x-baggage-k",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "uber-trace-id",
    "uberctx-k",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-datadog-trace-id",
    "x-datadog-tags",
    "x-other",
];

/// What is repeated to fill a value.
const FILLINGS: [&str; 14] =
    ["0", "f", "a", " ", "\t", ",", ";", "-", "%", "%41", "a=1,", "Root=1;", "k=v;p,", ":"];

fn every_format() -> Propagation {
    Propagation::default().with_read(Format::ALL).with_write(Format::ALL)
}

/// Checks that little of what came in is held, and little goes out.
fn is_bounded(extracted: &Extracted) {
    let baton = &extracted.baton;
    assert!(extracted.refused.len() <= 32, "{:?}", extracted.refused);
    assert!(extracted.refused.iter().all(|refusal| refusal.name.len() <= 32));
    assert!(baton.baggage.to_header().len() <= 8192);
    assert!(baton.tracestate.as_str().len() <= 32 * 514);
    let mut out = List::new::<&str, &str>(Medium::Kafka, []);
    every_format().inject(baton, &mut out);
    for (name, value) in out.entries() {
        let value = value.as_deref().unwrap();
        assert!(name.len() + value.len() <= 32 * 514);
        assert!(value.iter().all(|byte| matches!(byte, b' '..=b'~')), "{value:?}");
    }
}

#[test]
fn a_value_of_a_megabyte_costs_little_time_and_no_memory() {
    let started = Instant::now();
    for filling in FILLINGS {
        let value = filling.repeat(MEGABYTE / filling.len());
        for medium in [Medium::Http, Medium::Kafka] {
            let headers = NAMES.map(|name| (name, Some(value.as_str())));
            let extracted = every_format().extract(&List::new(medium, headers));
            assert!(extracted.source.is_none(), "{filling:?}");
            is_bounded(&extracted);
        }
    }
    // Some 470 MB are looked at; anything but linear time would take hours.
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}

#[test]
fn ten_thousand_headers_cost_little_time_and_no_memory() {
    let started = Instant::now();
    for medium in MEDIA {
        let same = NAMES.iter().cycle().take(10_000).map(|name| ((*name).to_owned(), Some("a=1")));
        is_bounded(&every_format().extract(&List::new(medium, same)));
        for prefix in ["x-baggage-", "uberctx-", "x-"] {
            let headers = (0..10_000).map(|n| (format!("{prefix}{n}"), Some("v".repeat(100))));
            is_bounded(&every_format().extract(&List::new(medium, headers)));
        }
        let states = (0..10_000).map(|n| ("tracestate".to_owned(), Some(format!("k{n}=1"))));
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = states.chain([("traceparent".to_owned(), Some(parent.to_owned()))]);
        let extracted = every_format().extract(&List::new(medium, headers));
        let last = if medium == Medium::Http { "" } else { "k9999=1" };
        assert_eq!(extracted.baton.tracestate.as_str(), last);
        is_bounded(&extracted);
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn bytes_that_break_lines_or_terminals_never_go_out_as_they_came() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let evil =
        ["\r\nX-Evil: 1", "\n", "\0", "\u{1b}[31m", "\u{7f}", "\u{85}", "\u{202e}", "\u{2028}"];
    for (name, good) in [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-trace-id", "order-1234"),
        ("x-trace-id", trace),
        ("baggage", "k=v"),
        ("x-baggage-k", "v"),
        ("uberctx-k", "v"),
        ("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
        ("uber-trace-id", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1"),
        ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"),
        ("x-cloud-trace-context", "105445aa7843bc8bf206b12000100000/1;o=1"),
        ("x-datadog-trace-id", "1234567"),
    ] {
        for medium in MEDIA {
            let plain = every_format().extract(&List::new(medium, [(name, Some(good))]));
            assert!(plain.refused.is_empty(), "{name}: {:?}", plain.refused);
            for evil in evil {
                for at in [0, good.len() / 2, good.len()] {
                    let (start, end) = good.split_at(at);
                    let value = format!("{start}{evil}{end}");
                    let extracted =
                        every_format().extract(&List::new(medium, [(name, Some(value))]));
                    is_bounded(&extracted);
                    assert!(extracted.source.is_none(), "{name} {evil:?}");
                }
            }
        }
    }
}

#[test]
fn a_payload_is_not_walked_further_than_configured() {
    let started = Instant::now();
    let propagation = Propagation::default().with_payload_bytes(MEGABYTE);
    for (open, close) in [("[", "]"), (r#"{"tracing":"#, "}"), (r#"{"trace_id":"x","n":"#, "}")] {
        let deep = MEGABYTE / 2 / (open.len() + close.len());
        let payload = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        is_bounded(&propagation.extract_payload(payload.as_bytes()));
        is_bounded(&propagation.extract_payload(open.repeat(deep * 4).as_bytes()));
        assert!(
            propagation.inject_payload(&Default::default(), payload.as_bytes()).is_ok()
                || open == "["
        );
    }
    let keys = format!("{{{}\"a\":1}}", r#""trace_id":"order-1","#.repeat(MEGABYTE / 21));
    let extracted = Propagation::default().extract_payload(keys.as_bytes());
    assert_eq!(extracted.baton.legacy_text(), Some("order-1"));
    let escaped = format!(r#"{{"trace_id":"{}"}}"#, r"\u0041".repeat(10_000));
    is_bounded(&Propagation::default().extract_payload(escaped.as_bytes()));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

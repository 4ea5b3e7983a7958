//! Properties of every reader, on arbitrary bytes and on valid texts with a few edits.

#[path = "../../fuzz/src/checks.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets are other crates")]
mod checks;

use proptest::{collection::vec, prelude::*, sample::select};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const TEXTS: &[&str] = &[
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-what-is-later",
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "1a@@b-*/_=x y,ot=th:8;rv:0123456789abcd\na=1",
    "userId=Am%C3%A9lie;prop;k=v , isProduction = false\nb=%41%zz,c=",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1-05e3ac9a4f6e3b90",
    "0af7651916cd43dd8448eb211c80319c\nb7ad6b7169203331\n1\n0",
    "0af7651916cd43dd:b7ad6b7169203331:0:1",
    "af7651916cd43dd%3A7ad6b7169203331%3A0%3A3",
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1|b:2",
    "105445aa7843bc8bf206b12000100000/123456789;o=1",
    "11803532876627986230\n67667974448284343\n_dd.p.tid=640cfd8d00000000,_dd.p.dm=-1\n2",
    "order-1234",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "undefined",
];

const PAYLOADS: &[&str] = &[
    r#"{"trace_id":"order-1234","tracing":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1","baggage":"k=v"}}"#,
    r#"{"tracing.trace_id":"order-1234","n":[1,2.5e3,{"trace_id":true}],"\u0061":null}"#,
    r#"{"a":{"b":{"trace_id":"x"},"b.trace_id":"y"},"a":1,"a.b":{}}"#,
];

#[cfg(feature = "config")]
const SETTINGS: &[&str] = &[
    "tracing:\n  read: [b3, legacy]\n  extraction:\n    headers: ['X-Trace-Id']\n",
    "trust: restart\nsample_rate: 0.1\n# a comment\nbaggage_keys:\n  - a\n  - b\n",
    r#"{"header_extraction":{"trace_id_header":"X-Trace-Id"},"enabled":true}"#,
    "a: &a [1]\nb: *a\n",
];

/// One change of a text: at a place, so many bytes are replaced by others.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let byte = prop_oneof![select(b",;=:-./|%{}[]\"\\ \t\n0fF1aA".to_vec()), any::<u8>(),];
    vec((0..400usize, 0..4usize, vec(byte, 0..4)), 0..5)
}

fn near(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(texts), edits()).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, count, new) in edits {
            let at = at % (bytes.len() + 1);
            let end = (at + count).min(bytes.len());
            bytes.splice(at..end, new);
        }
        bytes
    })
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => near(TEXTS), 1 => vec(any::<u8>(), 0..300)]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![4 => near(PAYLOADS), 1 => vec(any::<u8>(), 0..300)];
    (any::<u8>(), json).prop_map(|(rules, json)| [vec![rules], json].concat())
}

/// Headers as the checks read them: name, length, value.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![3 => text(), 1 => near(&[TRACE, "b7ad6b7169203331", "1", "d", "42"])];
    let header = (0..checks::NAMES.len() as u8, value).prop_map(|(name, value)| {
        let length = value.len().min(255) as u8;
        [vec![name, length], value.into_iter().take(255).collect()].concat()
    });
    let rules = vec(any::<u8>(), 3);
    (rules, vec(header, 0..12)).prop_map(|(rules, headers)| [rules, headers.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn traceparent_is_read_again_as_it_was(data in text()) { checks::traceparent(&data); }

    #[test]
    fn tracestate_is_read_again_as_it_was(data in text()) { checks::tracestate(&data); }

    #[test]
    fn baggage_is_read_again_as_it_was(data in text()) { checks::baggage(&data); }

    #[test]
    fn a_legacy_id_stands_for_the_same_trace_again(data in text()) { checks::legacy(&data); }

    #[test]
    fn b3_is_read_again_as_it_was(data in text()) { checks::b3(&data); }

    #[test]
    fn jaeger_is_read_again_as_it_was(data in text()) { checks::jaeger(&data); }

    #[test]
    fn xray_is_read_again_as_it_was(data in text()) { checks::xray(&data); }

    #[test]
    fn gcp_is_read_again_as_it_was(data in text()) { checks::gcp(&data); }

    #[test]
    fn datadog_is_read_again_as_it_was(data in text()) { checks::datadog(&data); }

    #[test]
    fn a_payload_keeps_its_baton(data in payload()) { checks::payload(&data); }

    #[cfg(feature = "config")]
    #[test]
    fn a_configuration_is_settings_or_an_error_with_a_line(data in near(SETTINGS)) {
        checks::config(&data);
    }

    #[test]
    fn headers_go_round(data in headers()) { checks::headers(&data); }
}

/// A target's name, and what it checks.
type Check = (&'static str, fn(&[u8]));

#[test]
fn what_fuzzing_has_found_worth_keeping_is_run_again() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let targets: &[Check] = &[
        ("traceparent", checks::traceparent),
        ("tracestate", checks::tracestate),
        ("baggage", checks::baggage),
        ("legacy", checks::legacy),
        ("b3", checks::b3),
        ("jaeger", checks::jaeger),
        ("xray", checks::xray),
        ("gcp", checks::gcp),
        ("datadog", checks::datadog),
        ("payload", checks::payload),
        ("headers", checks::headers),
        #[cfg(feature = "config")]
        ("config", checks::config),
    ];
    for (name, check) in targets {
        let files = std::fs::read_dir(folder.join(name)).unwrap();
        let count = files.map(|file| check(&std::fs::read(file.unwrap().path()).unwrap())).count();
        assert!(count > 0, "there is no corpus for {name}");
    }
}

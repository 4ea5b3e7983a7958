//! What must hold of every reader, whatever it is given. The fuzz targets and the property tests
//! share these checks.

use std::{str, sync::LazyLock};

#[cfg(feature = "config")]
use tracebaton::config::Settings;
use tracebaton::{
    Baton, Propagation, TraceContext,
    carrier::{List, Medium},
    error::ErrorKind,
    propagate::{Extracted, Format, Trust},
    wire::{Baggage, LegacyId, Sighting, TraceState, b3, datadog, gcp, jaeger, xray},
};

/// A list of 32 members, each of 256 characters for key and value.
const MOST_STATE: usize = 32 * (256 + 1 + 256) + 31;

/// `traceparent`: what is read is written as version 00, and read again.
pub fn traceparent(data: &[u8]) {
    let Ok(context) = TraceContext::parse_bytes(data) else { return };
    let text = context.to_traceparent().expect("it has a span id");
    assert_eq!(TraceContext::parse(&text), Ok(context));
    assert_eq!(text.len(), 55);
    if data.starts_with(b"00") {
        assert_eq!(&text.as_bytes()[..53], &data[..53]);
    }
}

/// `tracestate`: what is read is within its limits, and read again as it is.
pub fn tracestate(data: &[u8]) {
    let Ok(state) = TraceState::parse_fields(data.split(|byte| *byte == b'\n')) else { return };
    assert!(state.members().count() <= 32 && state.as_str().len() <= MOST_STATE);
    assert_eq!(TraceState::parse(state.as_str()).as_ref(), Ok(&state));
    for (key, value) in state.members() {
        assert_eq!(state.get(key), Some(value));
        assert_eq!(state.with(key, value).unwrap().members().next(), Some((key, value)));
        assert_eq!(state.without(key).get(key), None);
    }
}

/// `baggage`: what is read is within its limits, and read again as it is.
pub fn baggage(data: &[u8]) {
    let (baggage, _) = Baggage::read_fields(data.split(|byte| *byte == b'\n'));
    let header = baggage.to_header();
    assert!(header.len() <= 8192 && baggage.entries().len() <= 180);
    assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(Baggage::read_fields([header.as_bytes()]), (baggage, None));
}

/// The legacy id: its text is short and plain, and stands for the same trace again.
pub fn legacy(data: &[u8]) {
    let Ok(Some(id)) = LegacyId::parse_bytes(data) else { return };
    assert!(id.text().len() <= 128 && id.text().bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(LegacyId::parse(id.text()), Ok(Some(id.clone())));
    let canonical = LegacyId::parse(&id.trace_id().to_string()).unwrap().unwrap();
    assert!(canonical.is_canonical() && canonical.trace_id() == id.trace_id());
}

/// B3, in one header and in several.
pub fn b3(data: &[u8]) {
    if let Ok(seen) = b3::read_single(data) {
        let text = b3::write_single(seen.context, seen.is_debug, seen.is_deferred).unwrap();
        assert_eq!(b3::read_single(text.as_bytes()), Ok(seen));
    }
    let [trace, span, sampled, flags] = parts(data);
    let read = b3::read_multi(trace.unwrap_or_default(), span.unwrap_or_default(), sampled, flags);
    if let Ok(seen) = read {
        let out = b3::write_multi(seen.context, seen.is_debug, seen.is_deferred).unwrap();
        let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
        let again = b3::read_multi(
            out.trace_id.as_bytes(),
            out.span_id.as_bytes(),
            bytes(out.sampled),
            bytes(out.flags),
        );
        assert_eq!(again, Ok(seen));
    }
}

/// `uber-trace-id`, and the values of its baggage.
pub fn jaeger(data: &[u8]) {
    if let Ok(seen) = jaeger::read(data) {
        let text = jaeger::write(seen.context, seen.is_debug).unwrap();
        assert_eq!(jaeger::read(text.as_bytes()), Ok(seen));
    }
    if let Some(value) = jaeger::read_baggage(data) {
        let text = jaeger::write_baggage(&value);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(jaeger::read_baggage(text.as_bytes()), Some(value));
    }
}

/// `X-Amzn-Trace-Id`.
pub fn xray(data: &[u8]) {
    let Ok(seen) = xray::read(data) else { return };
    again(seen, xray::write(seen.context, seen.is_deferred), xray::read);
}

/// `X-Cloud-Trace-Context`.
pub fn gcp(data: &[u8]) {
    let Ok(seen) = gcp::read(data) else { return };
    again(seen, gcp::write(seen.context, seen.is_deferred), gcp::read);
}

/// `x-datadog-*`.
pub fn datadog(data: &[u8]) {
    let [trace, parent, tags, priority] = parts(data);
    let Ok(seen) = datadog::read(trace.unwrap_or_default(), parent, tags, priority) else { return };
    let Some(out) = datadog::write(seen.context, seen.is_deferred) else {
        return assert_eq!(seen.context.span_id, None);
    };
    let again = datadog::read(
        out.trace_id.as_bytes(),
        Some(out.parent_id.as_bytes()),
        out.tags.as_ref().map(String::as_bytes),
        out.priority.map(str::as_bytes),
    );
    assert_eq!(again, Ok(seen));
}

/// A JSON payload: what is found is found again after it was written into the payload.
pub fn payload(data: &[u8]) {
    static RULES: LazyLock<[Propagation; 4]> = LazyLock::new(|| {
        ["", "tracing", "a.b", "a"].map(|path| Propagation::default().with_payload_target(path))
    });
    let (rules, data) = data.split_first().unwrap_or((&0, data));
    let most = usize::from(rules >> 2) * 16 + 1;
    let plain = &RULES[usize::from(rules & 3)];
    let extracted = plain.clone().with_payload_bytes(most).extract_payload(data);
    is_clean(&extracted);
    let extracted = plain.extract_payload(data);
    is_clean(&extracted);
    let Ok(out) = plain.inject_payload(&extracted.baton, data) else { return };
    let again = plain.extract_payload(&out);
    if extracted.source.is_some() {
        assert_eq!(again.baton, extracted.baton);
    }
    assert_eq!(plain.inject_payload(&again.baton, &out).as_ref(), Ok(&out));
    // Numbers of any size stay as they are, so that what is read must not care what they are worth.
    assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&out).is_ok());
}

/// A configuration: a text is settings, or an error that says where.
#[cfg(feature = "config")]
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Settings::from_yaml_text("a.yaml", text) {
        Ok(settings) => drop(settings.propagation()),
        Err(error) => assert!(error.line().is_some() && error.to_string().starts_with("a.yaml:")),
    }
}

/// A set of headers: `inject(extract(x))` is clean, within limits, read again, and stays the same.
pub fn headers(data: &[u8]) {
    let [rules, which_read, which_write, rest @ ..] = data else { return };
    let medium = [Medium::Http, Medium::Kafka, Medium::Metadata][usize::from(rules % 3)];
    let trust = [Trust::Continue, Trust::Continue, Trust::Restart, Trust::Ignore];
    let incoming = List::new(medium, header_set(rest));
    let rules = Propagation::default()
        .with_trust(trust[usize::from(rules / 3 % 4)])
        .with_read(formats(*which_read))
        .with_write(formats(*which_write));
    let extracted = rules.extract(&incoming);
    is_clean(&extracted);
    goes_round(&Propagation::default(), medium, &Propagation::default().extract(&incoming).baton);
    let format = [Format::ALL[usize::from(*which_read ^ *which_write) % Format::ALL.len()]];
    let one = Propagation::default().with_read(format).with_write(format);
    goes_round(&one, medium, &extracted.baton);
    let out = inject(&rules, medium, &extracted.baton);
    is_within_limits(&out);
}

/// What is written is read without a refusal, and written the same again.
fn goes_round(rules: &Propagation, medium: Medium, baton: &Baton) {
    let once = inject(rules, medium, baton);
    is_within_limits(&once);
    let read = rules.extract(&once);
    let wrong = read.refused.iter().find(|refusal| refusal.kind != ErrorKind::Conflict);
    assert_eq!(wrong, None, "{once:?}");
    assert_eq!(inject(rules, medium, &read.baton), once);
}

fn inject(rules: &Propagation, medium: Medium, baton: &Baton) -> List {
    let mut out = List::new::<Vec<u8>, Vec<u8>>(medium, []);
    rules.inject(baton, &mut out);
    out
}

fn is_within_limits(list: &List) {
    let mut bytes = 0;
    for (name, value) in list.entries() {
        let value = value.as_ref().expect("a value is written");
        assert!(str::from_utf8(name).is_ok() && !name.is_empty());
        assert!(value.iter().all(|byte| matches!(byte, b' '..=b'~')), "{list:?}");
        bytes += name.len() + value.len();
    }
    // Baggage may go out in three ways, each with a header's name for each pair.
    assert!(bytes < MOST_STATE + 3 * (8192 + 180 * 20) + 1024, "{bytes} bytes");
}

/// What was read holds nothing of what must not be held, and tells of refusals once.
fn is_clean(extracted: &Extracted) {
    assert!(extracted.refused.len() <= 64);
    for refusal in &extracted.refused {
        let times = extracted.refused.iter().filter(|other| *other == refusal).count();
        assert_eq!(times, 1, "{refusal:?}");
    }
    let context = extracted.baton.context;
    assert!(extracted.source.is_some() || context.is_none());
    assert!(extracted.baton.baggage.to_header().len() <= 8192);
    assert!(extracted.baton.legacy_text().is_none_or(|text| text.len() <= 128));
}

fn again(
    seen: Sighting,
    out: Option<String>,
    read: impl Fn(&[u8]) -> Result<Sighting, tracebaton::ParseError>,
) {
    match out {
        Some(text) => assert_eq!(read(text.as_bytes()), Ok(seen)),
        None => assert_eq!(seen.context.span_id, None),
    }
}

/// Returns four header values out of one text of lines; a line that is not there is a header that is
/// not.
fn parts(data: &[u8]) -> [Option<&[u8]>; 4] {
    let mut lines = data.split(|byte| *byte == b'\n');
    std::array::from_fn(|_| lines.next())
}

fn formats(bits: u8) -> Vec<Format> {
    let chosen = Format::ALL.into_iter().enumerate();
    let mut chosen: Vec<Format> = chosen
        .filter(|(index, _)| bits >> (index % 8) & 1 == 1)
        .map(|(_, format)| format)
        .collect();
    if bits & 1 == 1 {
        chosen.reverse();
    }
    chosen
}

/// The names that mean something, and some that nearly do.
pub const NAMES: [&str; 30] = [
    "traceparent",
    "tracestate",
    "baggage",
    "trace_id",
    "x-trace-id",
    "X-Trace-Id",
    "x-span-id",
    "x-baggage-a",
    "X-Baggage-B",
    "x-baggage-",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "uberctx-a",
    "uberctx-B",
    "uberctx-\u{e9}",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-tags",
    "x-datadog-sampling-priority",
    "Traceparent",
    "traceparent ",
    "x-baggage-a b",
    "",
    "\u{0}",
];

/// Reads headers: each is a byte that chooses the name, one that says how many bytes the value has,
/// and the value; some lengths stand for a header without a value.
fn header_set(mut data: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut headers = Vec::new();
    while let [name, length, rest @ ..] = data {
        let name = NAMES[usize::from(*name) % NAMES.len()];
        let length = usize::from(*length);
        let (value, after) = rest.split_at(length.min(rest.len()));
        headers.push((name.into(), (length != 255).then(|| value.to_vec())));
        data = after;
    }
    headers
}

//! What is cut up and read again is what the messages say, and no bytes are kept that cannot be read.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link},
    },
};
use proptest::{collection::vec, prelude::*};
use prost::Message;

use super::{cut, read};
use crate::model::{Id, Kind};

fn text(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn id(number: u8) -> Vec<u8> {
    [&[7; 15][..], &[number]].concat()
}

prop_compose! {
    fn span()(
        trace in 1..6_u8, span_id in 1..u64::MAX, name in ".{0,12}", value in ".{0,12}",
        linked in vec(1..6_u8, 0..3), nested in any::<bool>(),
    ) -> Span {
        let nested = AnyValue { value: Some(Value::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(Value::DoubleValue(0.5)) }; usize::from(nested)],
        })) };
        Span {
            trace_id: id(trace),
            span_id: span_id.to_be_bytes().to_vec(),
            name,
            attributes: vec![
                text("key", &value),
                KeyValue { key: "list".into(), value: Some(nested), ..KeyValue::default() },
            ],
            events: vec![Event { name: value, time_unix_nano: 1, ..Event::default() }],
            links: linked
                .into_iter()
                .map(|linked| Link {
                    trace_id: id(linked),
                    span_id: vec![1; 8],
                    ..Link::default()
                })
                .collect(),
            status: Some(Status { code: 2, message: "no".into() }),
            ..Span::default()
        }
    }
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = ("[a-z]{0,3}", vec(span(), 0..6)).prop_map(|(name, spans)| ScopeSpans {
        scope: Some(InstrumentationScope { name, ..InstrumentationScope::default() }),
        spans,
        ..ScopeSpans::default()
    });
    let resource = ("[a-z]{1,3}", vec(scope, 0..3)).prop_map(|(service, scope_spans)| {
        let attributes = vec![text("service.name", &service)];
        let resource = Some(Resource { attributes, ..Resource::default() });
        ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
    });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn logs_of(request: &ExportTraceServiceRequest) -> ExportLogsServiceRequest {
    let log = |span: &Span| LogRecord {
        trace_id: span.trace_id.clone(),
        span_id: span.span_id.clone(),
        attributes: span.attributes.clone(),
        event_name: if span.links.is_empty() { "tracebaton.hop" } else { "" }.into(),
        body: Some(AnyValue { value: Some(Value::StringValue(span.name.clone())) }),
        ..LogRecord::default()
    };
    let resource_logs = request.resource_spans.iter().map(|of_resource| ResourceLogs {
        resource: of_resource.resource.clone(),
        scope_logs: of_resource
            .scope_spans
            .iter()
            .map(|of_scope| ScopeLogs {
                scope: of_scope.scope.clone(),
                log_records: of_scope.spans.iter().map(log).collect(),
                ..ScopeLogs::default()
            })
            .collect(),
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

/// Writes over some bytes, cuts some off.
fn damaged(mut bytes: Vec<u8>, damage: &[(usize, u8)], cut_at: usize) -> Vec<u8> {
    let length = bytes.len();
    for (at, byte) in damage {
        if let Some(place) = bytes.get_mut(at % length.max(1)) {
            *place = *byte;
        }
    }
    bytes.truncate(if cut_at.is_multiple_of(3) { cut_at % (length + 1) } else { length });
    bytes
}

proptest! {
    #[test]
    fn every_span_is_found_in_the_chunk_of_its_trace(request in request()) {
        let delivery = cut::traces(&request.encode_to_vec()).unwrap();
        let mut expected = Vec::new();
        for of_resource in &request.resource_spans {
            let service = read::service(of_resource.resource.as_ref().unwrap());
            for span in of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans) {
                expected.push((read::hex(&span.trace_id), read::hex(&span.span_id), span.name.clone(), service.clone()));
            }
        }
        let mut found = Vec::new();
        let mut traces = BTreeSet::new();
        for chunk in &delivery.chunks {
            prop_assert!(traces.insert(chunk.trace_id), "one chunk for a trace");
            let own = chunk.trace_id.unwrap().to_string();
            let mut mentions = BTreeSet::new();
            for span in read::spans(&chunk.body).unwrap() {
                prop_assert_eq!(&span.trace_id, &own);
                prop_assert!(span.is_error && span.status_message == "no");
                mentions.extend(span.links.iter().filter_map(|link| Id::parse(&link.trace_id)));
                found.push((span.trace_id, span.span_id, span.name, span.service));
            }
            mentions.remove(&chunk.trace_id.unwrap());
            prop_assert_eq!(&mentions.into_iter().collect::<Vec<_>>(), &chunk.mentions);
        }
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_accepted_can_be_read(
        request in request(),
        damage in vec((any::<usize>(), any::<u8>()), 0..4),
        cut_at in any::<usize>(),
    ) {
        let spans = damaged(request.encode_to_vec(), &damage, cut_at);
        if let Ok(delivery) = cut::traces(&spans) {
            prop_assert!(ExportTraceServiceRequest::decode(&*spans).is_ok());
            for chunk in delivery.chunks {
                prop_assert!(read::spans(&chunk.body).is_ok());
            }
        }
        let logs = damaged(logs_of(&request).encode_to_vec(), &damage, cut_at);
        if let Ok(delivery) = cut::logs(&logs) {
            prop_assert!(ExportLogsServiceRequest::decode(&*logs).is_ok());
            for chunk in delivery.chunks {
                let is_read = match chunk.kind {
                    Kind::Hop => read::hops(&chunk.body).is_ok(),
                    _ => read::logs(&chunk.body).is_ok(),
                };
                prop_assert!(is_read);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (cut::traces(&bytes), cut::logs(&bytes));
        let _ = (read::spans(&bytes), read::logs(&bytes), read::hops(&bytes));
    }
}

#[test]
fn values_that_stand_in_one_another_too_deep_are_refused() {
    let mut value = AnyValue::default();
    for _ in 0..200 {
        let values = vec![value];
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) };
    }
    let attributes =
        vec![KeyValue { key: "deep".into(), value: Some(value), ..KeyValue::default() }];
    let span = Span { trace_id: id(1), span_id: vec![1; 8], attributes, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let why = cut::traces(&request).unwrap_err().to_string();
    assert_eq!(why, "values stand in one another too deep");
}

#[test]
fn the_frame_is_checked_as_its_records_are() {
    // Fields 1, 2 and 3 of a `ResourceSpans` are a resource, its scopes, and the URL of a schema.
    for (frame, why) in [
        (&[0x1a, 1, 0xff][..], "a text is not UTF-8"),
        (&[0x18, 1], "a message is none"),
        (&[0x10, 1], "a message is none"),
        (&[0x0a, 2, 0x08, 1], "a field has another type than it should have"),
        (&[0x12, 9], "it ends in the middle of a field"),
        (&[0x0b], "a field has a type that does not exist"),
        (&[0x02, 0], "a field has a number that does not exist"),
        (&[0xff; 11], "a number is longer than 64 bits"),
    ] {
        let request = [&[0x0a, frame.len() as u8], frame].concat();
        assert_eq!(cut::traces(&request).unwrap_err().to_string(), why, "{frame:x?}");
        assert!(ExportTraceServiceRequest::decode(&*request).is_err());
    }
}

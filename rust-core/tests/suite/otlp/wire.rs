//! What goes over the wire when all is well.

use std::collections::BTreeSet;

use http::Version;
use tracebaton::otlp::{Compression, Protocol};

use super::{SOON, counts, options, record, start, with};
use crate::support::{
    sink::{Answer, Sink},
    telemetry::{attributes, hex},
};

#[test]
fn everything_arrives_by_both_protocols_packed_or_not() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        for compression in [Compression::None, Compression::Gzip] {
            let sink = Sink::start();
            let options = with(options(&sink, protocol), |endpoint| {
                endpoint.compression = compression;
            });
            let (recorder, exporter) = start(&options);
            record(&recorder, 0..50);
            assert!(exporter.flush(SOON), "{protocol:?} {compression:?}");
            let report = exporter.shutdown(SOON);
            assert!(report.is_complete(), "{report}");
            assert_eq!(report.exported, counts(50));
            let telemetry = sink.telemetry();
            assert_eq!((telemetry.spans.len(), telemetry.logs.len()), (50, 100));
            let version =
                if protocol == Protocol::Grpc { Version::HTTP_2 } else { Version::HTTP_11 };
            assert!(sink.received().iter().all(|request| request.version == version));
        }
    }
}

#[test]
fn log_lines_and_ledger_events_belong_to_their_spans() {
    let sink = Sink::start();
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    record(&recorder, 0..3);
    exporter.shutdown(SOON);
    let telemetry = sink.telemetry();
    let ids: BTreeSet<_> =
        telemetry.spans.iter().map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
    for log in &telemetry.logs {
        assert!(ids.contains(&(hex(&log.trace_id), hex(&log.span_id))), "{log:?}");
    }
    assert_eq!(telemetry.ledger("process").len(), 3);
}

#[test]
fn the_resource_and_the_headers_are_on_every_request() {
    let sink = Sink::start();
    let mut options = options(&sink, Protocol::HttpProtobuf);
    options.resource = vec![("deployment.environment.name".into(), "test".into())];
    let header = ("authorization".parse().unwrap(), "Bearer abc".parse().unwrap());
    options.endpoints().for_each(|endpoint| endpoint.headers = vec![header.clone()]);
    let (recorder, exporter) = start(&options);
    record(&recorder, 0..1);
    exporter.shutdown(SOON);
    let resources: Vec<_> =
        sink.resources().iter().map(|resource| attributes(&resource.attributes)).collect();
    assert_eq!(resources.len(), 2);
    assert_eq!(resources[0], resources[1], "one process is one resource");
    assert_eq!(resources[0]["service.name"], "shop");
    assert_eq!(resources[0]["deployment.environment.name"], "test");
    assert_eq!(resources[0]["telemetry.sdk.language"], "rust");
    for request in sink.received() {
        assert_eq!(request.headers["authorization"], "Bearer abc");
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("tracebaton/"));
    }
}

#[test]
fn items_that_the_endpoint_rejects_are_counted() {
    let sink = Sink::start();
    sink.answer(|request| match &*request.path {
        "/v1/logs" if request.index < 2 => Answer::Reject(3),
        _ => Answer::Take,
    });
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    record(&recorder, 0..5);
    assert!(!exporter.flush(SOON), "not all of it was taken");
    let report = exporter.shutdown(SOON);
    assert_eq!(report.refused.total(), 3);
    assert_eq!(report.dropped, report.refused);
    assert_eq!(report.lost.total(), 0);
    let told: Vec<_> = sink
        .telemetry()
        .logs
        .iter()
        .filter(|log| log.event_name == "tracebaton.dropped")
        .map(|log| attributes(&log.attributes))
        .collect();
    assert_eq!(told[0]["tracebaton.reason"], "refused");
    assert_eq!(told[0]["tracebaton.dropped.logs"], "3");
}

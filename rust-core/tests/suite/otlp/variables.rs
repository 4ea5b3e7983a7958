//! What the standard variables say.

use std::{ffi::OsString, time::Duration};

use tracebaton::otlp::{Compression, Endpoint, Exporter, OptionError, Options, Protocol};

use super::{SOON, counts, record};
use crate::support::sink::Sink;

fn read(variables: &[(&str, &str)]) -> Result<Options, OptionError> {
    Options::from_vars(variables.iter().copied())
}

fn traces(variables: &[(&str, &str)]) -> Endpoint {
    read(variables).unwrap().traces.unwrap()
}

fn urls(variables: &[(&str, &str)]) -> [String; 2] {
    let options = read(variables).unwrap();
    [options.traces.unwrap().url, options.logs.unwrap().url]
}

/// Returns the variables that were warned of.
fn warned(variables: &[(&str, &str)]) -> Vec<String> {
    let warnings = read(variables).unwrap().warnings;
    warnings.iter().map(|warning| warning.key().to_owned()).collect()
}

#[test]
fn the_endpoint_is_a_base_for_both_signals() {
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otel.example/base/");
    let wanted = ["https://otel.example/base/v1/traces", "https://otel.example/base/v1/logs"];
    assert_eq!(urls(&[base]), wanted);
    assert_eq!(urls(&[]), ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/logs"]);
}

#[test]
fn a_signals_own_endpoint_is_used_as_it_is() {
    for own in ["http://a.example/x", "http://a.example", "https://a.example/v1/logs/?a=b"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", own),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b.example"),
        ];
        assert_eq!(urls(&variables), ["http://b.example/v1/traces", own]);
    }
}

#[test]
fn grpc_has_its_own_port_and_paths_and_targets_without_a_scheme() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let [traces, logs] = urls(&[grpc]);
    let path = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(traces, format!("http://localhost:4317/{path}"));
    assert!(logs.starts_with("http://localhost:4317/opentelemetry.proto.collector.logs"), "{logs}");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a.example:4317");
    assert_eq!(urls(&[grpc, own])[0], format!("http://a.example:4317/{path}"));

    let target = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "True");
    let for_logs = ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "false");
    assert_eq!(urls(&[grpc, target])[0], format!("https://collector:4317/{path}"));
    assert_eq!(urls(&[grpc, target, insecure])[0], format!("http://collector:4317/{path}"));
    assert!(urls(&[grpc, target, insecure, for_logs])[1].starts_with("https://collector:4317/"));
    let schemed = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317");
    assert!(urls(&[grpc, schemed, insecure])[0].starts_with("https://"), "a scheme goes first");
    let error = read(&[target, insecure]).unwrap_err();
    assert_eq!(error.key(), "OTEL_EXPORTER_OTLP_ENDPOINT", "over HTTP there has to be a scheme");
}

#[test]
fn each_signal_may_have_its_own_of_everything() {
    let options = read(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=2,c=3"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", " 2000 "),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "None"),
    ])
    .unwrap();
    let (traces, logs) = (options.traces.unwrap(), options.logs.unwrap());
    assert_eq!((traces.protocol, logs.protocol), (Protocol::Grpc, Protocol::HttpProtobuf));
    assert!(traces.url.starts_with("http://localhost:4317/"), "{}", traces.url);
    assert_eq!(logs.url, "http://localhost:4318/v1/logs");
    let names = |endpoint: &Endpoint| -> Vec<String> {
        endpoint.headers.iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!((names(&traces), names(&logs)), (vec!["a".into()], vec!["b".into(), "c".into()]));
    let seconds = Duration::from_secs;
    assert_eq!((traces.timeout, logs.timeout), (seconds(2), seconds(1)));
    assert_eq!((traces.compression, logs.compression), (Compression::Gzip, Compression::None));
}

#[test]
fn an_empty_variable_is_as_none() {
    let empty = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", " "),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", ""),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", ""),
        ("OTEL_TRACES_EXPORTER", ""),
        ("OTEL_SDK_DISABLED", ""),
    ];
    let options = read(&empty).unwrap();
    assert_eq!(
        (options.traces, options.logs),
        (Options::default().traces, Options::default().logs)
    );
    assert!(!options.is_disabled && options.warnings.is_empty());
}

#[test]
fn wrong_values_name_their_variable() {
    let file = "no/such.pem";
    for (key, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@localhost"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:70000"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "smoke"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret-no-equals-sign"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret%zz"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=secret%"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file),
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", file),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("TRACEBATON_BUFFER_BYTES", "64MiB"),
    ] {
        let error = read(&[(key, value)]).unwrap_err();
        assert_eq!(error.key(), key, "{error}");
        assert!(error.to_string().starts_with(&format!("{key}: ")), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let key = "OTEL_EXPORTER_OTLP_ENDPOINT";
    #[cfg(unix)]
    let wrong: OsString = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
    #[cfg(unix)]
    assert_eq!(Options::from_vars([(key, wrong)]).unwrap_err().key(), key);
}

#[test]
fn a_client_certificate_needs_its_key_and_the_other_way_round() {
    let file = |name| [(name, "no/such.pem")];
    let key = |name| read(&file(name)).unwrap_err().key().to_owned();
    assert_eq!(key("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
    assert_eq!(key("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "OTEL_EXPORTER_OTLP_CLIENT_KEY");
}

#[test]
fn what_is_meant_for_the_applications_sdk_is_a_warning() {
    for (key, value) in [
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        assert_eq!(warned(&[(key, value)]), [key]);
    }
    let ratio = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    assert_eq!(warned(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", "2")]), ["OTEL_TRACES_SAMPLER_ARG"]);
    assert!(warned(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.5")]).is_empty());
    assert!(warned(&[("OTEL_TRACES_EXPORTER", "console, OTLP")]).is_empty());
}

#[test]
fn the_sampler_is_the_share_of_new_traces() {
    let rate = |sampler, argument| {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        read(&variables).unwrap().sample_rate
    };
    assert_eq!(rate("", "0.5"), None);
    assert_eq!(rate("parentbased_always_on", "0.5"), None);
    assert_eq!(rate("parentbased_always_off", "0.5"), Some(0.0));
    assert_eq!(rate("parentbased_traceidratio", "0.25"), Some(0.25));
    assert_eq!(rate("ParentBased_TraceIdRatio", ""), Some(1.0));
    assert_eq!(rate("traceidratio", "x"), Some(1.0));
    assert_eq!(rate("tracebaton", "0.1"), Some(0.1));
    assert_eq!(rate("xray", "0.1"), None);
}

#[test]
fn no_time_limit_and_far_too_long_ones_are_no_limit() {
    let sink = Sink::start();
    for timeout in ["0", "18446744073709551615"] {
        let base = format!("http://{}", sink.address);
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*base), ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout)];
        let recorder = tracebaton::hop::Recorder::new();
        let exporter = Exporter::start(&recorder, &read(&variables).unwrap()).unwrap();
        record(&recorder, 0..2);
        assert!(exporter.flush(SOON), "{timeout}");
        assert_eq!(exporter.shutdown(Duration::MAX).exported, counts(2));
    }
}

#[test]
fn resource_attributes_are_percent_decoded() {
    let options = read(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1%2C2, b=%zz,")]).unwrap();
    assert_eq!(options.resource, [("a".into(), "1,2".into()), ("b".into(), "%zz".into())]);
}

#[test]
fn a_signal_whose_exporter_is_none_is_not_kept() {
    let sink = Sink::start();
    let base = format!("http://{}", sink.address);
    for (key, spans, logs) in [("OTEL_TRACES_EXPORTER", 0, 6), ("OTEL_LOGS_EXPORTER", 3, 6)] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*base), (key, "none")];
        let recorder = tracebaton::hop::Recorder::new();
        let exporter = Exporter::start(&recorder, &read(&variables).unwrap()).unwrap();
        record(&recorder, 0..3);
        let report = exporter.shutdown(SOON);
        assert!(report.is_complete(), "{key} {report}");
        let telemetry = sink.telemetry();
        assert_eq!((telemetry.spans.len(), telemetry.logs.len()), (spans, logs), "{key}");
        assert_eq!(recorder.held().total(), 0);
    }
}

#[test]
fn the_traces_endpoint_is_the_default_one_as_code_has_it() {
    assert_eq!(traces(&[]), Options::default().traces.unwrap());
}

#[test]
fn every_example_of_the_page_does_what_the_page_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/export.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind, body));
        }
    }
    let [(_, right), (_, wrong), (_, told)] = &blocks[..] else { panic!("{blocks:?}") };
    let read =
        |lines: &[&str]| Options::from_vars(lines.iter().map(|line| line.split_once('=').unwrap()));
    assert_eq!(read(wrong).unwrap_err().to_string(), told.join("\n"));
    let options = read(right).unwrap();
    assert!(options.warnings.is_empty());
    assert_eq!(options.resource[1].1, "orders, returns");
    let (traces, logs) = (options.traces.unwrap(), options.logs.unwrap());
    assert_eq!(traces.url, "https://otel.example/intake/v1/traces");
    assert_eq!(traces.headers[0].1, "Bearer abc");
    assert_eq!(logs.url, "http://collector:4318/v1/logs");
    assert_eq!((logs.headers.len(), logs.headers[0].1.to_str().unwrap()), (1, "orders"));
}

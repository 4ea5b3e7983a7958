//! Runs the examples of `docs/configuration.md`, and shows what the settings do.

use std::{env, fs, path::PathBuf};

use tracebaton::{
    carrier::{List, Medium},
    config::{ConfigError, ConfigErrorKind, KEYS, Settings},
    propagate::{Extracted, Format, Propagation},
};

const SEEN: &str = "0af7651916cd43dd8448eb211c80319c";

/// Returns the blocks of a Markdown text: what stands after the fence, and what is between.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind, body.join("\n")));
        }
    }
    blocks
}

fn variables(text: &str) -> Result<Settings, ConfigError> {
    Settings::from_vars(text.lines().map(|line| line.split_once('=').unwrap()))
}

fn extract(settings: &Settings, medium: Medium, headers: &[(&str, &str)]) -> Extracted {
    let headers = headers.iter().map(|(name, value)| (*name, Some(*value)));
    settings.propagation().extract(&List::new(medium, headers))
}

#[test]
fn every_example_of_the_page_does_what_the_page_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = blocks(&text);
    let mut count = 0;
    for (index, (kind, body)) in blocks.iter().enumerate() {
        let read = match *kind {
            "yaml" | "yaml wrong" => Settings::from_yaml_text("baton.yaml", body),
            "sh" | "sh wrong" => variables(body),
            "text" => continue,
            other => panic!("what is to be done with {other:?}?"),
        };
        count += 1;
        match read {
            Ok(settings) => {
                assert!(!kind.ends_with("wrong"), "{body}");
                assert_ne!(settings, Settings::default());
            }
            Err(error) => assert_eq!(blocks[index + 1], ("text", error.to_string())),
        }
    }
    assert_eq!(count, 6, "an example is new or gone");
    for key in KEYS {
        assert!(text.contains(&format!("\n| `{key}` |")), "{key} is not in the table");
    }
}

#[test]
fn header_names_and_payload_fields_are_read_in_their_order() {
    let text = r#"
tracing:
  enabled: true
  extraction:
    headers: ["X-Request-Id", "X-B3-TraceId"]
    payload_fields: ["meta.id"]
  backends:
    - name: "jaeger"
      endpoint: "http://jaeger:16686"
logging:
  enabled: true
"#;
    let settings = Settings::from_yaml_text("a.yaml", text).unwrap();
    let own = extract(
        &settings,
        Medium::Http,
        &[("X-B3-TraceId", SEEN), ("X-B3-SpanId", "b7ad6b7169203331"), ("X-Request-Id", "order-1")],
    );
    assert_eq!(own.baton.legacy_text(), Some("order-1"));
    let b3 = extract(
        &settings,
        Medium::Http,
        &[("X-B3-TraceId", SEEN), ("X-B3-SpanId", "b7ad6b7169203331"), ("X-B3-Sampled", "1")],
    );
    assert_eq!(b3.source.unwrap().format, Format::B3Multi);
    assert_eq!(b3.baton.context.unwrap().to_string(), format!("00-{SEEN}-b7ad6b7169203331-01"));
    let alone = extract(&settings, Medium::Http, &[("X-B3-TraceId", "b7ad6b7169203331")]);
    assert_eq!(alone.baton.context.unwrap().span_id, None);
    assert_eq!(alone.baton.legacy_text(), Some("b7ad6b7169203331"));
    let kafka = extract(&settings, Medium::Kafka, &[("trace_id", "order-2")]);
    assert_eq!(kafka.baton.legacy_text(), Some("order-2"));

    let propagation = settings.propagation();
    let read = propagation.extract_payload(br#"{"meta":{"id":"order-3"},"trace_id":"no"}"#);
    assert_eq!(read.baton.legacy_text(), Some("order-3"));
    let mut response = List::new(Medium::Http, [] as [(&str, Option<&str>); 0]);
    propagation.inject(&own.baton, &mut response);
    assert_eq!(response.entries()[0].0, b"X-Request-Id");
}

#[test]
fn the_three_names_of_header_extraction_are_used() {
    let body = r#"{
      "enabled": true,
      "jaeger_endpoint": "http://jaeger:14268/api/traces",
      "sample_rate": 0.1,
      "header_extraction": {
        "trace_id_header": "X-Correlation-Id",
        "span_id_header": "X-Parent",
        "baggage_prefix": "X-Ctx-"
      },
      "url_template": "http://jaeger:16686/trace/{trace_id}"
    }"#;
    let settings = Settings::from_yaml_text("body.json", body).unwrap();
    assert_eq!(settings.sample_rate(), Some(0.1));
    let headers =
        [("x-correlation-id", SEEN), ("X-PARENT", "B7AD6B7169203331"), ("X-Ctx-User", "7")];
    let read = extract(&settings, Medium::Http, &headers);
    assert_eq!(read.baton.context.unwrap().to_string(), format!("00-{SEEN}-b7ad6b7169203331-00"));
    assert_eq!(read.baton.baggage.get("user"), Some("7"));
}

#[test]
fn variables_go_over_the_file_they_name() {
    let path = env::temp_dir().join(format!("tracebaton-{}.yaml", std::process::id()));
    fs::write(&path, "trust: ignore\nbaggage_keys: [a, B]\n").unwrap();
    let file = path.to_str().unwrap();
    let settings = Settings::from_vars([
        ("TRACEBATON_TRACING_TRUST", "continue"),
        ("TRACEBATON_TRACING_READ", ""),
        ("TRACEBATON_CONFIG", file),
        ("TRACEBATON_SERVER", "is another's"),
    ])
    .unwrap();
    let read = extract(&settings, Medium::Kafka, &[("baggage", "a=1,b=2,c=3"), ("trace_id", "x")]);
    assert_eq!(read.baton.baggage.to_header(), "a=1,b=2");
    assert_eq!(read.baton.legacy_text(), Some("x"));
    assert!(Propagation::from_yaml(&path).is_ok());
    fs::remove_file(&path).unwrap();
    let error = Propagation::from_yaml(&path).unwrap_err();
    assert_eq!((error.kind(), error.file()), (ConfigErrorKind::Unreadable, Some(path.as_path())));
}

#[test]
fn each_mistake_is_told_with_its_place() {
    for (text, line, key, kind) in [
        ("tracing:\n  traces: 1", 2, "tracing.traces", "unknown_key"),
        ("trust: 1", 1, "trust", "bad_value"),
        ("\nread: [tracecontext, b4]", 2, "read", "bad_value"),
        ("sample_rate: 1.5", 1, "sample_rate", "bad_value"),
        ("enabled: yes", 1, "enabled", "bad_value"),
        ("extraction: [a]", 1, "extraction", "bad_value"),
        ("extraction:\n  headers: ['a b']", 2, "extraction.headers", "bad_value"),
        ("extraction:\n  payload_fields: [a..b]", 2, "extraction.payload_fields", "bad_value"),
        ("extraction:\n  payload_bytes: 0", 2, "extraction.payload_bytes", "bad_value"),
        ("read:", 1, "read", "bad_value"),
        ("- a", 1, "", "bad_value"),
        ("a: [", 2, "", "syntax"),
        ("trust: ignore\ntrust: ignore", 2, "", "syntax"),
        ("trust: ignore\n---\ntrust: ignore", 3, "", "syntax"),
    ] {
        let error = Settings::from_yaml_text("a.yaml", text).unwrap_err();
        let told = (error.line(), error.key(), error.kind().as_str());
        assert_eq!(told, (Some(line), key, kind), "{text:?}: {error}");
        assert!(error.to_string().starts_with(&format!("a.yaml:{line}: {key}")), "{error}");
    }
    let error = variables("TRACEBATON_TRACING_EXTRACTION_HEADER=a").unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::UnknownKey);
    assert!(error.to_string().starts_with("TRACEBATON_TRACING_EXTRACTION_HEADER: "), "{error}");
}

#[test]
fn nothing_is_read_or_written_where_tracing_is_not_enabled() {
    let settings = Settings::default().with("enabled", false).unwrap();
    let read = extract(&settings, Medium::Http, &[("x-trace-id", SEEN)]);
    assert!(read.source.is_none());
    let baton = extract(&Settings::default(), Medium::Http, &[("x-trace-id", SEEN)]).baton;
    let mut list = List::new(Medium::Http, [] as [(&str, Option<&str>); 0]);
    settings.propagation().inject(&baton, &mut list);
    assert!(list.entries().is_empty());
}

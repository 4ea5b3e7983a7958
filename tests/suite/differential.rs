//! Rust, Python and Node make the same of the same headers: `TRACEBATON_SETS` random sets.

use std::{fs::File, io::Write, path::Path, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tracebaton::{
    Propagation,
    carrier::{List, Medium},
    propagate::Format,
};
use tracebaton_embedded::Layout;

/// How many sets are compared; `make differential` takes 100,000.
fn sets() -> usize {
    std::env::var("TRACEBATON_SETS").map_or(5_000, |count| count.parse().unwrap())
}

const FORMATS: [Format; 9] = [
    Format::TraceContext,
    Format::Baggage,
    Format::B3,
    Format::B3Multi,
    Format::Jaeger,
    Format::XRay,
    Format::Gcp,
    Format::Datadog,
    Format::Legacy,
];

type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A source of random numbers: SplitMix64. Always the same, so that what fails once fails again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// The headers of every vector: right ones, nearly right ones, and wrong ones, of every format.
fn corpus() -> Vec<Headers> {
    let folder = Layout::find().unwrap().path("tests/vectors");
    let rows = ["peers", "probes", "legacy_map"]
        .map(|name| std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap());
    let read = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let bytes = |value: &Value| value.as_str().map(|text| text.as_bytes().to_vec());
        match row["headers"].as_array() {
            Some(pairs) => pairs
                .iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), bytes(&pair[1])))
                .collect(),
            None => vec![("trace_id".to_owned(), bytes(&row["raw"]))],
        }
    };
    rows.iter().flat_map(|text| text.lines()).map(read).collect()
}

/// Puts the headers of a few vectors together and spoils some.
fn set(random: &mut Random, corpus: &[Headers]) -> Headers {
    let mut headers = Headers::new();
    for _ in 0..=random.below(3) {
        headers.extend_from_slice(&corpus[random.below(corpus.len())]);
    }
    while !headers.is_empty() && random.is_one_in(2) {
        let at = random.below(headers.len());
        spoil(random, &mut headers, at);
    }
    headers
}

fn spoil(random: &mut Random, headers: &mut Headers, at: usize) {
    let byte = random.next().to_le_bytes()[0];
    let (name, value) = &mut headers[at];
    let length = value.as_ref().map_or(0, Vec::len);
    let place = random.below(length + 1);
    match (random.below(9), value) {
        (0, value) => *value = None,
        (1, _) => *name = name.to_ascii_uppercase(),
        (2, _) => {
            let copy = headers[at].clone();
            headers.push(copy);
        }
        (3, _) => *name = "trace_id".to_owned(),
        (4, Some(value)) => value.truncate(place),
        (5, Some(value)) => value.insert(place, byte),
        (6, Some(value)) if place < length => _ = value.remove(place),
        (7, Some(value)) if place < length => value[place] = byte,
        (_, Some(value)) if place < length => value[place] ^= 1 << (byte % 7),
        _ => {}
    }
}

fn word(medium: Medium) -> &'static str {
    match medium {
        Medium::Http => "http",
        Medium::Kafka => "kafka",
        Medium::Metadata => "metadata",
    }
}

fn outcome(propagation: &Propagation, medium: Medium, headers: Headers) -> Value {
    let extracted = propagation.extract(&List::new(medium, headers));
    let (baton, source) = (&extracted.baton, &extracted.source);
    let mut written = List::new(medium, Headers::new());
    propagation.inject(baton, &mut written);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what is written is text");
    let pair = |(name, value): &(Vec<u8>, Option<Vec<u8>>)| {
        json!([text(name), value.as_deref().map(text)])
    };
    let context = baton.context;
    let entry =
        |entry: &tracebaton::wire::BaggageEntry| json!([entry.key, entry.value, entry.properties]);
    json!({
        "trace_id": context.map(|context| context.trace_id.to_string()),
        "span_id": context.and_then(|context| context.span_id).map(|id| id.to_string()),
        "flags": context.map(|context| context.flags.bits()),
        "tracestate": baton.tracestate.as_str(),
        "baggage": baton.baggage.entries().iter().map(entry).collect::<Vec<_>>(),
        "legacy_id": baton.legacy_text(),
        "is_debug": baton.is_debug,
        "is_deferred": baton.is_deferred,
        "source": source.as_ref().map(|source| {
            json!([source.place.as_str(), source.format.as_str(), source.name, source.is_trusted])
        }),
        "refused": extracted.refused.iter()
            .map(|refusal| json!([refusal.name, refusal.kind.as_str()])).collect::<Vec<_>>(),
        "written": written.entries().iter().map(pair).collect::<Vec<_>>(),
    })
}

async fn run(command: &mut Command, sets: &Path) -> Vec<Value> {
    let formats = FORMATS.map(Format::as_str).join(",");
    let ran =
        command.arg(formats).stdin(Stdio::from(File::open(sets).unwrap())).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let out = String::from_utf8(ran.stdout).unwrap();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn all_languages_make_the_same_of_the_same_headers() {
    let (sets, mut random, corpus) = (sets(), Random(2026), corpus());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sets.jsonl");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    let propagation = Propagation::default().with_read(FORMATS);
    let (mut lines, mut wanted, mut found) = (Vec::new(), Vec::new(), 0);
    for _ in 0..sets {
        let media = [Medium::Http, Medium::Kafka, Medium::Metadata];
        let (medium, headers) = (media[random.below(3)], set(&mut random, &corpus));
        let pairs: Vec<Value> = headers
            .iter()
            .map(|(name, value)| {
                let text = value
                    .as_ref()
                    .map(|bytes| bytes.iter().copied().map(char::from).collect::<String>());
                json!([name, text])
            })
            .collect();
        let line = json!({ "medium": word(medium), "headers": pairs }).to_string();
        writeln!(file, "{line}").unwrap();
        lines.push(line);
        let outcome = outcome(&propagation, medium, headers);
        found += usize::from(!outcome["trace_id"].is_null());
        wanted.push(outcome);
    }
    file.into_inner().unwrap().sync_all().unwrap();
    assert!((sets / 4..sets * 9 / 10).contains(&found), "{found} of {sets} name a trace");

    let layout = Layout::find().unwrap();
    let mut python = Command::new(layout.built(".venv/bin/python").unwrap());
    let mut node = Command::new("node");
    python.arg(layout.path("tests/differential/run.py"));
    node.arg(layout.path("tests/differential/run.mjs"));
    for (language, got) in
        [("Python", run(&mut python, &path).await), ("Node", run(&mut node, &path).await)]
    {
        assert_eq!(got.len(), sets, "{language}");
        for ((line, wanted), got) in lines.iter().zip(&wanted).zip(&got) {
            assert_eq!(got, wanted, "{language} and Rust differ on {line}");
        }
    }
    println!("{sets} sets came out alike in Rust, Python and Node; {found} name a trace");
}

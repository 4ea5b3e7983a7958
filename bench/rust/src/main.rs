//! Measures tracebaton and its peers side by side: `bench-rust [METRIC…]`.
//!
//! Rounds of both take turns in one process; what counts is the median of the CPU time. Results are
//! printed, and written to `target/bench.jsonl` of the repository.

mod carriers;
mod hop;
mod layer;
mod log;
mod measure;
mod propagation;
mod sink;

use std::{env, path::Path};

use sink::Sink;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "sink") {
        return sink::run();
    }
    let wanted = |metric: &str| arguments.is_empty() || arguments.iter().any(|one| one == metric);
    let sink = Sink::start()?;
    let mut rows = Vec::new();
    propagation::run(wanted, &mut rows);
    hop::run(&sink, wanted, &mut rows)?;
    let (ours, peer) = (sink.of("ours"), sink.of("peer"));
    if wanted("rust.http.layer") {
        rows.push(layer::run(hop::provider(&peer.url)?, &hop::Ours::start(&ours.url)?.recorder));
    }
    if wanted("rust.log.json") {
        rows.push(log::run(&hop::Ours::start(&ours.url)?.recorder));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench.jsonl");
    measure::save(&rows, &path)
}

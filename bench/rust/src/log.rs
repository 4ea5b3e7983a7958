//! A JSON log line with the ids.

use std::{cell::RefCell, io};

use tracebaton::{
    TraceContext,
    hop::{Coordinates, Hop, Recorder},
    log::LogLayer,
    otel,
    propagate::Baton,
};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use crate::{
    carriers::PARENT,
    measure::{Clock, Pair, Row},
};

const COUNT: usize = 5_000;
const ROUNDS: usize = 21;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn keep(line: &[u8]) {
    LINES.with_borrow_mut(|lines| {
        if lines.len() > 1 << 20 {
            lines.clear();
        }
        lines.extend_from_slice(line);
    });
}

struct Keep;

impl io::Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        keep(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Keep {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

fn say(count: usize) {
    for offset in 0..count {
        tracing::info!(topic = "invoices", offset, "billed the order");
    }
}

pub(crate) fn run(recorder: &Recorder) -> Row {
    let layer = LogLayer::default().with_recorder(recorder).with_sink(|line| keep(line.as_bytes()));
    let ours = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let format = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(Keep);
    let peer = tracing::Dispatch::new(tracing_subscriber::registry().with(format));
    let context = TraceContext::parse(PARENT).expect("it is right");
    let baton = Baton { context: Some(context), ..Baton::default() };
    let input = Coordinates { topic: "orders".to_owned(), partition: 3, offset: 7, group: None };
    let hop = Hop::process(&Recorder::new(), &input, &baton);
    let pair = Pair {
        metric: "rust.log.json",
        peer_name: "tracing-subscriber json",
        clock: Clock::Thread,
        count: COUNT,
        rounds: ROUNDS,
        ours: Box::new(|count| {
            let _guard = otel::cx(hop.baton()).attach();
            tracing::dispatcher::with_default(&ours, || say(count));
        }),
        peer: Box::new(|count| {
            tracing::dispatcher::with_default(&peer, || {
                let (trace_id, span_id) = (hop.trace_id(), hop.span_id());
                let span = tracing::info_span!("process orders", %trace_id, %span_id);
                span.in_scope(|| say(count));
            });
        }),
    };
    pair.measure()
}

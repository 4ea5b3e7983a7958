//! Endpoints that refuse, keep silent, are slow, or away for a while.

use std::{
    env,
    net::TcpListener,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tracebaton::{
    hop::{Counts, Level, Log, Recorder},
    otlp::{Exporter, Options, Protocol},
};

use super::{SOON, counts, options, options_at, record, start, tls::Authority, with};
use crate::support::{
    endpoints::{ALL, Endpoint, State},
    load,
    path::Path,
    sink::{Answer, Sink},
    telemetry::attributes,
    wait_for,
};

#[test]
fn what_is_refused_for_now_is_sent_again() {
    for (protocol, busy) in [
        (Protocol::HttpProtobuf, Answer::Status(503)),
        (Protocol::HttpProtobuf, Answer::Status(429)),
        (Protocol::Grpc, Answer::Grpc(14)),
        (Protocol::Grpc, Answer::Status(503)),
    ] {
        let sink = Sink::start();
        sink.answer(move |request| if request.index < 4 { busy } else { Answer::Take });
        let (recorder, exporter) = start(&options(&sink, protocol));
        record(&recorder, 0..20);
        wait_for("the first refusals", || (sink.received().len() > 2).then_some(()));
        record(&recorder, 20..40);
        let report = exporter.shutdown(SOON);
        assert!(report.is_complete(), "{protocol:?} {busy:?} {report}");
        let telemetry = sink.telemetry();
        assert_eq!((telemetry.spans.len(), telemetry.logs.len()), (40, 80), "once each");
    }
}

/// Returns an endpoint that answers the first request with spans by 503 each time, and takes all others.
fn dies_of_the_first() -> Sink {
    let sink = Sink::start();
    let deadly = AtomicUsize::new(0);
    sink.answer(move |request| {
        if request.path != "/v1/traces" {
            return Answer::Take;
        }
        // It is known by its size whenever it comes again.
        let _ = deadly.compare_exchange(0, request.size, Ordering::Relaxed, Ordering::Relaxed);
        let is_deadly = request.size == deadly.load(Ordering::Relaxed);
        if is_deadly { Answer::Status(503) } else { Answer::Take }
    });
    sink
}

#[test]
fn a_request_that_fails_each_time_is_told_of_once() {
    const IS_CHILD: &str = "TRACEBATON_TEST_SAYS_WHAT_FAILS";
    if env::var_os(IS_CHILD).is_none() {
        let name = "otlp::faults::a_request_that_fails_each_time_is_told_of_once";
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(IS_CHILD, "1");
        let output = child.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let times = |text| said.lines().filter(|line| line.contains(text)).count();
        assert_eq!((times("; trying again"), times("exporting to")), (1, 1), "{said}");
        return;
    }
    let sink = dies_of_the_first();
    let options = options(&sink, Protocol::HttpProtobuf);
    let options = Options { logs: None, is_quiet: false, ..options };
    // What was recorded before the start is one request.
    let recorder = Recorder::new();
    recorder.switch(true);
    record(&recorder, 0..20);
    let exporter = Exporter::start(&recorder, &options).unwrap();
    wait_for("the first try", || (!sink.received().is_empty()).then_some(()));
    let tries = || {
        let sizes: Vec<_> = sink.received().iter().map(|request| request.size).collect();
        sizes.iter().filter(|size| **size == sizes[0]).count()
    };
    let mut arrived = 0;
    while tries() < 6 {
        record(&recorder, 0..2);
        arrived += 2;
        wait_for("what takes turns with it", || {
            (sink.telemetry().spans.len() == arrived).then_some(())
        });
    }
    exporter.shutdown(Duration::from_millis(100));
}

#[test]
fn a_request_that_its_endpoint_always_fails_on_holds_up_no_other() {
    let sink = dies_of_the_first();
    let only_spans = Options { logs: None, ..options(&sink, Protocol::HttpProtobuf) };
    // What was recorded before the start is one request.
    let recorder = Recorder::new();
    recorder.switch(true);
    record(&recorder, 0..20);
    let exporter = Exporter::start(&recorder, &only_spans).unwrap();
    wait_for("the first try", || (!sink.received().is_empty()).then_some(()));
    for round in 1..3 {
        record(&recorder, 0..2);
        let arrived = || (sink.telemetry().spans.len() == 2 * round).then_some(());
        wait_for("what was recorded later", arrived);
    }
    assert!(!exporter.flush(Duration::from_millis(100)), "the first is still to come");
    let report = exporter.shutdown(Duration::from_secs(1));
    assert_eq!((report.exported.spans, report.lost.spans), (4, 20));
}

#[test]
fn a_request_that_fails_for_long_while_others_are_taken_is_given_up_and_told_of() {
    let sink = dies_of_the_first();
    let patience = Duration::from_secs(1);
    let options = Options { patience, ..options(&sink, Protocol::HttpProtobuf) };
    let recorder = Recorder::new();
    recorder.switch(true);
    record(&recorder, 0..20);
    let exporter = Exporter::start(&recorder, &options).unwrap();
    let has_spans = || sink.received().iter().any(|request| request.path == "/v1/traces");
    wait_for("the first try", || has_spans().then_some(()));
    let mut others = 0;
    let told = wait_for("the report of what was given up", || {
        // Each is a request of its own, and all of them arrive.
        record(&recorder, 0..2);
        others += 2;
        exporter.flush(Duration::from_millis(100));
        let logs = sink.telemetry().logs;
        let told = logs.iter().find(|log| log.event_name == "tracebaton.dropped");
        told.map(|told| attributes(&told.attributes))
    });
    assert_eq!(told["tracebaton.reason"], "given_up");
    let report = exporter.shutdown(SOON);
    let given_up = |key: &str| told[&format!("tracebaton.dropped.{key}")].parse::<u64>().unwrap();
    let counts = ["spans", "logs", "ledger"].map(given_up);
    let Counts { spans, logs, ledger } = report.given_up;
    assert_eq!((counts, report.dropped), ([spans, logs, ledger], report.given_up));
    assert_eq!((spans, report.lost.total()), (20, 0), "the request of the first twenty spans");
    assert_eq!(report.refused.total(), 0, "it was never answered");
    assert_eq!(sink.telemetry().spans.len(), others);
}

#[test]
fn an_outage_of_everything_gives_nothing_up_whatever_the_patience() {
    let sink = Sink::start();
    sink.answer(|_| Answer::Status(503));
    let options = options(&sink, Protocol::HttpProtobuf);
    let (recorder, exporter) = start(&Options { patience: Duration::ZERO, ..options });
    for _ in 0..20 {
        record(&recorder, 0..2);
        exporter.flush(Duration::from_millis(50));
    }
    sink.answer(|_| Answer::Take);
    assert!(exporter.flush(SOON));
    let report = exporter.shutdown(SOON);
    assert!(report.is_complete(), "{report}");
    assert_eq!(sink.telemetry().spans.len(), 40);
}

#[test]
fn what_is_refused_for_good_is_given_up_and_counted() {
    for (protocol, no) in
        [(Protocol::HttpProtobuf, Answer::Status(400)), (Protocol::Grpc, Answer::Grpc(3))]
    {
        let sink = Sink::start();
        sink.answer(move |_| no);
        let (recorder, exporter) = start(&options(&sink, protocol));
        record(&recorder, 0..20);
        assert!(!exporter.flush(SOON), "it has not arrived");
        let report = exporter.shutdown(SOON);
        assert_eq!(report.dropped, counts(20));
        assert_eq!(report.refused, counts(20));
        assert_eq!(report.exported.total() + report.lost.total() + report.given_up.total(), 0);
        assert_eq!(sink.received().len(), 2, "a request that is refused is not sent again");
    }
}

#[test]
fn an_outage_of_one_signal_does_not_hold_up_the_other() {
    let sink = Sink::start();
    sink.answer(|request| match &*request.path {
        "/v1/traces" => Answer::Silence,
        _ => Answer::Take,
    });
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    record(&recorder, 0..20);
    wait_for("the ledger", || (sink.telemetry().ledger("process").len() == 20).then_some(()));
    let report = exporter.shutdown(Duration::from_millis(100));
    assert_eq!(report.exported, Counts { spans: 0, ..counts(20) });
    assert_eq!(report.lost, Counts { spans: 20, ..Counts::default() });
}

#[test]
fn shutdown_keeps_its_deadline_and_tells_what_was_lost() {
    let silent = Sink::start();
    silent.answer(|_| Answer::Silence);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_at = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let hole = Endpoint::new(State::BlackHoled);
    let authority = Authority::new("deadline");
    let hole_at = |scheme| format!("{scheme}://127.0.0.1:{}", hole.port);
    for (protocol, base) in [
        (Protocol::HttpProtobuf, hole_at("http")),
        (Protocol::Grpc, hole_at("http")),
        (Protocol::Grpc, hole_at("https")),
        (Protocol::HttpProtobuf, format!("http://{}", silent.address)),
        (Protocol::Grpc, format!("http://{}", silent.address)),
        (Protocol::HttpProtobuf, closed_at),
        (Protocol::HttpProtobuf, "http://name.invalid:4318".to_owned()),
    ] {
        let options = with(options_at(&base, protocol), |endpoint| {
            endpoint.timeout = Duration::from_secs(60);
            endpoint.tls.certificate = authority.file("ca.pem");
        });
        let known = silent.received().len();
        let (recorder, exporter) = start(&options);
        record(&recorder, 0..20);
        // Where somebody listens, a request is under way when the order comes.
        if base.contains(&silent.address.to_string()) {
            wait_for("a request", || (silent.received().len() > known).then_some(()));
        }
        record(&recorder, 20..30);
        let start = Instant::now();
        let report = exporter.shutdown(Duration::from_millis(300));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "{base} took {took:?}");
        assert_eq!(report.lost, counts(30), "{base} {report}");
        assert!(!report.is_complete());
        record(&recorder, 0..5);
        assert_eq!(recorder.held().total(), 0, "nobody would take it");
    }
}

#[test]
fn a_connection_that_leads_nowhere_any_more_is_not_used_again() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let sink = Sink::start();
        let path = Path::to(sink.address);
        let options = with(options_at(&format!("http://{}", path.address), protocol), |endpoint| {
            endpoint.timeout = Duration::from_millis(500);
        });
        let (recorder, exporter) = start(&options);
        record(&recorder, 0..5);
        assert!(exporter.flush(SOON), "{protocol:?}");
        path.swallow();
        record(&recorder, 5..10);
        assert!(exporter.flush(Duration::from_secs(5)), "{protocol:?}");
        assert_eq!(exporter.shutdown(SOON).exported, counts(10));
        assert_eq!(sink.telemetry().spans.len(), 10, "once each");
    }
}

#[test]
fn a_flush_that_is_too_late_loses_nothing() {
    let sink = Sink::start();
    sink.answer(|_| Answer::Status(503));
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    record(&recorder, 0..20);
    assert!(!exporter.flush(Duration::from_millis(50)));
    sink.answer(|_| Answer::Take);
    assert!(exporter.flush(SOON));
    assert_eq!(sink.telemetry().spans.len(), 20);
    assert!(exporter.shutdown(SOON).is_complete());
}

#[test]
fn an_endpoint_that_comes_back_gets_everything() {
    let first = Sink::start();
    let port = first.address.port();
    let (recorder, exporter) = start(&options(&first, Protocol::HttpProtobuf));
    record(&recorder, 0..10);
    assert!(exporter.flush(SOON));
    drop(first);
    record(&recorder, 10..30);
    assert!(!exporter.flush(Duration::from_millis(300)), "nobody is there");
    let second = wait_for("the port", || std::panic::catch_unwind(|| Sink::at(port)).ok());
    record(&recorder, 30..40);
    wait_for("the rest", || (second.telemetry().spans.len() == 30).then_some(()));
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, counts(40), "{report}");
}

#[test]
fn no_endpoint_holds_up_a_message() {
    for state in ALL {
        let endpoint = Endpoint::new(state);
        let (recorder, exporter) = load::export_to(endpoint.port);
        let delays = load::run(&recorder, 5_000, 1, || {});
        assert!(delays.quantile(0.999) < Duration::from_millis(1), "{state:?}: {delays}");
        let start = Instant::now();
        let report = exporter.shutdown(Duration::from_millis(200));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{state:?}: shutdown took {took:?}");
        let told = report.exported.total() + report.lost.total();
        assert_eq!(told, load::recorded(5_000).total(), "{state:?} {report}");
    }
}

#[test]
fn slow_answers_delay_nobody_and_lose_nothing() {
    let sink = Sink::start();
    sink.answer(|_| Answer::Slowly(Duration::from_millis(100)));
    let (recorder, exporter) = start(&options(&sink, Protocol::Grpc));
    let start = Instant::now();
    record(&recorder, 0..2_000);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "recording took {took:?}");
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, counts(2_000), "{report}");
    assert_eq!(sink.telemetry().spans.len(), 2_000);
}

#[test]
fn memory_is_bounded_and_the_ledger_goes_last() {
    const LIMIT: usize = 4 << 20;
    let sink = Sink::start();
    sink.answer(|_| Answer::Status(503));
    let options = Options { limit_bytes: LIMIT, ..options(&sink, Protocol::HttpProtobuf) };
    let (recorder, exporter) = start(&options);
    // Noise that hardly packs: memory is full long before the last round.
    let mut seed = 1_u64;
    let mut noise = || {
        let mut text = String::new();
        while text.len() < 12_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(&seed.to_string());
        }
        text
    };
    for round in 0..1_000 {
        record(&recorder, round..round + 1);
        recorder.log(&Log { level: Level::Info, message: &noise(), fields: &[] }, None);
    }
    assert!(!exporter.flush(Duration::from_millis(10)));
    sink.answer(|_| Answer::Take);
    assert!(exporter.flush(SOON));
    let told = wait_for("the report of what was dropped", || {
        let logs = sink.telemetry().logs;
        let told = logs.iter().find(|log| log.event_name == "tracebaton.dropped");
        told.map(|told| attributes(&told.attributes))
    });
    let report = exporter.shutdown(SOON);
    let telemetry = sink.telemetry();
    let kept = telemetry.ledger("process").len() as u64;
    assert_eq!(told["tracebaton.reason"], "memory_full");
    assert_eq!(told["tracebaton.dropped.spans"], report.dropped.spans.to_string());
    assert_eq!(told["tracebaton.dropped.logs"], report.dropped.logs.to_string());
    assert_eq!(report.dropped.spans + telemetry.spans.len() as u64, 1_000);
    assert_eq!(report.dropped.ledger + kept, 1_000);
    assert!(report.dropped.spans > 0 && report.dropped.logs > 0, "{report}");
    assert_eq!(report.dropped.ledger, 0, "the ledger has the last of the memory");
    assert_eq!((report.refused.total(), report.lost.total()), (0, 0));
}

#[test]
fn a_long_outage_fits_into_little_memory() {
    // 40 seconds at 5,000 hops a second in 64 MiB is 335 bytes a hop.
    const HOPS: i64 = 20_000;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let base = format!("http://127.0.0.1:{port}");
    let limit_bytes = 335 * HOPS as usize;
    let options = Options { limit_bytes, ..options_at(&base, Protocol::HttpProtobuf) };
    let (recorder, exporter) = start(&options);
    for second in 0..40 {
        record(&recorder, second * HOPS / 40..(second + 1) * HOPS / 40);
        // Time for the thread to pack: a second in the outage, some milliseconds here.
        exporter.flush(Duration::from_millis(5));
        wait_for("packing", || (recorder.held().total() == 0).then_some(()));
    }
    let sink = Sink::at(port);
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, counts(HOPS as u64), "{report}");
    assert_eq!(sink.telemetry().spans.len(), HOPS as usize);
}

//! Endpoints that answer what no endpoint should: nothing of it hangs, grows, or is lost unseen.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tracebaton::{
    hop::Recorder,
    otlp::{Exporter, Options, Protocol, ShutdownReport},
};

use super::{SOON, counts, options, options_at, record, start, with};
use crate::support::{
    raw::{Raw, Reply, WELL},
    sink::{Answer, Sink},
    wait_for,
};

/// Returns options for the logs of an endpoint alone, so that requests come one after the other.
fn logs_of(raw: &Raw, timeout: Duration) -> Options {
    let options = options_at(&format!("http://{}", raw.address), Protocol::HttpProtobuf);
    with(Options { traces: None, ..options }, |endpoint| endpoint.timeout = timeout)
}

/// Exports five hops to an endpoint that does something with the first request, and takes the others.
fn first(reply: Reply) -> (usize, ShutdownReport) {
    let raw = Raw::start(move |index| match index {
        0 => reply.clone(),
        _ => Reply::Keep(WELL.to_vec()),
    });
    let (recorder, exporter) = start(&logs_of(&raw, Duration::from_millis(400)));
    record(&recorder, 0..5);
    exporter.flush(SOON);
    let report = exporter.shutdown(SOON);
    assert_eq!(report.lost.total(), 0, "{report}");
    (raw.requests(), report)
}

/// Asserts that the first request was sent again, and arrived.
#[track_caller]
fn is_sent_again(reply: Reply) {
    let (requests, report) = first(reply);
    // A machine that is busy may make the second one late as well.
    assert!(requests >= 2, "{report}");
    assert_eq!(report.exported.total(), 10, "{report}");
    assert_eq!(report.dropped.total(), 0, "{report}");
}

/// Asserts that the first request counts as taken, and was not sent again.
#[track_caller]
fn is_taken(reply: Reply) {
    let (requests, report) = first(reply);
    assert_eq!((requests, report.exported.total()), (1, 10), "{report}");
}

/// Asserts that the first request was given up and counted; the second tells of it.
#[track_caller]
fn is_refused(reply: Reply) {
    let (_, report) = first(reply);
    assert_eq!(report.refused.total(), 10, "{report}");
    assert_eq!(report.dropped, report.refused, "{report}");
}

fn head(status: &str, rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{rest}\r\n").into_bytes()
}

#[test]
fn a_huge_answer_is_not_read() {
    let long = head("200 OK", "content-length: 10000000000\r\n");
    is_refused(Reply::Endless(long, vec![0; 1 << 16]));
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    is_refused(Reply::Endless(chunked, [&b"10000\r\n"[..], &[b'a'; 1 << 16], b"\r\n"].concat()));
    // Of a failure the words are cut short, and the status counts.
    is_refused(Reply::Endless(
        head("400 No", "content-length: 10000000000\r\n"),
        vec![b'a'; 1 << 16],
    ));
    is_sent_again(Reply::Endless(
        head("503 No", "content-length: 9999999\r\n"),
        vec![b'a'; 1 << 16],
    ));
}

#[test]
fn endless_headers_are_an_answer_that_did_not_come() {
    is_sent_again(Reply::Endless(
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"x-more: and more\r\n".to_vec(),
    ));
    is_sent_again(Reply::Endless(b"HTTP/1.1 200 OK\r\nx-one: ".to_vec(), vec![b'a'; 1 << 10]));
    is_sent_again(Reply::Endless(Vec::new(), head("100 Continue", "")));
}

#[test]
fn what_is_not_http_is_an_answer_that_did_not_come() {
    is_sent_again(Reply::Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()));
    is_sent_again(Reply::Close(vec![0; 1_000]));
    is_sent_again(Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()));
    is_sent_again(Reply::Close(Vec::new()));
}

#[test]
fn garbage_below_a_status_of_success_is_success() {
    let garbage = b"\xff\x00{\"ok\":true}";
    let length = format!("content-length: {}\r\n", garbage.len());
    is_taken(Reply::Keep([&head("200 OK", &length), &garbage[..]].concat()));
    let named = format!("content-type: application/x-protobuf\r\n{length}");
    is_taken(Reply::Keep([&head("202 Accepted", &named), &garbage[..]].concat()));
    is_taken(Reply::Keep(head("204 No Content", "")));
}

#[test]
fn a_web_page_is_no_answer_of_an_endpoint() {
    let page = head("200 OK", "content-type: text/html\r\ncontent-length: 6\r\n");
    is_refused(Reply::Keep([&page, &b"<html>"[..]].concat()));
}

#[test]
fn a_body_that_breaks_off_or_does_not_end_leaves_the_status() {
    is_taken(Reply::Close([&head("200 OK", "content-length: 100\r\n"), &b"\x0a"[..]].concat()));
    let head_of_200 = head("200 OK", "content-length: 100\r\n");
    is_taken(Reply::Drip(head_of_200, vec![0x0a; 100], Duration::from_millis(10)));
    is_refused(Reply::Close(head("400 Bad Request", "content-length: 100\r\n")));
}

#[test]
fn an_answer_that_comes_letter_by_letter_comes_too_late() {
    is_sent_again(Reply::Drip(Vec::new(), WELL.to_vec(), Duration::from_millis(20)));
}

#[test]
fn a_redirect_is_refused_and_not_followed() {
    let elsewhere = Raw::start(|_| Reply::Keep(WELL.to_vec()));
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("location: http://{}/\r\ncontent-length: 0\r\n", elsewhere.address);
        is_refused(Reply::Keep(head(status, &to)));
    }
    assert_eq!(elsewhere.connections(), 0, "what is in the headers is for nobody else");
}

#[test]
fn a_connection_that_is_closed_between_requests_costs_nothing() {
    let raw = Raw::start(|_| Reply::Close(WELL.to_vec()));
    let (recorder, exporter) = start(&logs_of(&raw, SOON));
    for round in 0..50 {
        record(&recorder, round..round + 1);
        assert!(exporter.flush(SOON), "round {round}");
    }
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported.total(), 100, "{report}");
    assert_eq!(raw.requests(), 50, "once each");
}

#[test]
fn a_connection_that_dies_with_a_request_on_it_costs_nothing() {
    // Every other request is read, and never answered.
    let raw = Raw::start(|index| match index % 2 {
        0 => Reply::Keep(WELL.to_vec()),
        _ => Reply::Close(Vec::new()),
    });
    let (recorder, exporter) = start(&logs_of(&raw, SOON));
    for round in 0..5 {
        record(&recorder, round..round + 1);
        assert!(exporter.flush(SOON), "round {round}");
    }
    assert_eq!(exporter.shutdown(SOON).exported.total(), 10);
    assert_eq!(raw.requests(), 9);
}

#[test]
fn an_endpoint_says_when_to_come_back_and_no_flush_comes_earlier() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = times.clone();
    let raw = Raw::start(move |index| {
        seen.lock().unwrap().push(Instant::now());
        match index {
            0 => Reply::Keep(head("503 Later", "retry-after: 1\r\ncontent-length: 0\r\n")),
            _ => Reply::Keep(WELL.to_vec()),
        }
    });
    let (recorder, exporter) = start(&logs_of(&raw, SOON));
    record(&recorder, 0..1);
    wait_for("the first request", || (raw.requests() == 1).then_some(()));
    assert!(!exporter.flush(Duration::from_millis(100)), "it is not the time yet");
    assert!(exporter.flush(SOON));
    let times = times.lock().unwrap().clone();
    let [first, second] = times[..] else { panic!("{times:?}") };
    assert!(second - first >= Duration::from_millis(950), "{:?}", second - first);
    // What is about to end cannot come back.
    assert!(exporter.shutdown(SOON).is_complete());
}

#[test]
fn an_endpoint_that_wants_no_pause_or_years_of_it_gets_neither() {
    let raw =
        Raw::start(|_| Reply::Keep(head("503 Now", "retry-after: 0\r\ncontent-length: 0\r\n")));
    let (recorder, exporter) = start(&logs_of(&raw, SOON));
    record(&recorder, 0..1);
    wait_for("requests", || (raw.requests() >= 3).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    assert!(raw.requests() < 10, "{} requests", raw.requests());
    assert_eq!(exporter.shutdown(Duration::from_millis(10)).lost.total(), 2);

    let years = head("429 Later", "retry-after: 99999999999\r\ncontent-length: 0\r\n");
    let raw = Raw::start(move |index| match index {
        0 => Reply::Keep(years.clone()),
        _ => Reply::Keep(WELL.to_vec()),
    });
    let (recorder, exporter) = start(&logs_of(&raw, SOON));
    record(&recorder, 0..1);
    wait_for("a request", || (raw.requests() == 1).then_some(()));
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported.total(), 2, "the last try does not wait: {report}");
}

#[test]
fn a_grpc_status_may_be_all_there_is() {
    for (code, wants_retry) in [(14, true), (4, true), (3, false), (8, false), (12, false)] {
        let sink = Sink::start();
        sink.answer(move |request| match request.index {
            0 => Answer::GrpcAtOnce(code),
            _ => Answer::Take,
        });
        let options = Options { traces: None, ..options(&sink, Protocol::Grpc) };
        let recorder = Recorder::new();
        let exporter = Exporter::start(&recorder, &options).unwrap();
        record(&recorder, 0..5);
        exporter.flush(SOON);
        let report = exporter.shutdown(SOON);
        let refused = counts(5).total() - counts(5).spans;
        assert_eq!(
            report.refused.total(),
            if wants_retry { 0 } else { refused },
            "{code} {report}"
        );
        assert_eq!(report.lost.total(), 0, "{code} {report}");
    }
}

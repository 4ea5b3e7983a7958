//! What was acknowledged is there, whatever happens to the server.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use prost::Message;

use crate::support::*;

#[test]
fn a_restart_finds_everything_again() {
    let server = Server::start();
    server.send_spans(vec![span(1, 1)]);
    server.send_logs(vec![log(1, "hello")]);
    let id = hex(&trace_id(1));
    let before = (server.cli(&["trace", &id]).stdout, server.cli(&["logs", &id]).stdout);
    let data = server.data.clone();
    assert!(server.terminate().success());
    let server = Server::on(data);
    let after = (server.cli(&["trace", &id]).stdout, server.cli(&["logs", &id]).stdout);
    assert_eq!(before, after);
    // What comes again is known again.
    server.send_spans(vec![span(1, 1)]);
    server.send_logs(vec![log(1, "hello")]);
    assert_eq!(after, (server.cli(&["trace", &id]).stdout, server.cli(&["logs", &id]).stdout));
}

#[test]
fn killed_under_load_the_server_has_lost_nothing_it_acknowledged() {
    const SENDERS: u64 = 4;
    const ENOUGH: usize = 40;
    let mut server = Server::start();
    let acknowledged = Mutex::new(BTreeSet::new());
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            let address = server.http.clone();
            let (acknowledged, next) = (&acknowledged, &next);
            scope.spawn(move || {
                // Until the server is gone.
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let spans = (0..50).map(|at| span(number, at + 1)).collect();
                    let (path, body) = if number % 2 == 0 {
                        ("/v1/traces", spans_of("shop", spans).encode_to_vec())
                    } else {
                        let logs = (0..50).map(|at| log(number, &format!("line {at}"))).collect();
                        ("/v1/logs", logs_of("shop", logs).encode_to_vec())
                    };
                    match try_ask(&address, "POST", path, &[PROTOBUF], &body) {
                        Some(answer) if answer.status == 200 => {
                            acknowledged.lock().unwrap().insert(number);
                        }
                        _ => return,
                    }
                }
            });
        }
        until("enough is acknowledged", || {
            (acknowledged.lock().unwrap().len() >= ENOUGH).then_some(())
        });
        server.kill();
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= ENOUGH);
    let server = Server::on(server.data.clone());
    for number in acknowledged {
        let what = if number % 2 == 0 { "" } else { "/logs" };
        let path = format!("/api/v1/traces/{}{what}", hex(&trace_id(number)));
        let kept = server.get(&path).json().as_array().unwrap().len();
        assert_eq!(kept, 50, "request {number} was acknowledged");
    }
}

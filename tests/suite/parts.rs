//! The parts as child processes: what goes wrong is said in one line, and nothing is left behind.

use std::{net::TcpListener, path::Path};

use tempfile::TempDir;
use tracebaton_embedded::{Part, Ports, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    type SetPort = fn(&mut Ports, u16);
    let cases: [(&str, SetPort); 5] = [
        ("broker", |ports, port| ports.kafka = port),
        ("clickhouse", |ports, port| ports.clickhouse_http = port),
        ("drilldown", |ports, port| ports.otlp_http = port),
        ("drilldown", |ports, port| ports.otlp_grpc = port),
        ("ingest", |ports, port| ports.ingest = port),
    ];
    for (part, set) in cases {
        let folder = TempDir::new().unwrap();
        let mut ports = Ports::free().unwrap();
        set(&mut ports, port);
        let started = Stack::start(folder.path().to_path_buf(), ports).await;
        let line = format!("{:#}", started.err().unwrap());
        assert!(line.contains(part) && line.contains(&port.to_string()), "{line}");
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(left_behind(folder.path()), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_leaves_no_process_behind() {
    let folder = TempDir::new().unwrap();
    let mut stack =
        Stack::start(folder.path().to_path_buf(), Ports::free().unwrap()).await.unwrap();
    assert!(!left_behind(folder.path()).is_empty(), "the test finds what runs");
    stack.stop().await;
    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_by_itself_is_named() {
    let folder = TempDir::new().unwrap();
    let mut stack =
        Stack::start(folder.path().to_path_buf(), Ports::free().unwrap()).await.unwrap();
    let id = stack.child(Part::Enrich).unwrap().id().unwrap();
    let killed = std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
    assert!(killed.success());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let line = loop {
        match stack.check() {
            Err(error) => break error.to_string(),
            Ok(()) => assert!(tokio::time::Instant::now() < deadline, "nobody noticed"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(line.starts_with("enrich has ended (signal: 9"), "{line}");
    stack.stop().await;
}

/// Returns the command lines of the processes that have this folder in their arguments or their
/// environment, as every part has.
pub(crate) fn left_behind(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let line = read("cmdline");
        if line.contains(folder) || read("environ").contains(folder) {
            found.push(line);
        }
    }
    found
}

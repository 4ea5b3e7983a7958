//! What the README shows, works.

use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;
use tracebaton_embedded::Layout;

/// Returns the code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = Layout::find().unwrap().path("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let opening = format!("```{language}\n");
    let opened = text.split(opening.as_str()).skip(1);
    opened.map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

async fn run(command: &mut Command) -> Output {
    // Nobody listens there: an example that works says so only in its report.
    let endpoint = "http://127.0.0.1:9";
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().await.unwrap()
}

fn is_well(ran: &Output) {
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    let line = out.lines().find(|line| line.contains("made an invoice")).expect("a log line");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
}

#[tokio::test]
async fn the_example_in_python_runs() {
    let layout = Layout::find().unwrap();
    for block in blocks("python") {
        let python = layout.built(".venv/bin/python").unwrap();
        is_well(&run(Command::new(python).arg("-c").arg(block)).await);
    }
    assert_eq!(blocks("python").len(), 1);
}

#[tokio::test]
async fn the_example_in_javascript_runs() {
    let folder = TempDir::new().unwrap();
    let modules = folder.path().join("node_modules");
    std::fs::create_dir(&modules).unwrap();
    let package = Layout::find().unwrap().path("bindings-node");
    std::os::unix::fs::symlink(package, modules.join("tracebaton")).unwrap();
    for block in blocks("js") {
        let file = folder.path().join("example.mjs");
        std::fs::write(&file, block).unwrap();
        is_well(&run(Command::new("node").arg(file)).await);
    }
    assert_eq!(blocks("js").len(), 1);
}

#[test]
fn every_link_leads_somewhere() {
    let layout = Layout::find().unwrap();
    let text = std::fs::read_to_string(layout.path("README.md")).unwrap();
    let links = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let broken: Vec<&str> =
        links.filter(|link| !link.starts_with("http") && !layout.path(link).exists()).collect();
    assert_eq!(broken, Vec::<&str>::new());
}

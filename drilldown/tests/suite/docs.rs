//! Every example of `docs/drilldown.md`, in its order.

use std::{fs, path::Path};

use serde_json::Value as Json;

use crate::support::*;

/// A fenced block: its language and its lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let block = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        blocks.push((language.to_owned(), block));
    }
    blocks
}

/// Compares with `…` for any text.
fn is_like(found: &str, expected: &str) -> bool {
    let mut rest = found;
    let mut parts = expected.split('…');
    let Some(start) = parts.next().and_then(|start| rest.strip_prefix(start)) else { return false };
    rest = start;
    for part in parts {
        match rest.find(part) {
            // Nothing after the last mark: it stands for all that is left.
            _ if part.is_empty() => rest = "",
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// Compares with `"…"` for any value.
fn is_like_json(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (_, Json::String(text)) if text == "…" => true,
        (Json::Array(found), Json::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| is_like_json(found, expected))
        }
        (Json::Object(found), Json::Object(expected)) => {
            found.len() == expected.len()
                && expected.iter().all(|(key, expected)| {
                    found.get(key).is_some_and(|found| is_like_json(found, expected))
                })
        }
        _ => found == expected,
    }
}

/// Runs the commands of a block and compares what they print; `[n]` is an exit code other than 0.
fn run(server: &Server, lines: &[String]) -> usize {
    let mut commands = 0;
    let mut lines = lines.iter().peekable();
    while let Some(command) = lines.next() {
        let words: Vec<&str> = command.strip_prefix("$ tracebaton ").unwrap().split(' ').collect();
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push(line.as_str());
        }
        let (found, code) = if words == ["serve"] {
            (server.ready.clone(), 0)
        } else {
            let output = server.cli(&words);
            (output.stdout, output.code)
        };
        let mut found: Vec<String> = found.lines().map(|line| line.trim_end().to_owned()).collect();
        if code != 0 {
            found.push(format!("[{code}]"));
        }
        let is_same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| is_like(found, expected));
        assert!(is_same, "{command}\n{}\ninstead of\n{}", found.join("\n"), expected.join("\n"));
        commands += 1;
    }
    commands
}

/// Sends the request of a block and compares the answer.
fn send(server: &Server, lines: &[String]) {
    let text = lines.join("\n");
    let (method, path) = lines[0].split_once(' ').unwrap();
    let mut parts: Vec<&str> = text.split("\n\n").skip(1).collect();
    let (status, expected) = parts.pop().unwrap().split_once('\n').unwrap();
    let answer = match method {
        "GET" => server.get(path),
        _ => server.post(path, &[JSON], parts.pop().unwrap().as_bytes()),
    };
    assert_eq!(answer.status.to_string(), status, "{}: {}", lines[0], answer.text());
    let expected: Json = serde_json::from_str(expected).unwrap();
    let found = answer.json();
    assert!(is_like_json(&found, &expected), "{}\n{found:#}\ninstead of\n{expected:#}", lines[0]);
}

#[test]
fn every_example_of_the_page_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/drilldown.md");
    let server = Server::start();
    let (mut commands, mut requests) = (0, 0);
    for (language, lines) in blocks(&fs::read_to_string(page).unwrap()) {
        match language.as_str() {
            "console" => commands += run(&server, &lines),
            "http" => {
                send(&server, &lines);
                requests += 1;
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!((commands, requests), (6, 7));
}

#[test]
fn the_page_has_every_flag_of_the_binary() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/drilldown.md");
    let page = fs::read_to_string(page).unwrap();
    for command in ["serve", "trace", "logs", "diagnose"] {
        let help = cli(&[command, "--help"]).stdout;
        let words = help.split(|char: char| !(char.is_alphanumeric() || "-_".contains(char)));
        for flag in words.filter(|word| word.starts_with("--") || word.starts_with("TRACEBATON_")) {
            let is_known = ["--help"].contains(&flag) || page.contains(&format!("`{flag}`"));
            assert!(is_known, "{flag} of {command} is not on the page");
        }
    }
}

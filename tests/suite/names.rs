//! The same words in three languages: `tests/names.json` against what each package has.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::process::Command;
use tracebaton::{config, hop, log, otel, otlp, propagate};
use tracebaton_embedded::Layout;

/// Compiles only where every name is there, and gives their texts.
macro_rules! names {
    (types: $($kind:path),+; functions: $($function:path),+; generic: $($name:path => $call:expr),+) => {{
        fn is_type<T>() {}
        $(is_type::<$kind>();)+
        $(let _ = $function;)+
        $(let _ = $call;)+
        [$(stringify!($kind),)+ $(stringify!($function),)+ $(stringify!($name)),+]
            .map(|name| name.replace(' ', ""))
    }};
}

fn table() -> Vec<Value> {
    let path = Layout::find().unwrap().path("tests/names.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The names of one language.
fn column(language: &str) -> BTreeSet<String> {
    table().iter().filter_map(|row| row[language].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_crate_has_every_name_of_the_table() {
    let known = names! {
        types: config::ConfigError,
            config::Settings,
            hop::Batch,
            hop::Counts,
            hop::Hop,
            hop::Insert,
            hop::Log,
            hop::Output,
            log::LogLayer,
            otel::BatonIdGenerator,
            otel::BatonPropagator,
            otel::BatonSampler,
            otlp::ShutdownReport,
            propagate::Baton,
            propagate::Extracted,
            propagate::PayloadError,
            propagate::Propagation,
            propagate::Refusal,
            propagate::Source;
        functions: hop::Batch::hop,
            hop::Hop::baton,
            hop::Hop::dead_lettered,
            hop::Hop::end,
            hop::Hop::failed,
            hop::Hop::filtered,
            hop::Hop::legacy_text,
            hop::Hop::output,
            hop::Hop::process,
            hop::Hop::span_id,
            hop::Hop::trace_id,
            hop::Insert::add,
            hop::Insert::baton,
            hop::Insert::batch_id,
            hop::Insert::blocked,
            hop::Insert::failed,
            hop::Insert::len,
            hop::Insert::passed,
            hop::Insert::start,
            hop::Insert::take_out,
            hop::Output::delivered,
            hop::Output::undelivered,
            otel::current,
            otlp::Exporter::flush,
            otlp::Exporter::from_env,
            otlp::Exporter::shutdown,
            propagate::Propagation::extract,
            propagate::Propagation::extract_payload,
            propagate::Propagation::from_env,
            propagate::Propagation::inject,
            propagate::Propagation::inject_payload,
            propagate::refusals;
        generic:
            hop::Hop::set => |hop: &hop::Hop| hop.set("key", "value"),
            propagate::Propagation::from_yaml => |path: &str| propagate::Propagation::from_yaml(path)
    };
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), column("rust"));
}

/// Runs a program that prints a JSON list of names.
async fn asked(command: &mut Command) -> BTreeSet<String> {
    let ran = command.output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[tokio::test]
async fn the_python_package_has_these_names_and_no_others() {
    let names: Vec<String> = column("python").into_iter().collect();
    let program = "import json, sys, tracebaton, tracebaton.otel, tracebaton.otel_sdk
from functools import reduce
missing = object()
wanted = json.loads(sys.argv[1])
found = [name for name in wanted if reduce(lambda at, word: getattr(at, word, missing), name.split('.'), tracebaton) is not missing]
print(json.dumps(found + tracebaton.__all__))";
    let python = Layout::find().unwrap().built(".venv/bin/python").unwrap();
    let json = serde_json::to_string(&names).unwrap();
    let found = asked(Command::new(python).arg("-c").arg(program).arg(json)).await;
    assert_eq!(found, names.into_iter().collect());
}

#[tokio::test]
async fn the_node_package_has_these_names_and_no_others() {
    let layout = Layout::find().unwrap();
    let package = layout.path("bindings-node");
    let names = column("node");
    let program = "console.log(JSON.stringify(Object.keys(require(process.argv[1]))))";
    let exported = asked(Command::new("node").arg("-e").arg(program).arg(&package)).await;
    // Types are not there when the program runs: they and their members stand in the declarations.
    let types = std::fs::read_to_string(package.join("index.d.cts")).unwrap();
    for name in &names {
        let (kind, member) =
            name.split_once('.').map_or((name.as_str(), None), |(k, m)| (k, Some(m)));
        let declared = declaration(&types, kind).unwrap_or_else(|| panic!("{kind} is no name"));
        let has_member = member.is_none_or(|member| {
            declared.contains(&format!("  {member}("))
                || declared.contains(&format!("readonly {member}"))
                || declared.contains(&format!("static {member}("))
                || declared.contains(&format!("  {member}: "))
                || declared.contains(&format!("  {member}<"))
        });
        assert!(has_member, "{name} is not declared");
    }
    let top: BTreeSet<String> = names.into_iter().filter(|name| !name.contains('.')).collect();
    let left_out: Vec<_> = exported.difference(&top).collect();
    assert!(left_out.is_empty(), "not in the table: {left_out:?}");
}

/// Returns how a name is declared, to the end of its block.
fn declaration<'t>(types: &'t str, name: &str) -> Option<&'t str> {
    let words = ["interface", "class", "function", "const"];
    let openings = words
        .iter()
        .flat_map(|word| [" ", "<", "(", ":"].map(|end| format!("export {word} {name}{end}")));
    let mut rests = openings.filter_map(|opening| Some(types.split_once(&opening)?.1));
    rests.next().and_then(|rest| rest.split("\n}\n").next())
}

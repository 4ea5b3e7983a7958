//! `tracebaton`: receives OTLP, stores it, and says which hop lost a record.

mod api;
mod client;
mod ingest;
mod model;
mod otlp;
mod query;
mod serve;
mod show;
mod store;

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use client::Source;
use query::{absent, diagnose, logs, trace};
use serde::Serialize;

#[derive(Parser)]
#[command(name = "tracebaton", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receives OTLP over gRPC and HTTP, and answers questions over HTTP
    Serve {
        /// Where to take OTLP over gRPC
        #[arg(long, default_value = "127.0.0.1:4317")]
        grpc: SocketAddr,
        /// Where to take OTLP over HTTP, and to answer questions
        #[arg(long, default_value = "127.0.0.1:4318")]
        http: SocketAddr,
        /// The folder in which everything is kept
        #[arg(long, env = "TRACEBATON_DATA", default_value = "data")]
        data: PathBuf,
        /// Listens beyond this machine, without encryption or access control
        #[arg(long)]
        insecure: bool,
    },
    /// Draws the waterfall of a trace
    Trace(Question),
    /// Prints the log lines of a trace and the events of its spans, of all services, by time
    Logs(Question),
    /// Says what became of a trace's records. Exit code: 0 as intended, 10 lost or refused, 11 in
    /// the dead letters or given up by the sink, 12 in part or twice, 13 on its way, 14 unknown, 15
    /// not enough evidence
    Diagnose(Question),
}

#[derive(Args)]
struct Question {
    /// A trace id, a UUID, a ULID, or the text that went in as `X-Trace-Id`
    id: String,
    /// The server to ask
    #[arg(long, env = "TRACEBATON_SERVER", default_value = "http://127.0.0.1:4318")]
    server: String,
    /// The folder of a store to read instead of asking a server
    #[arg(long)]
    data: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            let _ =
                writeln!(std::io::stderr(), "tracebaton: {}", show::plain(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let (question, ask) = match cli.command {
        Command::Serve { grpc, http, data, insecure } => {
            let is_local = grpc.ip().is_loopback() && http.ip().is_loopback();
            anyhow::ensure!(
                is_local || insecure,
                "this would listen beyond this machine without encryption or access control; say --insecure if that is meant"
            );
            tracebaton::hop::Recorder::global().set_service("drilldown");
            tracebaton::log::init()?;
            serve::serve(grpc, http, &data).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Trace(question) => (question, Ask::Trace),
        Command::Logs(question) => (question, Ask::Logs),
        Command::Diagnose(question) => (question, Ask::Diagnose),
    };
    answer(question, ask).await
}

enum Ask {
    Trace,
    Logs,
    Diagnose,
}

async fn answer(question: Question, ask: Ask) -> anyhow::Result<ExitCode> {
    let Question { id, server, data, json } = question;
    let source = data.map_or(Source::Server(server), Source::Data);
    let store = source.open()?;
    let resolved = || query::id::resolve(&id).map_err(anyhow::Error::msg);
    let find = |store: &store::Sqlite| match query::id::resolve(&id) {
        Ok(own) => query::id::find(store, &id, own),
        Err(error) => Err(error.into()),
    };
    let wrong = |error: store::Error| anyhow::anyhow!("cannot read the store: {error}");
    match ask {
        Ask::Trace => {
            let trace_id = resolved()?;
            let nodes = match &store {
                Some(store) => find(store).and_then(|id| trace::read(store, id)).map_err(wrong)?,
                None => source.ask(&id, "").await?,
            };
            let own = nodes.iter().find(|node| !node.is_linked);
            let own = own.map_or(trace_id.to_string(), |node| node.span.trace_id.clone());
            let text = show::waterfall(&own, &nodes, show::width());
            print(json, &nodes, text)?;
            Ok(found(nodes.is_empty(), "spans", &id))
        }
        Ask::Logs => {
            let lines = match &store {
                Some(store) => {
                    resolved()?;
                    find(store).and_then(|id| logs::read(store, id)).map_err(wrong)?
                }
                None => source.ask(&id, "/logs").await?,
            };
            print(json, &lines, show::logs(&lines))?;
            Ok(found(lines.is_empty(), "log lines", &id))
        }
        Ask::Diagnose => {
            let diagnosis = match &store {
                Some(store) => diagnose::diagnose(store, &id, query::id::now).map_err(wrong)?,
                None if query::id::resolve(&id).is_err() => absent::malformed(&id),
                None => {
                    let answer: diagnose::Diagnosis = source.ask(&id, "/diagnosis").await?;
                    diagnose::Diagnosis { id: id.clone(), ..answer }
                }
            };
            print(json, &diagnosis, show::verdict(&diagnosis))?;
            Ok(ExitCode::from(diagnosis.verdict.exit_code()))
        }
    }
}

/// Says on stderr where nothing was found, and returns the exit code for it.
fn found(is_empty: bool, what: &str, id: &str) -> ExitCode {
    if is_empty {
        let _ = writeln!(
            std::io::stderr(),
            "tracebaton: there are no {what} of {id}; `tracebaton diagnose {id}` says more",
            id = show::plain(id)
        );
        return ExitCode::from(14);
    }
    ExitCode::SUCCESS
}

/// Prints an answer; a reader that has gone away is no error.
fn print(json: bool, value: &impl Serialize, text: String) -> anyhow::Result<()> {
    let text = if json { show::json(value)? } else { text };
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

//! Counts the instructions that reading and writing a `traceparent` take, and fails where they are
//! more than they may be. Unlike times, they are the same on a busy machine.
//!
//! The program runs itself under callgrind, with so many calls and with twice as many: the difference
//! is the calls' alone.

use std::{
    env,
    error::Error,
    hint::black_box,
    process::{Command, ExitCode},
};

use tracebaton::TraceContext;

const TEXT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
const CALLS: u64 = 10_000;

/// What is counted, and how many instructions a call may take, its loop included.
const LIMITS: [(&str, u64); 2] = [("parse", 200), ("format", 60)];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [what, calls] = &arguments[..] {
        work(what, calls.parse()?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut is_well = true;
    for (what, most) in LIMITS {
        let count = (counted(what, 2 * CALLS)? - counted(what, CALLS)?).div_ceil(CALLS);
        let verdict = if count <= most { "" } else { ": too many" };
        println!("{what:<7} {count:>4} instructions, at most {most}{verdict}");
        is_well &= count <= most;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn work(what: &str, calls: u64) {
    let context = TraceContext::parse_bytes(TEXT).expect("it is right");
    match what {
        "parse" => (0..calls).for_each(|_| {
            let _ = black_box(TraceContext::parse_bytes(black_box(TEXT)));
        }),
        _ => (0..calls).for_each(|_| {
            black_box(black_box(context).traceparent());
        }),
    }
}

/// Returns how many instructions this program executes for so many calls.
fn counted(what: &str, calls: u64) -> Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe()?).args([what, &calls.to_string()]);
    let output = valgrind.output().map_err(|error| {
        format!("valgrind cannot be run ({error}); install it: apt install valgrind")
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok(count.trim().parse()?)
}

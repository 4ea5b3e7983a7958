//! Runs ClickHouse out of its shared library, and starts it again when it aborts.
//!
//! `clickhouse LIBCHDB HTTP_PORT TCP_PORT FOLDER` serves on 127.0.0.1 until its standard input ends.
//! The library can abort when a client resets its connection in the middle of an insert; what was
//! inserted before is there again after the restart.

#![allow(unsafe_code, reason = "the library is called over its C interface")]

use std::{
    env,
    ffi::{CString, c_char, c_int, c_void},
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed},
};

use anyhow::{Context, ensure};

/// Set in the process that is to become ClickHouse; its parent watches over it.
const CHILD: &str = "TRACEBATON_CLICKHOUSE_CHILD";
const MAX_RESTARTS: u32 = 20;

/// The process that has become ClickHouse.
static PROCESS: AtomicI32 = AtomicI32::new(0);
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("clickhouse: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [library, http, tcp, folder] = &arguments[..] else {
        anyhow::bail!("usage: clickhouse LIBCHDB HTTP_PORT TCP_PORT FOLDER");
    };
    if env::var_os(CHILD).is_some() {
        return become_clickhouse(library, http, tcp, folder);
    }
    forward_sigterm();
    for _ in 0..MAX_RESTARTS {
        let mut child =
            Command::new(env::current_exe()?).args(&arguments).env(CHILD, "1").spawn()?;
        PROCESS.store(child.id().cast_signed(), Relaxed);
        let status = child.wait()?;
        if IS_STOPPING.load(Relaxed) {
            return Ok(ExitCode::SUCCESS);
        }
        // An exit code is ClickHouse's own word; only a signal, an abort most likely, is not.
        if let Some(code) = status.code().filter(|code| *code != 134) {
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        eprintln!("clickhouse ended by itself ({status}); starting it again");
    }
    anyhow::bail!("clickhouse ended by itself {MAX_RESTARTS} times")
}

fn become_clickhouse(
    library: &str,
    http: &str,
    tcp: &str,
    folder: &str,
) -> anyhow::Result<ExitCode> {
    type QueryCmdline = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
    die_with_parent();
    // The query never ends by itself: it reads standard input to the end, and the two listeners that
    // it has started serve meanwhile.
    let serve = "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; \
        SELECT * FROM file('/dev/stdin', 'LineAsString', 'line String') FORMAT Null";
    let arguments = [
        "clickhouse",
        "--listen_host",
        "127.0.0.1",
        "--http_port",
        http,
        "--tcp_port",
        tcp,
        "--path",
        folder,
        "--query",
        serve,
    ];
    let arguments = arguments.map(CString::new).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len())?;
    // SAFETY: loading runs the library's initialisers; it is the pinned one that the package manager
    // verified, and nothing else runs in this process yet.
    let loaded = unsafe { libloading::Library::new(library) };
    let loaded = loaded.with_context(|| format!("cannot load {library}"))?;
    // SAFETY: `chdb.h` declares the function with exactly this signature (its result is a pointer).
    let query: libloading::Symbol<'_, QueryCmdline> = unsafe { loaded.get(b"chdb_query_cmdline") }
        .context("the library has no chdb_query_cmdline")?;
    // SAFETY: `pointers` holds `count` texts that end with NUL and outlive the call.
    let result = unsafe { query(count, pointers.as_mut_ptr()) };
    ensure!(!result.is_null(), "clickhouse could not start");
    Ok(ExitCode::SUCCESS)
}

/// Hands SIGTERM on to ClickHouse and stays until that has ended, so that whoever waits for this
/// process knows that nobody writes into the folder any more.
fn forward_sigterm() {
    extern "C" fn forward(_: c_int) {
        IS_STOPPING.store(true, Relaxed);
        let process = PROCESS.load(Relaxed);
        if process > 0 {
            // SAFETY: `kill` is async-signal-safe and touches no memory; the process is our child,
            // and this one ends as soon as it has been waited for.
            unsafe { libc::kill(process, libc::SIGTERM) };
        }
    }
    // SAFETY: the handler stores to atomics and calls `kill`, both async-signal-safe.
    unsafe { libc::signal(libc::SIGTERM, forward as *const () as libc::sighandler_t) };
}

/// Asks the kernel to end this process when its parent dies, also by SIGKILL.
fn die_with_parent() {
    // SAFETY: `prctl` with PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
}

//! One child process: its log, its readiness, its end.

#![allow(unsafe_code, reason = "prctl and kill are system calls without a safe wrapper in std")]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{ChildStdin, Command},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

/// A running process of the relay. It is killed when this is dropped.
pub struct Child {
    name: String,
    process: tokio::process::Child,
    /// Open for as long as the child is to live: some end with their standard input.
    stdin: Option<ChildStdin>,
    lines: Arc<Lines>,
    /// What reads its standard output and its standard error.
    followers: [JoinHandle<()>; 2],
    log: PathBuf,
}

#[derive(Default)]
struct Lines {
    kept: Mutex<Vec<String>>,
    more: Notify,
}

impl Child {
    /// Starts a command; what it prints goes to `{folder}/{name}.log`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the child where it cannot be started.
    pub fn spawn(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let file = Arc::new(Mutex::new(file));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        // What a child leaves in a temporary folder goes with the rest.
        command.env("TMPDIR", folder);
        // Ctrl-C in a terminal goes to the whole group: children are stopped in order instead.
        command.process_group(0);
        // SAFETY: `prctl` with PR_SET_PDEATHSIG is async-signal-safe and touches no memory of ours,
        // which is all that is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut process = command.spawn().with_context(|| {
            format!("{name}: cannot start {}", command.as_std().get_program().display())
        })?;
        let lines = Arc::<Lines>::default();
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let followers = [
            tokio::spawn(follow(stdout, lines.clone(), file.clone())),
            tokio::spawn(follow(stderr, lines.clone(), file)),
        ];
        let stdin = process.stdin.take();
        Ok(Self { name: name.to_owned(), process, stdin, lines, followers, log })
    }

    /// Returns the child's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the child's process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns what it has printed so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that says `"message":"ready"`.
    ///
    /// # Errors
    ///
    /// Returns an error with the child's last lines where it ends first or takes longer.
    pub async fn ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let more = self.lines.more.notified();
            if self.lines().iter().any(|line| line.contains("\"message\":\"ready\"")) {
                return Ok(());
            }
            tokio::select! {
                waited = timeout_at(deadline, more) => if waited.is_err() {
                    bail!("{} was not ready within {} s{}", self.name, within.as_secs(), self.last());
                },
                status = self.process.wait() => {
                    self.read_out().await;
                    bail!("{}{}", self.ended(status?), self.last());
                }
            }
        }
    }

    /// Returns an error where the child has ended.
    ///
    /// # Errors
    ///
    /// Says how it ended, with its last lines.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("{}{}", self.ended(status), self.last()),
            None => Ok(()),
        }
    }

    /// Asks the child to end, and kills it where it takes longer; returns how it ended.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be waited for.
    pub async fn stop(mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        drop(self.stdin.take());
        self.signal(libc::SIGTERM);
        if let Ok(status) = timeout(within, self.process.wait()).await {
            return Ok(status?);
        }
        self.process.start_kill()?;
        Ok(self.process.wait().await?)
    }

    /// Kills the child at once, as a crash would.
    ///
    /// # Errors
    ///
    /// Returns an error where it cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.process.start_kill()?;
        self.process.wait().await?;
        Ok(())
    }

    /// Waits until all that the ended child has printed is read; a grandchild may hold its output.
    async fn read_out(&mut self) {
        for follower in self.followers.iter_mut().filter(|follower| !follower.is_finished()) {
            let _ = timeout(Duration::from_secs(1), follower).await;
        }
    }

    fn signal(&self, signal: i32) {
        if let Some(id) = self.process.id().and_then(|id| i32::try_from(id).ok()) {
            // SAFETY: `kill` touches no memory; the id is of a child that has not been waited for,
            // so it cannot have become another process's.
            unsafe { libc::kill(id, signal) };
        }
    }

    fn ended(&self, status: ExitStatus) -> String {
        format!("{} has ended ({status})", self.name)
    }

    fn last(&self) -> String {
        let lines = self.lines();
        let last: Vec<&str> = lines.iter().rev().take(3).rev().map(String::as_str).collect();
        format!(": {} [{}]", last.join(" | "), self.log.display())
    }
}

async fn follow(source: Option<impl AsyncRead + Unpin>, lines: Arc<Lines>, file: Arc<Mutex<File>>) {
    let Some(source) = source else { return };
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    while source.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
        let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        lines.kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        lines.more.notify_waiters();
    }
}

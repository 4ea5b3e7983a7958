//! Two ways of doing the same thing, timed in turns.

use std::{fs, io::Write, path::Path};

use serde_json::json;

/// Whose time counts.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// The calling thread's alone.
    Thread,
    /// That of every thread, the exporters' included.
    Process,
}

impl Clock {
    /// Returns the CPU time so far, in nanoseconds.
    fn now(self) -> u64 {
        let id = match self {
            Self::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
            Self::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the place is ours, and both clocks exist on Linux.
        unsafe { libc::clock_gettime(id, &mut time) };
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}

/// Something that can be done so many times.
pub(crate) type Work<'a> = Box<dyn FnMut(usize) + 'a>;

pub(crate) struct Pair<'a> {
    pub(crate) metric: &'static str,
    pub(crate) peer_name: &'static str,
    pub(crate) clock: Clock,
    /// How many times in a row.
    pub(crate) count: usize,
    pub(crate) rounds: usize,
    pub(crate) ours: Work<'a>,
    pub(crate) peer: Work<'a>,
}

/// The medians of a pair.
pub(crate) struct Row {
    pub(crate) metric: &'static str,
    pub(crate) peer_name: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: f64,
}

impl Pair<'_> {
    /// Measures both, a round each in turns, after two that do not count.
    pub(crate) fn measure(mut self) -> Row {
        if is_ours_only() {
            self.peer = Box::new(|_| {});
        }
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for round in 0..self.rounds + 2 {
            let times = [
                time(self.clock, self.count, &mut self.ours),
                time(self.clock, self.count, &mut self.peer),
            ];
            if round >= 2 {
                ours.push(times[0]);
                peer.push(times[1]);
            }
        }
        let row = Row {
            metric: self.metric,
            peer_name: self.peer_name,
            ours: median(ours),
            peer: median(peer),
        };
        println!("{row}");
        row
    }
}

/// Tells whether the peers are left out: under a profiler their time is nobody's concern.
pub(crate) fn is_ours_only() -> bool {
    std::env::var_os("BENCH_OURS_ONLY").is_some()
}

/// Returns the nanoseconds that doing something once takes, done so many times.
pub(crate) fn time(clock: Clock, count: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = clock.now();
    work(count);
    (clock.now() - start) as f64 / count as f64
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Row {
    pub(crate) fn ratio(&self) -> f64 {
        self.peer / self.ours
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { metric, peer_name, ours, peer } = self;
        write!(f, "{metric:<22} {ours:>8.1} ns {peer:>8.1} ns {:>6.1}×  {peer_name}", self.ratio())
    }
}

/// Writes the rows into the file of all languages, in place of what stood there of Rust's; rows without a
/// peer are none.
pub(crate) fn save(rows: &[Row], path: &Path) -> anyhow::Result<()> {
    if is_ours_only() {
        return Ok(());
    }
    let before = fs::read_to_string(path).unwrap_or_default();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::create(path)?;
    let measured =
        |line: &&str| rows.iter().any(|row| line.contains(&format!("\"{}\"", row.metric)));
    for line in before.lines().filter(|line| !measured(line)) {
        writeln!(file, "{line}")?;
    }
    for row in rows {
        let line = json!({
            "metric": row.metric,
            "ours": row.ours,
            "peer": row.peer,
            "peer_name": row.peer_name,
            "unit": "ns",
            "ratio": row.ratio(),
        });
        writeln!(file, "{line}")?;
    }
    Ok(())
}

//! Messages at a steady pace, and how long each of them was held up.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    thread,
    time::{Duration, Instant},
};

use tracebaton::{
    hop::{Coordinates, Counts, Hop, Recorder},
    otlp::{Exporter, Options, Protocol},
    propagate::Baton,
};

/// How long calls take on this thread, without the time in which it could run and others did: that
/// is the machine's doing. Waiting for a lock counts.
struct Stopwatch(Option<File>);

impl Stopwatch {
    fn new() -> Self {
        // The scheduler's figures of this thread: time on a processor, time spent waiting for one.
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    fn waited(&self) -> Duration {
        let mut text = [0; 64];
        let length = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok());
        let text = std::str::from_utf8(&text[..length.unwrap_or(0)]).unwrap();
        let nanos = text.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    fn time(&self, work: impl FnOnce()) -> Duration {
        let (waited, start) = (self.waited(), Instant::now());
        work();
        let took = start.elapsed();
        took.saturating_sub(self.waited() - waited)
    }
}

/// How long each message was held up.
#[derive(Default)]
pub(crate) struct Delays(Vec<Duration>);

impl Delays {
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[((sorted.len() - 1) as f64 * quantile) as usize]
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, nearly_all, all] = [0.5, 0.99, 0.999, 1.0].map(|part| self.quantile(part));
        let count = self.0.len();
        write!(f, "{count} messages: p50 {half:?}, p99 {most:?}, p99.9 {nearly_all:?}, max {all:?}")
    }
}

/// Traces one message as a transform does that makes one of it, and says what was recorded.
pub(crate) fn message(recorder: &Recorder, offset: i64) -> Counts {
    let input = Coordinates {
        topic: "orders".to_owned(),
        partition: 3,
        offset,
        group: Some("billing".to_owned()),
    };
    let hop = Hop::process(recorder, &input, &Baton::default());
    hop.output("invoices").delivered(1, offset);
    hop.end();
    Counts { spans: 2, logs: 0, ledger: 2 }
}

/// Sends messages at a pace; calls `each_second` as often as its name says.
pub(crate) fn run(
    recorder: &Recorder,
    per_second: u32,
    seconds: u32,
    mut each_second: impl FnMut(),
) -> Delays {
    let (stopwatch, start) = (Stopwatch::new(), Instant::now());
    let mut delays = Delays::default();
    for beat in 0..seconds * 1_000 {
        if beat % 1_000 == 0 {
            each_second();
        }
        let due = per_second * (beat + 1) / 1_000;
        while (delays.0.len() as u32) < due {
            let offset = delays.0.len() as i64;
            let delay = stopwatch.time(|| {
                message(recorder, offset);
            });
            delays.0.push(delay);
        }
        let next = start + Duration::from_millis(u64::from(beat) + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    delays
}

/// Returns what so many messages record.
pub(crate) fn recorded(messages: u64) -> Counts {
    Counts { spans: 2 * messages, logs: 0, ledger: 2 * messages }
}

/// Starts an export to a port of the loopback interface, with the settings of a user who has none.
pub(crate) fn export_to(port: u16) -> (Recorder, Exporter) {
    let options = Options {
        is_quiet: true,
        ..Options::to(&format!("http://127.0.0.1:{port}"), Protocol::HttpProtobuf).unwrap()
    };
    let recorder = Recorder::new();
    let exporter = Exporter::start(&recorder, &options).unwrap();
    (recorder, exporter)
}

/// Returns how much memory the process has in use.
pub(crate) fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Returns how many threads the process has, of all or of one name.
pub(crate) fn threads(name: Option<&str>) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|found| name.is_none_or(|name| found.trim() == name)).count()
}

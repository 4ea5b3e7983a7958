//! A thread's own part of a recorder: what it records is written here, where no other thread waits.

use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    counts::{BySignal, Signal},
    recorder::{Recorder, Shared},
};

/// How much memory a chunk is given. It is small enough to stay in the processor's cache while it is
/// filled again and again.
pub(super) const CHUNK: usize = 64 << 10;
/// A chunk that has this many bytes is closed: what comes next may not fit without moving it.
const FULL: usize = CHUNK - (2 << 10);

/// So many bytes are counted in advance, so that not every hop has to tell all other threads.
const ADVANCE: usize = 16 << 10;

/// Encoded items and how many they are.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
}

/// Chunks that are being filled.
#[derive(Default)]
pub(super) struct Filling {
    pub(super) chunks: BySignal<Chunk>,
    /// How many bytes the recorder counts as held that are not.
    pub(super) advance: usize,
}

/// The chunks that one thread fills.
#[derive(Default)]
pub(super) struct Shard(Mutex<Filling>);

impl Shard {
    pub(super) fn lock(&self) -> MutexGuard<'_, Filling> {
        // Encoding does not panic; if it did, a chunk would end with a partial record.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which recorder a shard belongs to.
struct Known {
    recorder: Weak<Shared>,
    /// How often that recorder had been forgotten when this shard was made.
    age: u64,
    shard: Arc<Shard>,
}

thread_local! {
    /// The shards of this thread; most threads know one recorder.
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

impl Recorder {
    /// Writes any number of items in one go.
    pub(super) fn write(&self, each: impl FnOnce(&mut Room<'_>)) {
        if !self.is_on() {
            return;
        }
        let mut each = Some(each);
        let mut full = Vec::new();
        // A thread that is ending has no shard any more.
        let _ = KNOWN.try_with(|known| {
            let mut known = known.try_borrow_mut().ok()?;
            let shard = self.shard(&mut known)?;
            each.take().map(|each| full = self.write_in(&mut shard.lock(), each))
        });
        if let Some(each) = each {
            full = self.write_in(&mut self.lock().filling, each);
        }
        if !full.is_empty() {
            self.put(full);
        }
    }

    /// Finds this thread's shard, or makes it.
    #[inline]
    fn shard<'a>(&self, known: &'a mut Vec<Known>) -> Option<&'a Shard> {
        let age = self.0.age.load(Ordering::Relaxed);
        let is_ours =
            |known: &Known| known.recorder.as_ptr() == Arc::as_ptr(&self.0) && known.age == age;
        let at = known.iter().position(is_ours).unwrap_or_else(|| {
            known.retain(|known| {
                let is_old = known.recorder.as_ptr() == Arc::as_ptr(&self.0);
                !is_old && known.recorder.strong_count() > 0
            });
            let shard = Arc::<Shard>::default();
            self.lock().shards.push(shard.clone());
            known.push(Known { recorder: Arc::downgrade(&self.0), age, shard });
            known.len() - 1
        });
        known.get(at).map(|known| &*known.shard)
    }

    /// Writes into a thread's chunks, and returns those that became full.
    #[inline]
    fn write_in(
        &self,
        filling: &mut Filling,
        each: impl FnOnce(&mut Room<'_>),
    ) -> Vec<(Signal, Chunk)> {
        let shared = &*self.0;
        let Filling { chunks, advance } = filling;
        let limit = shared.limit.load(Ordering::Relaxed);
        let held = shared.bytes.load(Ordering::Relaxed).saturating_sub(*advance);
        let mut room =
            Room { chunks, limit, held, added: 0, is_full: false, dropped: &shared.dropped };
        each(&mut room);
        let Room { added, is_full, chunks, .. } = room;
        *advance = if let Some(left) = advance.checked_sub(added) {
            left
        } else {
            // Where memory gets tight every byte is counted as it comes.
            let more = if held < limit / 4 { ADVANCE.min(limit / 64) } else { 0 };
            shared.bytes.fetch_add(added - *advance + more, Ordering::Relaxed);
            more
        };
        if !is_full {
            return Vec::new();
        }
        let full = |signal| {
            let chunk = chunks.of_mut(signal);
            (chunk.bytes.len() >= FULL).then(|| (signal, mem::take(chunk)))
        };
        Signal::ALL.into_iter().filter_map(full).collect()
    }

    /// Gives this thread memory that was used before, where it has none.
    pub(super) fn give_spare(&self, spare: Vec<(Signal, Vec<u8>)>) {
        let _ = KNOWN.try_with(|known| {
            let mut known = known.try_borrow_mut().ok()?;
            let mut filling = self.shard(&mut known)?.lock();
            for (signal, memory) in spare {
                let chunk = filling.chunks.of_mut(signal);
                if chunk.bytes.capacity() == 0 {
                    chunk.bytes = memory;
                }
            }
            Some(())
        });
    }
}

/// A thread's shard while it is written to.
pub(super) struct Room<'a> {
    chunks: &'a mut BySignal<Chunk>,
    limit: usize,
    /// What the recorder held before.
    held: usize,
    added: usize,
    is_full: bool,
    dropped: &'a BySignal<AtomicU64>,
}

impl Room<'_> {
    /// Appends an item, unless it is longer than there is room.
    #[inline]
    pub(super) fn push(&mut self, signal: Signal, encode: impl FnOnce(&mut Vec<u8>)) {
        let chunk = self.chunks.of_mut(signal);
        let before = chunk.bytes.len();
        encode(&mut chunk.bytes);
        let size = chunk.bytes.len() - before;
        if self.held + self.added + size > self.limit / 16 * signal.share() {
            chunk.bytes.truncate(before);
            self.dropped.of(signal).fetch_add(1, Ordering::Relaxed);
        } else {
            chunk.count += 1;
            self.added += size;
            self.is_full |= before + size >= FULL;
        }
    }
}

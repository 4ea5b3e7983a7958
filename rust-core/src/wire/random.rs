//! Random bits for ids, fetched from the operating system by the block: a call for each id would
//! cost more than the rest of a hop.

use std::{
    array,
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

const WORDS: usize = 64;

static FORKS: AtomicU64 = AtomicU64::new(0);

struct Block {
    words: [u64; WORDS],
    left: usize,
    forks: u64,
}

thread_local! {
    static BLOCK: RefCell<Block> =
        const { RefCell::new(Block { words: [0; WORDS], left: 0, forks: 0 }) };
}

/// Throws away what was fetched: a child of a fork must call this, or it makes its parent's ids.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Returns 64 random bits.
pub(super) fn random_u64() -> u64 {
    // A thread that is ending has no block any more.
    let found = BLOCK.try_with(|block| block.try_borrow_mut().ok()?.next());
    found.ok().flatten().or_else(|| getrandom::u64().ok()).unwrap_or_else(mixed)
}

/// The state of a generator (Blackman and Vigna, xoshiro256++).
#[derive(Clone, Copy)]
struct Quick {
    state: [u64; 4],
    forks: u64,
}

thread_local! {
    /// Unseeded: nobody forks so often.
    static QUICK: Cell<Quick> = const { Cell::new(Quick { state: [0; 4], forks: u64::MAX }) };
}

/// Returns 64 bits that are as good as random, but not to somebody who has seen others: they name
/// spans, of which there are several to each trace, whose name they need not keep secret.
pub(super) fn quick_u64() -> u64 {
    let Quick { mut state, forks } = QUICK.get();
    let now = FORKS.load(Ordering::Relaxed);
    if forks != now {
        state = array::from_fn(|_| random_u64());
    }
    let (result, state) = step(state);
    QUICK.set(Quick { state, forks: now });
    result
}

const fn step([a, b, c, d]: [u64; 4]) -> (u64, [u64; 4]) {
    let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
    let (mixed_c, mixed_d) = (c ^ a, d ^ b);
    (result, [a ^ mixed_d, b ^ mixed_c, mixed_c ^ (b << 17), mixed_d.rotate_left(45)])
}

impl Block {
    fn next(&mut self) -> Option<u64> {
        let forks = FORKS.load(Ordering::Relaxed);
        if self.left == 0 || self.forks != forks {
            let mut bytes = [0; WORDS * 8];
            getrandom::fill(&mut bytes).ok()?;
            let (chunks, _) = bytes.as_chunks::<8>();
            for (word, chunk) in self.words.iter_mut().zip(chunks) {
                *word = u64::from_le_bytes(*chunk);
            }
            self.left = WORDS;
            self.forks = forks;
        }
        self.left -= 1;
        // A word is used once.
        self.words.get_mut(self.left).map(std::mem::take)
    }
}

/// The system has no entropy source left. An id that is unlikely to repeat beats a panic in
/// somebody's request: mix the clock with an address that differs between processes.
fn mixed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos());
    let mixed = nanos as u64 ^ (&raw const nanos as u64).rotate_left(32);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_do_not_repeat_in_any_thread() {
        let make = || (0..1_000).map(|_| random_u64()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let words: HashSet<u64> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert_eq!(words.len(), 4_000);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs from this state, worked out by the definition.
        let (first, state) = step([1, 2, 3, 4]);
        let (second, state) = step(state);
        assert_eq!([first, second, step(state).0], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn quick_words_do_not_repeat_and_a_fork_seeds_them_anew() {
        let make = || (0..1_000).map(|_| quick_u64()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let words: HashSet<u64> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert_eq!(words.len(), 4_000);
        quick_u64();
        let (next, _) = step(QUICK.get().state);
        forked();
        assert_ne!(quick_u64(), next);
    }

    #[test]
    fn a_fork_throws_the_block_away() {
        random_u64();
        let left = || BLOCK.with_borrow(|block| block.left);
        forked();
        random_u64();
        assert_eq!(left(), WORDS - 1);
    }
}

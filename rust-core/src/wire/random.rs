//! Random bits for ids, fetched from the operating system by the block: a call for each id would
//! cost more than the rest of a hop.

use std::{
    cell::RefCell,
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
    fn a_fork_throws_the_block_away() {
        random_u64();
        let left = || BLOCK.with_borrow(|block| block.left);
        forked();
        random_u64();
        assert_eq!(left(), WORDS - 1);
    }
}

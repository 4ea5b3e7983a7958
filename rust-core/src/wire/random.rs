//! Random bits from the system, fetched in bulk: asking for every id costs more than the id.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

/// How many bytes are fetched at once.
const BLOCK: usize = 512;

struct Block {
    bytes: [u8; BLOCK],
    /// How many of the bytes are left; the rest was handed out and is zero.
    left: usize,
    /// The life of the process that they were fetched in.
    life: usize,
}

thread_local! {
    static RANDOM: RefCell<Block> =
        const { RefCell::new(Block { bytes: [0; BLOCK], left: 0, life: 0 }) };
}

/// Returns 64 random bits that nobody else gets, a forked child included.
pub(super) fn random_u64() -> u64 {
    // A thread that is about to end has no block any more.
    let drawn = RANDOM.try_with(|block| block.try_borrow_mut().ok()?.take());
    drawn.ok().flatten().unwrap_or_else(|| getrandom::u64().unwrap_or_else(|_| mixed()))
}

impl Block {
    fn take(&mut self) -> Option<u64> {
        let life = life::current();
        if self.left < 8 || self.life != life {
            getrandom::fill(&mut self.bytes).ok()?;
            (self.left, self.life) = (BLOCK, life);
        }
        let bytes = self.bytes.get_mut(..self.left)?.last_chunk_mut::<8>()?;
        self.left -= 8;
        Some(u64::from_ne_bytes(std::mem::take(bytes)))
    }
}

/// The system has no entropy left. An id that is unlikely to repeat beats a panic in somebody's
/// request: mix the clock with an address that differs between processes.
fn mixed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos());
    let mixed = nanos as u64 ^ (&raw const nanos as u64).rotate_left(32);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Which life of the process this is: a forked child begins a new one, so that it does not hand out
/// what its parent does.
#[cfg(unix)]
mod life {
    use std::{
        ffi::c_int,
        sync::{
            Once,
            atomic::{AtomicUsize, Ordering},
        },
    };

    static LIFE: AtomicUsize = AtomicUsize::new(1);

    #[expect(unsafe_code, reason = "the C library's call; there is no safe form of it")]
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> c_int;
    }

    extern "C" fn begin() {
        LIFE.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn current() -> usize {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            #[expect(unsafe_code, reason = "the C library's call; there is no safe form of it")]
            // SAFETY: the handler takes no argument, does not unwind, and only adds to a number.
            let _ = unsafe { pthread_atfork(None, None, Some(begin)) };
        });
        LIFE.load(Ordering::Relaxed)
    }
}

/// Elsewhere no process forks.
#[cfg(not(unix))]
mod life {
    pub(super) fn current() -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bits_are_handed_out_twice() {
        let draw = || (0..1_000).map(|_| random_u64()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw).join().unwrap();
        let all: std::collections::BTreeSet<_> = draw().into_iter().chain(other).collect();
        assert_eq!(all.len(), 2_000);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_life_throws_away_what_was_fetched() {
        let mut block = Block { bytes: [7; BLOCK], left: BLOCK, life: life::current() + 1 };
        assert_ne!(block.take(), Some(u64::from_ne_bytes([7; 8])));
    }
}

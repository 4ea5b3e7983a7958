//! The time of day at a fraction of the price: a hop reads it four times, and whoever reads headers once.
//!
//! The processor's time-stamp counter is read instead of the system's clock where the kernel itself
//! tells time by it, which it does only where the counters of all processors go alike. Each thread
//! compares both every millisecond, so that what it says is within a microsecond of the system's
//! clock, and follows when that is set.

/// Returns the nanoseconds since 1970, as OTLP counts time: what times hops, for whoever cannot afford to ask
/// the system.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(tracebaton::hop::now());
/// assert!(now.elapsed().unwrap_or_default() < Duration::from_secs(1));
/// ```
#[inline]
#[must_use]
pub fn now() -> u64 {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return counter::now();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    return system();
}

/// Asks the system.
fn system() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod counter {
    use std::{
        cell::Cell,
        fs,
        sync::{
            LazyLock, Mutex, TryLockError,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::system;

    /// How long a thread goes without asking the system.
    const VALID_NANOS: u64 = 1 << 20;
    /// How long the counter is watched before it is believed.
    const WATCHED_NANOS: u64 = 20_000_000;
    /// Between two readings of the counter the system must have answered in so many ticks: else the
    /// thread was interrupted, and nobody knows to which of the two its answer belongs.
    const MAX_GAP: u64 = 20_000;
    /// A counter that was so far off after a millisecond is watched anew.
    const MAX_ERROR: u64 = 20_000;

    /// A moment by both clocks.
    #[derive(Clone, Copy)]
    struct Anchor {
        ticks: u64,
        nanos: u64,
        /// For how many ticks it may be used.
        valid: u64,
        /// Nanoseconds per tick, times 2³².
        scale: u64,
    }

    const NONE: Anchor = Anchor { ticks: 0, nanos: 0, valid: 0, scale: 0 };

    thread_local! {
        static ANCHOR: Cell<Anchor> = const { Cell::new(NONE) };
    }

    /// Nanoseconds per tick, times 2³²; zero while it is not known.
    static SCALE: AtomicU64 = AtomicU64::new(0);
    /// When watching began: ticks and nanoseconds.
    static START: Mutex<Option<(u64, u64)>> = Mutex::new(None);
    static IS_RELIABLE: LazyLock<bool> = LazyLock::new(|| {
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
    });

    #[inline]
    fn ticks() -> u64 {
        #[expect(unsafe_code, reason = "a third of what the system's clock costs; no safe form")]
        // SAFETY: every processor of this architecture has the instruction, and Linux lets programs
        // use it unless they ask it not to; it reads a register and touches nothing.
        unsafe {
            std::arch::x86_64::_rdtsc()
        }
    }

    #[inline]
    pub(super) fn now() -> u64 {
        let anchor = ANCHOR.get();
        if anchor.valid > 0 {
            let passed = ticks().wrapping_sub(anchor.ticks);
            if passed < anchor.valid {
                return anchor.nanos + ((passed * anchor.scale) >> 32);
            }
        }
        renew()
    }

    #[cold]
    fn renew() -> u64 {
        let last = ANCHOR.get();
        if !*IS_RELIABLE {
            return system();
        }
        let (before, nanos, after) = (ticks(), system(), ticks());
        let gap = after.wrapping_sub(before);
        if gap > MAX_GAP {
            ANCHOR.set(NONE);
            return nanos;
        }
        let at = before.wrapping_add(gap / 2);
        let scale = SCALE.load(Ordering::Relaxed);
        if scale == 0 || is_off(last, at, nanos) {
            watch(at, nanos, scale);
            ANCHOR.set(NONE);
        } else {
            let valid = (VALID_NANOS << 32) / scale;
            ANCHOR.set(Anchor { ticks: at, nanos, valid, scale });
        }
        nanos
    }

    /// Tells whether the counter has not gone as it should have since the last comparison, or the
    /// system's clock was set. What lies further back than a second proves nothing.
    fn is_off(last: Anchor, ticks: u64, nanos: u64) -> bool {
        let passed = ticks.wrapping_sub(last.ticks);
        if last.valid == 0 || passed >> 10 > last.valid {
            return false;
        }
        let said = last.nanos + ((u128::from(passed) * u128::from(last.scale)) >> 32) as u64;
        said.abs_diff(nanos) > MAX_ERROR + nanos.saturating_sub(last.nanos) / 1_000
    }

    /// Learns how fast the counter goes.
    fn watch(ticks: u64, nanos: u64, scale: u64) {
        let mut start = match START.try_lock() {
            Ok(start) => start,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        if SCALE.compare_exchange(scale, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let first = start.filter(|_| scale == 0);
        let passed = first.and_then(|(first_ticks, first_nanos)| {
            Some((ticks.checked_sub(first_ticks)?, nanos.checked_sub(first_nanos)?))
        });
        match passed {
            Some((passed, nanos)) if nanos >= WATCHED_NANOS && passed > 0 => {
                let scale = (u128::from(nanos) << 32) / u128::from(passed);
                // Between 16 MHz and 16 GHz: anything else is no clock.
                let is_likely = (1 << 28..1 << 38).contains(&scale);
                SCALE.store(if is_likely { scale as u64 } else { 0 }, Ordering::Relaxed);
                *start = None;
            }
            Some(_) => {}
            None => *start = Some((ticks, nanos)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn it_says_what_the_system_says() {
        let start = Instant::now();
        let slack = 50_000;
        while start.elapsed() < Duration::from_millis(100) {
            let (before, said, after) = (system(), now(), system());
            assert!(said + slack >= before, "{said} is before {before}");
            assert!(said <= after + slack, "{said} is after {after}");
        }
    }
}

//! The text that an injector is given, which our own carriers give back once they have copied it.
//!
//! OpenTelemetry's injector takes a `String` for each header. Where the header's memory is somebody
//! else's, as librdkafka's, the next header can have the same one.

use std::cell::Cell;

/// Memory of long values is not kept.
const MOST: usize = 256;

thread_local! {
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// Returns a text with room for so many bytes, whatever it says.
#[inline]
pub(super) fn memory(bytes: usize) -> String {
    // A thread that is ending keeps nothing.
    match SPARE.try_with(Cell::take) {
        Ok(spare) if spare.capacity() >= bytes => spare,
        _ => String::with_capacity(bytes),
    }
}

/// Returns a text as one's own.
pub(super) fn owned(text: &str) -> String {
    let mut owned = memory(text.len());
    owned.clear();
    owned.push_str(text);
    owned
}

/// Takes back a text whose memory nobody needs.
pub(crate) fn give_back(text: String) {
    if text.capacity() <= MOST {
        let _ = SPARE.try_with(|spare| spare.set(text));
    }
}

//! The desk: memory that JavaScript and this thread both see. A call finds its arguments there and leaves
//! there what it returns, because every value that crosses by itself costs more than what is done with it.
//!
//! `lib/desk.cjs` knows the same places.

use napi_derive::napi;
use tracebaton::{
    TraceContext,
    wire::{Flags, SpanId, TraceId},
};

/// Which calls there are and where things stand on the desk: JavaScript that knows another number would
/// misread everything. Whoever changes either counts it up here and in `lib/native.cjs`.
#[napi]
pub const LAYOUT: u32 = 9;

use super::slab::Stood;

/// A text that is longer goes another way.
const MAX_TEXT: usize = 128;

/// The memory, as both sides know it.
#[repr(C, align(8))]
pub(super) struct Desk {
    texts: [[u8; MAX_TEXT]; 2],
    words: [i32; 16],
    number: f64,
}

// Arguments.
const LENGTHS: [usize; 2] = [0, 1];
const SUBJECT: usize = 2;
const PLACE: usize = 3;
const OUTPUT: usize = 7;
// What is returned.
const IS_DONE: usize = 4;
const NUMBER: usize = 5;
const IS_PLAIN: usize = 6;
const IDS: usize = 8;
const FLAGS: usize = 14;
// An argument again.
const BATCH: usize = 15;

impl Desk {
    fn word(&self, at: usize) -> i32 {
        self.words.get(at).copied().unwrap_or_default()
    }

    fn set_word(&mut self, at: usize, value: i32) {
        if let Some(word) = self.words.get_mut(at) {
            *word = value;
        }
    }

    /// Returns one of the two texts; nothing where there is none.
    pub(super) fn text(&self, at: usize) -> Option<&[u8]> {
        let length = usize::try_from(self.word(*LENGTHS.get(at)?)).ok()?;
        self.texts.get(at)?.get(..length)
    }

    /// Returns the number of a topic or a hop.
    pub(super) fn subject(&self) -> u32 {
        self.word(SUBJECT).cast_unsigned()
    }

    /// Returns the number of an output.
    pub(super) fn output(&self) -> u32 {
        self.word(OUTPUT).cast_unsigned()
    }

    /// Returns a partition, or the number of a topic.
    pub(super) fn place(&self) -> i32 {
        self.word(PLACE)
    }

    /// Returns the number of the batch that the message is in: of its hop, or of an insert; 0 where it is in none.
    pub(super) fn batch(&self) -> u32 {
        self.word(BATCH).cast_unsigned()
    }

    /// Returns where the message stood.
    pub(super) fn stood(&self) -> Stood {
        Stood { topic: self.subject(), partition: self.place(), offset: self.offset() }
    }

    /// Returns an offset. JavaScript takes care that it is whole and exact.
    pub(super) fn offset(&self) -> i64 {
        self.number as i64
    }

    /// Says that the call has done what it was asked for. JavaScript takes the word away before.
    pub(super) fn is_done(&mut self) {
        self.set_word(IS_DONE, 1);
    }

    /// Returns a moment, in milliseconds since 1970.
    pub(super) fn tell_time(&mut self, ms: f64) {
        self.number = ms;
    }

    /// Returns the number of what was made, and whether its context is all there is to its baton.
    pub(super) fn tell(&mut self, number: u32, is_plain: bool) {
        self.is_done();
        self.set_word(NUMBER, number.cast_signed());
        self.set_word(IS_PLAIN, i32::from(is_plain));
    }

    /// Returns the ids of a context.
    pub(super) fn tell_context(&mut self, context: TraceContext) {
        let mut ids = [0; 24];
        let (trace_id, span_id) = ids.split_at_mut(16);
        trace_id.copy_from_slice(&context.trace_id.to_bytes());
        span_id.copy_from_slice(&context.span_id.map_or([0; 8], SpanId::to_bytes));
        let (ids, _) = ids.as_chunks();
        for (word, bytes) in self.words.iter_mut().skip(IDS).zip(ids) {
            *word = i32::from_be_bytes(*bytes);
        }
        self.set_word(FLAGS, i32::from(context.flags.bits()));
    }

    /// Reads the context of which these are the ids.
    pub(super) fn context(&self) -> Option<TraceContext> {
        let mut ids = [0; 24];
        for (bytes, word) in ids.as_chunks_mut().0.iter_mut().zip(self.words.iter().skip(IDS)) {
            *bytes = word.to_be_bytes();
        }
        let (trace_id, span_id) = ids.split_first_chunk()?;
        let flags = Flags::from_bits(u8::try_from(self.word(FLAGS)).ok()?);
        let span_id = SpanId::from_bytes(span_id.try_into().ok()?);
        Some(TraceContext { span_id, flags, ..TraceContext::root(TraceId::from_bytes(*trace_id)?) })
    }
}

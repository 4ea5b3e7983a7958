// The desk: memory that this side and the native half both see. Arguments of the calls that every message makes stand there, and
// what comes back: each value that crosses by itself costs more than what is done with it. `src/fast/desk.rs` knows the same places.
"use strict";

const { isUint8Array } = require("node:util/types");

const { native } = require("./native.cjs");

/** A text that is longer goes another way. */
const MAX_TEXT = 128;

const own = new ArrayBuffer(2 * MAX_TEXT + 16 * 4 + 8 + 4);
// This package may be loaded several times in one thread: all use the first one's.
const memory = native?.fastShare(own) ?? own;

const texts = Buffer.from(memory, 0, 2 * MAX_TEXT);
const words = new Int32Array(memory, 2 * MAX_TEXT, 16);
const number = new Float64Array(memory, 2 * MAX_TEXT + 16 * 4, 1);
/** How often headers were laid here; the native half knows nothing of it. */
const turns = new Int32Array(memory, 2 * MAX_TEXT + 16 * 4 + 8, 1);

/** Where in `words` things stand: first what is asked, then what is answered. */
const AT = {
  traceparent: 0, traceId: 1, subject: 2, place: 3, output: 7,
  isDone: 4, number: 5, isPlain: 6, ids: 8, flags: 14, batch: 15,
};

/** Puts a text or bytes on the desk; tells whether it could. */
function layText(at, value) {
  let length;
  if (isUint8Array(value)) {
    length = value.length;
    if (length > MAX_TEXT) return false;
    texts.set(value, at * MAX_TEXT);
  } else {
    if (typeof value !== "string" || value.length > MAX_TEXT - 4) return false;
    length = texts.utf8Write(value, at * MAX_TEXT, MAX_TEXT);
    // Other than ASCII has more bytes than characters, also where its last character found no more room.
    if (length !== value.length) return false;
  }
  words[at] = length;
  return true;
}

const ZERO = 48;
/** A whole number of up to so many digits is exact. */
const MAX_DIGITS = 15;

/** Puts an offset on the desk, which may be a number, its digits or a bigint; tells whether it could. */
function layOffset(offset) {
  if (typeof offset === "string") {
    const { length } = offset;
    if (length === 0 || length > MAX_DIGITS) return false;
    let value = 0;
    for (let at = 0; at < length; at += 1) {
      const digit = offset.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) return false;
      value = value * 10 + digit;
    }
    number[0] = value;
    return true;
  }
  const value = typeof offset === "bigint" ? Number(offset) : offset;
  if (!Number.isSafeInteger(value)) return false;
  number[0] = value;
  return true;
}

/**
 * Makes a class keep the ids of a trace context as the numbers in which they stand on the desk: a text costs more, and few are asked
 * for. Its constructor calls this first; a base class would be several times as dear.
 */
function keepIds(of) {
  of._trace0 = words[8];
  of._trace1 = words[9];
  of._trace2 = words[10];
  of._trace3 = words[11];
  of._span0 = words[12];
  of._span1 = words[13];
  of._flags = words[14];
  of._text = null;
}

/** Returns the `traceparent` of something that keeps ids. */
function traceparentOf(of) {
  if (of._text !== null) return of._text;
  words[8] = of._trace0;
  words[9] = of._trace1;
  words[10] = of._trace2;
  words[11] = of._trace3;
  words[12] = of._span0;
  words[13] = of._span1;
  words[14] = of._flags;
  return (of._text = native.fastText());
}

let list = new Int32Array(1024);

/** Returns an array with room for so many numbers, the same each time, for calls that take a list. */
function roomFor(count) {
  if (list.length < count) list = new Int32Array(2 * count);
  return list;
}

module.exports = { AT, keepIds, layOffset, layText, number, roomFor, traceparentOf, turns, words };

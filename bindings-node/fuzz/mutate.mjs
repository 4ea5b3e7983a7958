// Input for the fuzzer: what is in the core's corpus, changed at random, and bytes that are random altogether.
import { readFileSync, readdirSync } from "node:fs";

const MOST = 512;
const WORDS = [
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "rojo=00f067aa0ba902b7", "order-42", "k=v;p=1", '{"trace_id":"a"}',
  "__proto__", "constructor", "\u0000", "\r\n", "\u00e9", "\ud83d\ude00", '"', "\\u0000", "%", ",", "=", "-",
].map((word) => Buffer.from(word));

/** A generator of numbers that says the same again after the same seed (xorshift, 32 bits). */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0 || 1;
  }

  /** Returns a whole number below `end`. */
  below(end) {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * end);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  bytes(length) {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }
}

/** Reads the core's committed corpus of one of its targets. */
export function readCorpus(target) {
  const folder = new URL(`../../rust-core/fuzz/corpus/${target}/`, import.meta.url);
  return readdirSync(folder).map((name) => readFileSync(new URL(name, folder)));
}

/** Makes the next input: one of the corpus with up to four changes; one in eight is random. */
export function next(random, corpus) {
  if (random.below(8) === 0) return random.bytes(random.below(64));
  let data = Buffer.from(random.pick(corpus));
  for (let changes = random.below(5); changes > 0; changes -= 1) data = change(random, corpus, data);
  return data.length > MOST ? data.subarray(0, MOST) : data;
}

function change(random, corpus, data) {
  const at = random.below(data.length + 1);
  const to = at + random.below(Math.min(16, data.length - at) + 1);
  const replace = (from, until, ...parts) => Buffer.concat([data.subarray(0, from), ...parts, data.subarray(until)]);
  switch (random.below(7)) {
    case 0:
      if (at < data.length) data[at] ^= 1 << random.below(8);
      return data;
    case 1:
      if (at < data.length) data[at] = random.below(256);
      return data;
    case 2:
      return replace(at, at, random.bytes(random.below(8)));
    case 3:
      return replace(at, to);
    case 4:
      return replace(at, at, data.subarray(at, to));
    case 5:
      return replace(at, to, random.pick(WORDS));
    default:
      return replace(at, data.length, random.pick(corpus).subarray(random.below(64)));
  }
}

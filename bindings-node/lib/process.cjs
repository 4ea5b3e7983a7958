// One message at one hop, current for everything its function does, through promises and timers.
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");

const { native } = require("./native.cjs");
const { checkFunction, checkObject, checkText, checkWhole } = require("./errors.cjs");
const { toLists, toObject } = require("./headers.cjs");

const storage = new AsyncLocalStorage();

/** Says what an error is called and what it says, whatever was thrown. */
function describeError(error) {
  try {
    return error instanceof Error ? [String(error.name), String(error.message)] : [typeof error, String(error)];
  } catch {
    // Even `String` may throw, for instance for an object without a prototype.
    return [typeof error, ""];
  }
}

class Output {
  #native;
  #headers;

  constructor(output, extra) {
    this.#native = output;
    this.#headers = Object.freeze({ ...extra, ...toObject(output?.headers() ?? []) });
  }

  /** The headers of the message: the context, and for a dead letter what went wrong. */
  get headers() {
    return this.#headers;
  }

  /** Says where the broker put it: what `producer.send` returned for it. */
  delivered(metadata) {
    // A producer that waits for no acknowledgement returns an empty list.
    if (Array.isArray(metadata) && metadata.length === 0) return this.#native?.release();
    const place = checkObject("metadata", Array.isArray(metadata) ? metadata[0] : metadata);
    const offset = place.baseOffset ?? place.offset;
    if (offset === undefined || place.partition === undefined) this.#native?.release();
    else this.#native?.delivered(Number(checkWhole("partition", place.partition)), checkWhole("offset", offset));
  }

  /** Says that the broker or the client refused it. */
  undelivered(error) {
    this.#native?.undelivered(...describeError(error));
  }

  /** @internal */
  release() {
    this.#native?.release();
  }
}

class Hop {
  #native;
  #outputs = [];

  constructor(hop) {
    this.#native = hop;
  }

  get traceId() {
    return this.#native?.traceId ?? null;
  }

  get spanId() {
    return this.#native?.spanId ?? null;
  }

  get legacyId() {
    return this.#native?.legacyId ?? null;
  }

  get baton() {
    return this.#native?.baton ?? null;
  }

  /** Starts a message on its way to `topic`. */
  output(topic) {
    checkText("topic", topic);
    const output = new Output(this.#native?.output(topic), {});
    this.#outputs.push(output);
    return output;
  }

  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic, error) {
    checkText("topic", topic);
    this.#native?.deadLettered(...describeError(error));
    const extra = toObject(this.#native?.errorHeaders() ?? []);
    const output = new Output(this.#native?.output(topic), extra);
    this.#outputs.push(output);
    return output;
  }

  /** Sets an attribute of the span. */
  set(key, value) {
    this.#native?.set(String(key), String(value));
  }

  /** Says that the record was left out on purpose. */
  filtered(reason) {
    this.#native?.filtered(String(reason));
  }

  /** Says that the record could not be handled and nothing else took it. */
  failed(error) {
    this.#native?.failed(...describeError(error));
  }

  /** @internal */
  end() {
    this.#native?.end();
    // Nobody has said by now what became of these.
    for (const output of this.#outputs) output.release();
  }

  /** @internal */
  get native() {
    return this.#native;
  }
}

/** Returns the hop that this code runs in, or null. */
function currentHop() {
  return storage.getStore() ?? null;
}

function start({ topic, partition, message, group }) {
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const [number, offset] = [Number(checkWhole("partition", partition)), checkWhole("message.offset", message.offset)];
  const { names, values } = toLists(message.headers);
  return new Hop(native === null ? null : native.startProcess(topic, number, offset, group, names, values));
}

/**
 * Runs `fn` as the hop of one message: `payload` is what kafkajs hands to `eachMessage`, and the
 * consumer group. What `fn` returns is returned; what it throws is recorded and thrown again.
 */
async function process(payload, fn) {
  checkObject("payload.message", checkObject("payload", payload).message);
  checkFunction("fn", fn);
  const hop = start(payload);
  return storage.run(hop, async () => {
    try {
      return await fn(hop);
    } catch (error) {
      hop.failed(error);
      throw error;
    } finally {
      hop.end();
    }
  });
}

module.exports = { currentHop, process };

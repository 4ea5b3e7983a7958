// One message at one hop, current for everything its function does, through promises and timers.
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");

const { native } = require("./native.cjs");
const { toLists, toObject, wrongType } = require("./headers.cjs");

const storage = new AsyncLocalStorage();

/** Says what an error is called and what it says, whatever was thrown. */
function describeError(error) {
  if (error instanceof Error) return [error.name, error.message];
  return [typeof error, String(error)];
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
    const place = Array.isArray(metadata) ? metadata[0] : metadata;
    if (typeof place !== "object" || place === null) {
      throw wrongType("metadata", "what producer.send returned", metadata);
    }
    const offset = place.baseOffset ?? place.offset;
    if (offset === undefined || place.partition === undefined) this.#native?.release();
    else this.#native?.delivered(place.partition, String(offset));
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
    if (typeof topic !== "string") throw wrongType("topic", "a string", topic);
    const output = new Output(this.#native?.output(topic), {});
    this.#outputs.push(output);
    return output;
  }

  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic, error) {
    if (typeof topic !== "string") throw wrongType("topic", "a string", topic);
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
  const { names, values } = toLists(message.headers);
  if (native === null) return new Hop(null);
  const offset = String(message.offset);
  return new Hop(native.startProcess(topic, Number(partition), offset, group, names, values));
}

/**
 * Runs `fn` as the hop of one message: `payload` is what kafkajs hands to `eachMessage`, and the
 * consumer group. What `fn` returns is returned; what it throws is recorded and thrown again.
 */
async function process(payload, fn) {
  if (typeof payload !== "object" || payload === null || typeof payload.message !== "object") {
    throw wrongType("payload", "{ topic, partition, message, group }", payload);
  }
  if (typeof fn !== "function") throw wrongType("fn", "a function", fn);
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

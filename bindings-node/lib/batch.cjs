// Batches: every message is a hop of its own, and what came out of them may be sent at the end.
"use strict";

const { checkFunction, checkObject } = require("./errors.cjs");
const { startAt } = require("./message.cjs");
const { runHop } = require("./process.cjs");

/** The messages of one topic and partition that were read together. */
class Batch {
  #batch;
  #group;
  #hops = new Map();

  constructor(batch, group) {
    this.#batch = batch;
    this.#group = group;
  }

  /** Returns the hop of a message of this batch; it goes on until the batch ends. */
  hop(message) {
    checkObject("message", message);
    let hop = this.#hops.get(message);
    if (hop === undefined) {
      hop = startAt(this.#batch.topic, this.#batch.partition, message, this.#group);
      this.#hops.set(message, hop);
    }
    return hop;
  }

  /** Runs `fn` as the hop of one message; its outputs may be sent later, until the batch ends. */
  async process(message, fn) {
    return runHop(this.hop(message), checkFunction("fn", fn));
  }

  /** Says where the broker put messages that were sent together, in this order: what `producer.send` returned. */
  delivered(outputs, metadata) {
    for (const topic of new Set(outputs.map((output) => output.topic))) {
      const places = metadata.filter(({ topicName }) => topicName === undefined || topicName === topic);
      const sent = outputs.filter((output) => output.topic === topic);
      // What went to one partition stands there in the order it was sent. Of several, the client does not tell which went where.
      const [{ partition, baseOffset } = {}] = places.length === 1 ? places : [];
      // Offsets beyond what a number holds are exact as bigints.
      const isSmall = Number.isSafeInteger(Number(baseOffset) + sent.length);
      let [next, one] = isSmall ? [Number(baseOffset), 1] : [BigInt(baseOffset ?? 0), 1n];
      for (const output of sent) {
        if (baseOffset === undefined) output.release();
        else output.deliveredAt(partition, next);
        next += one;
      }
    }
  }

  /** Says that the broker or the client refused these. */
  undelivered(outputs, error) {
    for (const output of outputs) output.undelivered(error);
  }

  /** @internal Ends every hop. */
  end() {
    for (const hop of this.#hops.values()) hop.end();
  }

  /** @internal Ends every hop of a batch that threw: what was not handled or sent by then has failed. */
  fail(error) {
    for (const hop of this.#hops.values()) hop.abandon(error);
  }
}

/** Makes a handler for `eachBatch` out of `fn(payload, batch)`. */
function eachBatch(fn, { group } = {}) {
  checkFunction("fn", fn);
  return async (payload) => {
    const batch = new Batch(checkObject("payload.batch", checkObject("payload", payload).batch), group);
    try {
      const result = await fn(payload, batch);
      batch.end();
      return result;
    } catch (error) {
      batch.fail(error);
      throw error;
    }
  };
}

module.exports = { eachBatch };

// Batches: every message is a hop of its own, and what came out of them may be sent at the end.
"use strict";

const { layOffset } = require("./desk.cjs");
const { checkFunction, checkObject } = require("./errors.cjs");
const { deliverAll, endAll } = require("./hop.cjs");
const { startAt, startTogether } = require("./message.cjs");
const { native } = require("./native.cjs");
const { OF_RUN, groupOf } = require("./options.cjs");
const { runHop, runTogether } = require("./process.cjs");
const { keepShape } = require("./shapes.cjs");

/** The messages of one topic and partition that were read together. */
class Batch {
  constructor({ topic, partition, messages }, group) {
    this._topic = topic;
    this._partition = partition;
    this._group = group;
    this._messages = Array.isArray(messages) ? messages : [];
    /** The hops, as their messages stand in the batch; and of those that do not. */
    this._hops = [];
    this._next = 0;
    this._positions = null;
    this._together = null;
  }

  /** Returns the hop of a message of this batch; it goes on until the batch ends. */
  hop(message) {
    checkObject("message", message);
    // Mostly they are asked for one after the other.
    const at = this._messages[this._next] === message ? this._next : this._find(message);
    this._next = at + 1;
    return (this._hops[at] ??= startAt(this._topic, this._partition, message, this._group, this._together?.number));
  }

  _find(message) {
    this._positions ??= new Map(this._messages.map((one, at) => [one, at]));
    let at = this._positions.get(message);
    if (at === undefined) {
      at = Math.max(this._messages.length, this._hops.length);
      this._positions.set(message, at);
    }
    return at;
  }

  /** Runs `fn` as the hop of one message; its outputs may be sent later, until the batch ends. */
  async process(message, fn) {
    return runHop(this.hop(message), checkFunction("fn", fn));
  }

  /**
   * Runs `fn` as the one hop of all messages that have none of their own yet; its outputs may be sent later, until the batch ends.
   * A message that is asked for afterwards leaves it.
   */
  async together(fn) {
    checkFunction("fn", fn);
    const others = () => this._messages.filter((_, at) => this._hops[at] === undefined);
    this._together ??= startTogether(this._topic, this._partition, others(), this._group);
    return runTogether(this._together, fn);
  }

  /**
   * Says where the broker put messages that were sent together, in this order: what `producer.send` returned. In a form that nobody
   * knows it says that it has them.
   */
  delivered(outputs, metadata) {
    if (!Array.isArray(metadata)) return acknowledge(outputs);
    for (const [topic, sent] of byTopic(outputs)) {
      const places = metadata.filter((place) => place && (place.topicName === undefined || place.topicName === topic));
      // What went to one partition stands there in the order it was sent. Of several, the client does not tell which went where.
      const [{ partition, baseOffset } = {}] = places.length === 1 ? places : [];
      if (baseOffset !== undefined) deliver(sent, partition, baseOffset);
      else if (areAcknowledged(places)) acknowledge(sent);
      else for (const output of sent) output.release();
    }
  }

  /** Says that the broker or the client refused these. */
  undelivered(outputs, error) {
    for (const output of outputs) output._undelivered(error);
  }

  /** @internal Ends every hop. */
  end() {
    endAll(this._hops);
    this._together?.end();
  }

  /** @internal Ends every hop of a batch that threw: what was not handled or sent by then has failed. */
  fail(error) {
    for (const hop of this._hops) hop?.abandon(error);
    this._together?.abandon(error);
  }
}

/** Returns the outputs to each topic, in their order. */
function byTopic(outputs) {
  const topics = new Map();
  let [last, sent] = [null, null];
  for (const output of outputs) {
    if (output.topic !== last) {
      last = output.topic;
      sent = topics.get(last) ?? [];
      topics.set(last, sent);
    }
    sent.push(output);
  }
  return topics;
}

/** Tells whether the broker has taken what went to several partitions: no offset comes where none is waited for. */
function areAcknowledged(places) {
  return places.length > 0 && places.every(({ baseOffset }) => baseOffset !== undefined);
}

function acknowledge(outputs) {
  for (const output of outputs) output.acknowledged();
}

/** Says where outputs are that were sent together: one after the other. */
function deliver(sent, partition, baseOffset) {
  if (native !== null && (partition | 0) === partition && layOffset(baseOffset)) return deliverAll(sent, partition);
  try {
    // Offsets beyond what a number holds are exact as bigints.
    const isSmall = Number.isSafeInteger(Number(baseOffset) + sent.length);
    let [next, one] = isSmall ? [Number(baseOffset), 1] : [BigInt(baseOffset), 1n];
    for (const output of sent) {
      output.deliveredAt(partition, next);
      next += one;
    }
  } catch {
    // No place at all.
    acknowledge(sent);
  }
}

keepShape(new Batch({}));

/** Makes a handler for `eachBatch` out of `fn(payload, batch)`. */
function eachBatch(fn, options) {
  checkFunction("fn", fn);
  const group = groupOf("eachBatch()", options, OF_RUN);
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

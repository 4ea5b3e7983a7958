// A hop and its outputs, as JavaScript handles them.
"use strict";

const { checkObject, checkText, checkWhole } = require("./errors.cjs");
const { rewrite } = require("./headers.cjs");
const { describeError, toText } = require("./text.cjs");

/** Finds the one place in what a producer returned for one message; null where it does not tell. */
function placeIn(metadata) {
  // kafkajs returns a list, empty where no acknowledgement is waited for; @platformatic/kafka an object with a list.
  const list = Array.isArray(metadata) ? metadata : metadata?.offsets;
  const place = list === undefined ? checkObject("metadata", metadata) : list[0];
  const offset = place?.baseOffset ?? place?.offset;
  if (offset === undefined || place.partition === undefined) return null;
  return { partition: Number(checkWhole("partition", place.partition)), offset: checkWhole("offset", offset) };
}

class Output {
  #native;
  #headers;
  #topic;

  constructor(output, topic, headers) {
    this.#native = output;
    this.#topic = topic;
    this.#headers = Object.freeze(rewrite(headers, output === undefined ? null : (names) => output.rewrite(names)));
  }

  get topic() {
    return this.#topic;
  }

  /** The headers of the message: the context, and for a dead letter what went wrong. */
  get headers() {
    return this.#headers;
  }

  /** Says where the broker put it: what `producer.send` returned for it. */
  delivered(metadata) {
    const place = placeIn(metadata);
    if (place === null) this.#native?.release();
    else this.#native?.delivered(place.partition, place.offset);
  }

  /** Says that the broker or the client refused it. */
  undelivered(error) {
    this.#native?.undelivered(...describeError(error));
  }

  /** The callback for clients that report deliveries: `(error, report)`. */
  get onDelivery() {
    return (error, report) => {
      if (error) this.undelivered(error);
      else this.delivered(report);
    };
  }

  /** @internal */
  release() {
    this.#native?.release();
  }
}

class Hop {
  #native;
  #baton;
  #outputs = [];
  #isStopped = false;
  #hasFate = false;

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
    return (this.#baton ??= this.#native?.baton ?? null);
  }

  /** Starts a message on its way to `topic`; `headers` are copied to it. */
  output(topic, headers = {}) {
    checkText("topic", topic);
    return this.#keep(new Output(this.#native?.output(topic), topic, headers));
  }

  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic, error, headers = {}) {
    checkText("topic", topic);
    this.#hasFate = true;
    return this.#keep(new Output(this.#native?.deadLetter(topic, ...describeError(error)), topic, headers));
  }

  #keep(output) {
    this.#outputs.push(output);
    return output;
  }

  /** Sets an attribute of the span: a text, a number or a boolean. */
  set(key, value) {
    const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    this.#native?.set(String(key), isPlain ? value : toText(value));
  }

  /** Says that the record was left out on purpose. */
  filtered(reason) {
    this.#hasFate = true;
    this.#native?.filtered(toText(reason));
  }

  /** Says that the record could not be handled and nothing else took it. */
  failed(error) {
    this.#hasFate = true;
    this.#native?.failed(...describeError(error));
  }

  /** @internal Says that nothing came of the record, unless something did. */
  madeNothing() {
    if (!this.#hasFate && this.#outputs.length === 0) this.filtered("nothing was made of it");
  }

  /** Ends the hop now; without a word before, the record has passed. */
  end() {
    this.stop();
    this.release();
  }

  /** @internal The work is done; outputs may still be on their way. */
  stop() {
    this.#isStopped = true;
    this.#native?.end();
  }

  /** @internal Ends it because of an error outside: what was not done or sent by then has failed. */
  abandon(error) {
    if (!this.#isStopped && !this.#hasFate) this.failed(error);
    for (const output of this.#outputs) output.undelivered(error);
    this.end();
  }

  /** @internal Nobody will say any more what became of the outputs. */
  release() {
    for (const output of this.#outputs) output.release();
  }
}

module.exports = { Hop };

// A hop and its outputs, as JavaScript handles them: numbers of the native half's. They are made for every message: fields are
// plain and set in the constructor, because private ones cost several times as much to make.
"use strict";

const { AT, keepIds, layOffset, roomFor, traceparentOf, words } = require("./desk.cjs");
const { checkObject, checkText, checkWhole } = require("./errors.cjs");
const { rewrite } = require("./headers.cjs");
const { native } = require("./native.cjs");
const { Overlay, valueOf } = require("./otel/hop.cjs");
const { keepShape } = require("./shapes.cjs");
const { describeError, toText } = require("./text.cjs");
const { outputNumber } = require("./topics.cjs");

const { fastClose, fastCloseAll, fastDelivered, fastDeliveredAll, fastEmit, fastStop } = native ?? {};

/** A callback that nobody holds any more will not be called: its output is unconfirmed. */
const dropped = native && new FinalizationRegistry(([hop, output]) => native.release(hop, output));

class Output {
  /** `traceparent` is given where that and the trace id are all there is to write. */
  constructor(hop, number, topic, traceparent, headers) {
    this._hop = hop;
    this._number = number;
    this._topic = topic;
    this._traceparent = traceparent;
    this._headers = headers;
    this._report = undefined;
  }

  get topic() {
    return this._topic;
  }

  /** The headers of the message: the context, and for a dead letter what went wrong. */
  get headers() {
    const traceparent = this._traceparent;
    return (this._headers ??= { traceparent, trace_id: traceparent.slice(3, 35) });
  }

  /** Returns a message for the client: these fields with the topic, the headers, and this output. */
  message(fields) {
    return { ...fields, topic: this._topic, headers: this.headers, output: this };
  }

  /**
   * Says where the broker put it: what `producer.send` returned for it. In a form that nobody knows it says that it has it. It may be
   * handed on, as `undelivered`: `producer.send(…).then(output.delivered, output.undelivered)`.
   */
  get delivered() {
    return (metadata) => this._delivered(metadata);
  }

  /** Says that the broker or the client refused it. */
  get undelivered() {
    return (error) => this._undelivered(error);
  }

  /** @internal */
  _delivered(metadata) {
    try {
      // kafkajs returns a list, empty where no acknowledgement is waited for; @platformatic/kafka an object with a list.
      const list = Array.isArray(metadata) ? metadata : metadata?.offsets;
      const place = list === undefined ? checkObject("metadata", metadata) : list[0];
      const offset = place?.baseOffset ?? place?.offset;
      if (offset === undefined || place.partition === undefined) this.release();
      else this.deliveredAt(place.partition, offset);
    } catch {
      this.acknowledged();
    }
  }

  /** @internal */
  deliveredAt(partition, offset) {
    if (native === null) return;
    if ((partition | 0) === partition && layOffset(offset)) {
      words[AT.subject] = this._hop;
      words[AT.output] = this._number;
      words[AT.place] = partition;
      fastDelivered();
    } else {
      native.delivered(this._hop, this._number, Number(checkWhole("partition", partition)), checkWhole("offset", offset));
    }
  }

  /** @internal */
  _undelivered(error) {
    native?.undelivered(this._hop, this._number, ...describeError(error));
  }

  /** The callback for clients that report deliveries: `(error, report)`. Its hop waits for it. */
  get onDelivery() {
    return (this._report ??= this._awaited());
  }

  /** @internal */
  _awaited() {
    const report = (error, metadata) => {
      if (error) this._undelivered(error);
      else this._delivered(metadata);
    };
    native?.awaitDelivery(this._hop, this._number);
    dropped?.register(report, [this._hop, this._number]);
    return report;
  }

  /** @internal Says that the broker has it, where the client does not tell at which place. */
  acknowledged() {
    native?.acknowledged(this._hop, this._number);
  }

  /** @internal */
  release() {
    native?.release(this._hop, this._number);
  }
}

/** One object for all that a message needs: it is the hop, and the OpenTelemetry context in which the hop is the active span. */
class Hop {
  /** `number` is 0 where nothing is traced; the rest stands on the desk. */
  constructor(number) {
    keepIds(this);
    this._number = number;
    this._isPlain = number !== 0 && words[AT.isPlain] === 1;
    this._legacyId = null;
    this._baton = null;
    this._outputs = 0;
    this._isStopped = false;
    this._hasFate = false;
    this._below = null;
    this._span = null;
    this._carried = null;
    if (!this._isPlain) this._legacyId = this.baton?.legacyId ?? null;
  }

  /** @internal */
  get number() {
    return this._number;
  }

  get traceId() {
    return this._number === 0 ? null : traceparentOf(this).slice(3, 35);
  }

  get spanId() {
    return this._number === 0 ? null : traceparentOf(this).slice(36, 52);
  }

  get legacyId() {
    return this._legacyId;
  }

  get baton() {
    if (this._baton === null && this._number !== 0) {
      this._baton = native.hopBaton(this._number) ?? native.batonFrom(traceparentOf(this), this._legacyId ?? undefined);
    }
    return this._baton;
  }

  /** @internal Takes note of the context it runs in; false where it runs in another one already. */
  isOver(below) {
    if (this._below === null) this._below = below;
    return this._below === below;
  }

  /** @internal */
  getValue(key) {
    return valueOf(this, this, this._below, key);
  }

  /** @internal */
  setValue(key, value) {
    return new Overlay(this, key, value);
  }

  /** @internal */
  deleteValue(key) {
    return new Overlay(this, key, undefined);
  }

  /** Starts a message on its way to `topic`; `headers` are copied to it. */
  output(topic, headers) {
    checkText("topic", topic);
    if (headers === undefined && this._isPlain) {
      words[AT.subject] = this._number;
      words[AT.place] = outputNumber(topic);
      const traceparent = fastEmit();
      if (traceparent !== undefined) {
        this._outputs += 1;
        return new Output(this._number, words[AT.number], topic, traceparent, undefined);
      }
    }
    return this._emit(topic, headers, false);
  }

  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic, error, headers) {
    checkText("topic", topic);
    this._hasFate = true;
    native?.deadLettered(this._number, ...describeError(error));
    return this._emit(topic, headers, true);
  }

  _emit(topic, headers, isDeadLetter) {
    const number = native?.emit(this._number, topic) ?? null;
    const change = number === null ? null : (names) => native.outputHeaders(this._number, number, names, isDeadLetter);
    this._outputs += 1;
    return new Output(this._number, number ?? 0, topic, undefined, rewrite(headers ?? {}, change));
  }

  /** Sets an attribute of the span: a text, a number or a boolean. */
  set(key, value) {
    const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    native?.setAttribute(this._number, String(key), isPlain ? value : toText(value));
  }

  /** Says that the record was left out on purpose. */
  filtered(reason) {
    this._hasFate = true;
    native?.filtered(this._number, toText(reason));
  }

  /** Says that the record could not be handled and nothing else took it. */
  failed(error) {
    this._hasFate = true;
    native?.failed(this._number, ...describeError(error));
  }

  /** @internal Says that nothing came of the record, unless something did. */
  madeNothing() {
    if (!this._hasFate && this._outputs === 0) this.filtered("nothing was made of it");
  }

  /**
   * Ends the hop; without a word before, the record has passed. It waits for the outputs whose `onDelivery` was asked for; others of
   * which nobody has heard are unconfirmed.
   */
  end() {
    this._isStopped = true;
    if (native === null) return;
    words[AT.subject] = this._number;
    fastClose();
  }

  /** @internal The work is done; outputs may still be on their way. */
  stop() {
    this._isStopped = true;
    if (native === null) return;
    words[AT.subject] = this._number;
    fastStop();
  }

  /** @internal The work is done: what goes wrong elsewhere does not make it fail. */
  handled() {
    this._isStopped = true;
  }

  /** @internal Ends it because of an error of its own: no output can save its record. */
  fail(error) {
    this.failed(error);
    this._isStopped = true;
    native?.closeFailed(this._number);
  }

  /** @internal Ends it because of an error outside: what was not done or sent by then has failed. */
  abandon(error) {
    if (!this._isStopped && !this._hasFate) this.failed(error);
    if (this._outputs > 0) native?.refuseAll(this._number, ...describeError(error));
    this.end();
  }
}

/** Ends many hops, as `end` does; a list may have holes. */
function endAll(hops) {
  const numbers = roomFor(hops.length);
  let count = 0;
  for (const hop of hops) {
    if (hop === undefined) continue;
    hop._isStopped = true;
    numbers[count++] = hop._number;
  }
  words[AT.subject] = count;
  fastCloseAll?.(numbers);
}

/** Says of outputs that they stand one after the other, from the offset that is on the desk. */
function deliverAll(outputs, partition) {
  const numbers = roomFor(2 * outputs.length);
  let count = 0;
  for (const output of outputs) {
    numbers[count++] = output._hop;
    numbers[count++] = output._number;
  }
  words[AT.subject] = outputs.length;
  words[AT.place] = partition;
  fastDeliveredAll(numbers);
}

const output = new Output(0, 0, "", "", undefined);
keepShape(new Hop(0), output, output.headers);

module.exports = { Hop, deliverAll, endAll };

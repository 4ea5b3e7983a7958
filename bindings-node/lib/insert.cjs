// Batches on their way into a table: their records share its fate, and a record that does not go in has a hop of its own.
"use strict";

const { randomUUID } = require("node:crypto");

const { withSpan } = require("./current.cjs");
const { called, checkFunction, checkText } = require("./errors.cjs");
const { endAll } = require("./hop.cjs");
const { addToInsert, checkPayload, takeOutOfInsert } = require("./message.cjs");
const { native } = require("./native.cjs");
const { checkOptions } = require("./options.cjs");
const { RemoteSpan, toSpanContext } = require("./otel/span.cjs");
const { describeError } = require("./text.cjs");

/** The span of an attempt, as OpenTelemetry's API sees it: of the one that goes on when somebody asks. */
class AttemptSpan extends RemoteSpan {
  constructor(insert) {
    super(null);
    this._insert = insert;
  }

  spanContext() {
    return toSpanContext(this._insert.baton, false);
  }
}

/** Of a batch that nobody holds any more nothing will be said: its records are pending, and those that were taken out. */
const forgotten = native && new FinalizationRegistry(([number, hops]) => native.leaveInsert(number, [...hops.values()].map((hop) => hop.number)));

/** The records of one batch; the native half has them. */
class Insert {
  constructor(table, { group, batchId }) {
    checkText("table", table);
    if (group !== undefined) checkText("group of insert()", group);
    if (batchId !== undefined) checkText("batchId of insert()", batchId);
    this._group = group;
    this._number = native?.startInsert(table) ?? 0;
    // Untraced, too, it names a query.
    this._batchId = native?.insertBatchId(this._number) ?? randomUUID().replaceAll("-", "");
    this._baton = null;
    /** The hops of the records that do not go in, by where those stood. */
    this._hops = new Map();
    if (batchId !== undefined) this.batchId = batchId;
    forgotten?.register(this, [this._number, this._hops]);
  }

  /** The name of the batch, which is that of a query. */
  get batchId() {
    return this._batchId;
  }

  set batchId(batchId) {
    checkText("batchId", batchId);
    if (native !== null) called(() => native.setInsertBatchId(this._number, batchId));
    this._batchId = batchId;
  }

  /** What is current while an attempt goes on; the last one's once the batch has ended. */
  get baton() {
    return (this._baton = native?.insertBaton(this._number) ?? this._baton);
  }

  get traceId() {
    return this.baton?.traceId ?? null;
  }

  /** How many records are in. */
  get length() {
    return native?.insertLength(this._number) ?? 0;
  }

  /** Adds a record; one that was taken out stays out. */
  add(payload) {
    // Mostly none was: then nobody has to know where this one stood.
    if (this._hops.size === 0 || !this._hops.has(placeOf(payload))) addToInsert(this._number, payload, this._group);
  }

  /** Returns the hop of a record that does not go in; it goes on until the batch ends. */
  takeOut(payload) {
    const place = placeOf(payload);
    let hop = this._hops.get(place);
    if (hop === undefined) this._hops.set(place, (hop = takeOutOfInsert(this._number, payload, this._group)));
    return hop;
  }

  /** Says that the table has the batch. */
  passed() {
    native?.insertPassed(this._number);
    this._endOwn();
  }

  /** Says that the batch was given up. */
  failed(error) {
    native?.insertFailed(this._number, ...describeError(error));
    this._endOwn();
  }

  /** Ends the hops of the records that were taken out; what is said of them from now on is too late. */
  _endOwn() {
    endAll([...this._hops.values()]);
    this._hops.clear();
  }

  /** Says that an attempt failed and another will follow. */
  blocked(error) {
    native?.insertBlocked(this._number, ...describeError(error));
  }

  /** @internal Ends it because its function threw: so has failed what was not said to have ended otherwise. */
  abandon(error) {
    native?.insertFailed(this._number, ...describeError(error));
    for (const hop of this._hops.values()) hop.abandon(error);
    this._hops.clear();
  }
}

/** Tells records apart by where they stood. */
function placeOf(payload) {
  const { topic, partition, message } = checkPayload(payload);
  return [topic, partition, message.offset].map(String).join(" ");
}

async function run(table, options, fn) {
  checkFunction("fn", fn);
  const batch = start(table, options);
  try {
    const result = await (native === null ? fn(batch) : withSpan(new AttemptSpan(batch), fn, batch));
    batch.passed();
    return result;
  } catch (error) {
    batch.abandon(error);
    throw error;
  }
}

function start(table, options) {
  return new Insert(table, checkOptions("insert()", options, ["group", "batchId"]));
}

/** Starts a batch for a table, or runs `fn` with one: it has passed once `fn` has returned, and failed where that throws. */
function insert(table, options = {}, fn) {
  if (typeof options === "function") return run(table, {}, options);
  return fn === undefined ? start(table, options) : run(table, options, fn);
}

module.exports = { insert };

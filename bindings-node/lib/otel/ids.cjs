// Ids for the host's SDK.
"use strict";

const { randomBytes } = require("node:crypto");

const { native } = require("../native.cjs");
const { noteSpanId, takeRoot } = require("./span.cjs");

/** The ids of a span that is being started and has them already; and whether they were asked for. */
let given = null;

/**
 * Runs `start`, which starts a span that has ids already; returns what it returns, or null where no generator of ours was asked for
 * them: then the span has others.
 */
function withIds({ traceId, spanId }, start) {
  given = { traceId, spanId, isTaken: false };
  try {
    const span = start();
    return given.isTaken ? span : null;
  } finally {
    given = null;
  }
}

/**
 * An `IdGenerator`: trace ids are UUIDv7 whose right-most 56 bits are random, and a root that is started where a legacy id names
 * the trace gets that trace's id.
 */
class BatonIdGenerator {
  generateTraceId() {
    return given?.traceId ?? takeRoot() ?? native?.newTraceId() ?? randomBytes(16).toString("hex");
  }

  generateSpanId() {
    if (given !== null) {
      given.isTaken = true;
      return given.spanId;
    }
    noteSpanId();
    return native?.newSpanId() ?? randomBytes(8).toString("hex");
  }
}

module.exports = { BatonIdGenerator, withIds };

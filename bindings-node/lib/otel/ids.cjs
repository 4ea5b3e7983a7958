// Ids for the host's SDK.
"use strict";

const { randomBytes } = require("node:crypto");

const { native } = require("../native.cjs");
const { noteSpanId, takeRoot } = require("./span.cjs");

/**
 * An `IdGenerator`: trace ids are UUIDv7 whose right-most 56 bits are random, and a root that is started where a legacy id names
 * the trace gets that trace's id.
 */
class BatonIdGenerator {
  generateTraceId() {
    return takeRoot() ?? native?.newTraceId() ?? randomBytes(16).toString("hex");
  }

  generateSpanId() {
    noteSpanId();
    return native?.newSpanId() ?? randomBytes(8).toString("hex");
  }
}

module.exports = { BatonIdGenerator };

// Batons in and out of headers and payloads.
"use strict";

const { native } = require("./native.cjs");
const { TracebatonError, called, checkText, wrongType } = require("./errors.cjs");
const { findUsual, usual } = require("./usual.cjs");
const { rewrite, toLists, toObject } = require("./headers.cjs");

const NOTHING_REFUSED = Object.freeze([]);
const FROM_TRACEPARENT = Object.freeze({ place: "headers", format: "tracecontext", name: "traceparent", isTrusted: true });

/** What was found where `traceparent` is all there is to say: nothing is made of it before somebody asks. */
class Usual {
  constructor(traceparent) {
    this._traceparent = traceparent;
    this._time = Date.now();
    this._baton = null;
  }

  get traceId() {
    return this._traceparent.slice(3, 35);
  }

  get spanId() {
    return this._traceparent.slice(36, 52);
  }

  get legacyId() {
    return null;
  }

  get baton() {
    return (this._baton ??= native.batonFrom(this._traceparent));
  }

  get source() {
    return FROM_TRACEPARENT;
  }

  get refused() {
    return NOTHING_REFUSED;
  }

  get extractionTime() {
    return new Date(this._time);
  }
}

function describe(extracted) {
  const { baton } = extracted;
  return Object.freeze({
    traceId: baton.traceId,
    spanId: baton.spanId,
    legacyId: baton.legacyId,
    baton,
    source: extracted.source ?? null,
    refused: extracted.refused,
    extractionTime: new Date(extracted.extractionTimeMs),
  });
}

/** What is found where there is no native half. */
const nothing = Object.freeze({
  traceId: null,
  spanId: null,
  legacyId: null,
  baton: null,
  source: null,
  refused: NOTHING_REFUSED,
  extractionTime: new Date(0),
});

function checkFormats(formats) {
  if (!Array.isArray(formats)) throw wrongType("formats", "an array of names", formats);
  for (const format of formats) checkText("a format", format);
}

/** Reads a baton from headers. What is not taken is listed in `refused`. */
function extract(headers, { medium = "kafka", formats } = {}) {
  if (formats === undefined && medium === "kafka" && native !== null && findUsual(headers)) {
    const traceparent = native.fastExtract(usual.traceparent, usual.traceId);
    if (traceparent !== undefined) return new Usual(traceparent);
  }
  checkText("medium", medium);
  if (formats !== undefined) checkFormats(formats);
  const { names, values } = toLists(headers);
  return native === null ? nothing : describe(called(() => native.extract(names, values, medium, formats)));
}

function checkPayload(payload) {
  if (typeof payload === "string" || Buffer.isBuffer(payload)) return;
  throw wrongType("payload", "a Buffer or a string", payload);
}

/** Reads a baton from a JSON payload. */
function extractPayload(payload) {
  checkPayload(payload);
  return native === null ? nothing : describe(native.extractPayload(payload));
}

/** Returns a copy of headers with the baton in them. */
function inject(baton, headers = {}, { medium = "kafka" } = {}) {
  checkText("medium", medium);
  const isNothing = native === null || baton === null;
  if (!isNothing && !(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
  return rewrite(headers, isNothing ? null : (names) => called(() => native.inject(baton, names, medium)));
}

/** Returns a copy of a JSON payload, in the type it came in, with the baton in it. */
function injectPayload(baton, payload) {
  checkPayload(payload);
  if (native === null || baton === null) return Buffer.isBuffer(payload) ? Buffer.from(payload) : payload;
  if (!(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
  let written;
  try {
    written = native.injectPayload(baton, payload);
  } catch (error) {
    throw new TracebatonError("TRACEBATON_PAYLOAD", error.message);
  }
  return Buffer.isBuffer(payload) ? written : written.toString();
}

/** Returns what a fresh carrier gets, as pairs. */
function toFlat(baton, medium) {
  return Object.entries(toObject(called(() => native.headers(baton, medium))));
}

module.exports = { extract, extractPayload, inject, injectPayload, toFlat };

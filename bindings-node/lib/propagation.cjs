// Batons in and out of headers and payloads.
"use strict";

const { AT, keepIds, number, traceparentOf, words } = require("./desk.cjs");
const { native } = require("./native.cjs");
const { TracebatonError, called, checkText, wrongType, wrongValue } = require("./errors.cjs");
const { rewrite, toLists, toObject } = require("./headers.cjs");
const { checkOptions } = require("./options.cjs");
const { configured, toSettings } = require("./settings.cjs");
const { keepShape } = require("./shapes.cjs");
const { layUsual } = require("./usual.cjs");

const { fastExtract } = native ?? {};
const NOTHING_REFUSED = Object.freeze([]);
const FROM_TRACEPARENT = Object.freeze({ place: "headers", format: "tracecontext", name: "traceparent", isTrusted: true });

/** What was found where `traceparent` is all there is to say: nothing is made of it before somebody asks. */
class Usual {
  constructor() {
    keepIds(this);
    this._time = number[0];
    this._baton = null;
  }

  get traceId() {
    return traceparentOf(this).slice(3, 35);
  }

  get spanId() {
    return traceparentOf(this).slice(36, 52);
  }

  get legacyId() {
    return null;
  }

  get baton() {
    return (this._baton ??= native.batonFrom(traceparentOf(this)));
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

keepShape(new Usual());

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

function checkBaton(baton) {
  if (!(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
}

function checkPayload(payload) {
  if (typeof payload === "string" || Buffer.isBuffer(payload)) return;
  throw wrongType("payload", "a Buffer or a string", payload);
}

const MEDIA = ["http", "kafka", "metadata"];

/** Returns what carries the headers, as options say. */
function mediumOf(where, options, otherwise) {
  if (options === undefined) return otherwise;
  const { medium = otherwise } = checkOptions(where, options, ["medium"]);
  if (!MEDIA.includes(checkText(`medium of ${where}`, medium))) throw wrongValue(`medium of ${where} must be http, kafka or metadata`);
  return medium;
}

// What follows takes the rules it goes by: the native half itself, which has the process's, or a `native.Propagation`.

function extractBy(rules, headers, options) {
  const medium = mediumOf("extract()", options, "kafka");
  const { names, values } = toLists(headers);
  return native === null ? nothing : describe(called(() => rules.extract(names, values, medium)));
}

function extractPayloadBy(rules, payload) {
  checkPayload(payload);
  return native === null ? nothing : describe(rules.extractPayload(payload));
}

function injectBy(rules, baton, headers = {}, options = undefined) {
  const medium = mediumOf("inject()", options, "kafka");
  if (native === null || baton === null) return rewrite(headers, null);
  checkBaton(baton);
  return rewrite(headers, (names) => called(() => rules.inject(baton, names, medium)));
}

function injectPayloadBy(rules, baton, payload) {
  checkPayload(payload);
  if (native === null || baton === null) return Buffer.isBuffer(payload) ? Buffer.from(payload) : payload;
  checkBaton(baton);
  let written;
  try {
    written = rules.injectPayload(baton, payload);
  } catch (error) {
    throw new TracebatonError("TRACEBATON_PAYLOAD", error.message);
  }
  return Buffer.isBuffer(payload) ? written : written.toString();
}

/** How batons are read and written. Settings have the keys of the configuration file, as `"extraction.headers"`. */
class Propagation {
  #rules = null;

  constructor(settings = {}) {
    const given = toSettings(settings);
    if (native !== null) this.#rules = configured(() => native.Propagation.of(given.keys, given.values));
  }

  static #of(make) {
    const propagation = new Propagation();
    if (native !== null) propagation.#rules = configured(make);
    return propagation;
  }

  /** Reads the file that TRACEBATON_CONFIG names, and TRACEBATON_TRACING_*. */
  static fromEnv() {
    return Propagation.#of(() => native.Propagation.ofEnv());
  }

  /** Reads a configuration file. */
  static fromYaml(path) {
    checkText("path", path);
    return Propagation.#of(() => native.Propagation.ofYaml(path));
  }

  extract(headers, options) {
    return extractBy(this.#rules, headers, options);
  }

  extractPayload(payload) {
    return extractPayloadBy(this.#rules, payload);
  }

  inject(baton, headers, options) {
    return injectBy(this.#rules, baton, headers, options);
  }

  injectPayload(baton, payload) {
    return injectPayloadBy(this.#rules, baton, payload);
  }
}

/** Reads a baton from headers. What is not taken is listed in `refused`. */
function extract(headers, options) {
  if (mediumOf("extract()", options, "kafka") === "kafka" && native !== null && layUsual(headers, false)) {
    words[AT.isDone] = 0;
    fastExtract();
    if (words[AT.isDone] === 1) return new Usual();
  }
  return extractBy(native, headers, options);
}

/** Reads a baton from a JSON payload. */
function extractPayload(payload) {
  return extractPayloadBy(native, payload);
}

/** Returns a copy of headers with the baton in them. */
function inject(baton, headers, options) {
  return injectBy(native, baton, headers, options);
}

/** Returns a copy of a JSON payload, in the type it came in, with the baton in it. */
function injectPayload(baton, payload) {
  return injectPayloadBy(native, baton, payload);
}

/** Returns how many refusals this process has listed so far, by what was wrong. */
function refusals() {
  return toObject(native?.refusals() ?? []);
}

/** Returns what a fresh carrier gets, as pairs. */
function toFlat(baton, medium) {
  return Object.entries(toObject(called(() => native.headers(baton, medium))));
}

module.exports = { Propagation, extract, extractPayload, inject, injectPayload, mediumOf, refusals, toFlat };

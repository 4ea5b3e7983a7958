// Batons in and out of headers and payloads.
"use strict";

const { native } = require("./native.cjs");
const { TracebatonError, called, checkObject, checkText, wrongType } = require("./errors.cjs");
const { rewrite, toLists, toObject } = require("./headers.cjs");

const nothing = Object.freeze({
  baton: null,
  source: null,
  refused: Object.freeze([]),
  extractionTime: new Date(0),
});

function describe(extracted) {
  return Object.freeze({
    baton: extracted.baton,
    source: extracted.source ?? null,
    refused: extracted.refused,
    extractionTime: new Date(extracted.extractionTimeMs),
  });
}

/** Calls what reads settings: one that cannot be used is no mistake of a type. */
function configured(run) {
  try {
    return run();
  } catch (error) {
    throw new TracebatonError("TRACEBATON_CONFIG", error.message);
  }
}

function checkPayload(payload) {
  if (typeof payload !== "string" && !Buffer.isBuffer(payload)) {
    throw wrongType("payload", "a Buffer or a string", payload);
  }
  return payload;
}

function checkSetting(key, value) {
  const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
  if (!isList && !["boolean", "number", "string"].includes(typeof value)) {
    throw wrongType(key, "a boolean, a number, a string or an array of strings", value);
  }
}

/** How batons are read and written. Settings have the keys of the configuration file, as `"extraction.headers"`. */
class Propagation {
  #native;

  constructor(settings = {}) {
    checkObject("settings", settings);
    if (native !== null && settings instanceof native.Propagation) {
      this.#native = settings;
      return;
    }
    const entries = Object.entries(settings).filter(([, value]) => value !== undefined);
    for (const [key, value] of entries) checkSetting(key, value);
    if (native === null) return;
    const [keys, values] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
    this.#native = configured(() => native.Propagation.of(keys, values));
  }

  static #of(make) {
    return native === null ? new Propagation() : new Propagation(configured(make));
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

  /** Takes what the process uses. @internal */
  static ofProcess() {
    return Propagation.#of(() => native.Propagation.ofProcess());
  }

  extract(headers, { medium = "kafka" } = {}) {
    checkText("medium", medium);
    const { names, values } = toLists(headers);
    return native === null ? nothing : describe(called(() => this.#native.extract(names, values, medium)));
  }

  extractPayload(payload) {
    checkPayload(payload);
    return native === null ? nothing : describe(this.#native.extractPayload(payload));
  }

  inject(baton, headers = {}, { medium = "kafka" } = {}) {
    checkText("medium", medium);
    const isNothing = native === null || baton === null;
    if (!isNothing && !(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
    return rewrite(headers, isNothing ? null : (names) => called(() => this.#native.inject(baton, names, medium)));
  }

  injectPayload(baton, payload) {
    checkPayload(payload);
    if (native === null || baton === null) return Buffer.from(payload);
    if (!(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
    try {
      return this.#native.injectPayload(baton, payload);
    } catch (error) {
      throw new TracebatonError("TRACEBATON_PAYLOAD", error.message);
    }
  }
}

/** Reads a baton from headers. What is not taken is listed in `refused`. */
function extract(headers, options) {
  return Propagation.ofProcess().extract(headers, options);
}

/** Reads a baton from a JSON payload. */
function extractPayload(payload) {
  return Propagation.ofProcess().extractPayload(payload);
}

/** Returns a copy of headers with the baton in them. */
function inject(baton, headers, options) {
  return Propagation.ofProcess().inject(baton, headers, options);
}

/** Returns a copy of a JSON object with the baton in it. */
function injectPayload(baton, payload) {
  return Propagation.ofProcess().injectPayload(baton, payload);
}

/** Returns what a fresh carrier gets, as pairs. */
function toFlat(baton, medium) {
  return Object.entries(toObject(called(() => native.headers(baton, medium))));
}

module.exports = { Propagation, extract, extractPayload, inject, injectPayload, toFlat };

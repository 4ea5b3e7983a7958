// Batons in and out of headers and payloads.
"use strict";

const { native } = require("./native.cjs");
const { toLists, toObject, wrongType } = require("./headers.cjs");

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

/** Reads a baton from headers. What is not taken is listed in `refused`. */
function extract(headers, { medium = "kafka", formats } = {}) {
  const { names, values } = toLists(headers);
  return native === null ? nothing : describe(native.extract(names, values, medium, formats));
}

/** Reads a baton from a JSON payload. */
function extractPayload(payload) {
  if (typeof payload !== "string" && !Buffer.isBuffer(payload)) {
    throw wrongType("payload", "a Buffer or a string", payload);
  }
  return native === null ? nothing : describe(native.extractPayload(payload));
}

/** Returns a copy of headers with the baton in them. */
function inject(baton, headers = {}, { medium = "kafka" } = {}) {
  const own = headers instanceof Map ? Object.fromEntries(headers) : { ...headers };
  if (native === null || baton === null) return own;
  const flat = native.inject(baton, [], [], medium);
  const added = toObject(flat);
  const lower = new Set(Object.keys(added).map((name) => name.toLowerCase()));
  const isOld = (name) => (medium === "http" ? lower.has(name.toLowerCase()) : name in added);
  const kept = Object.entries(own).filter(([name]) => !isOld(name));
  return { ...Object.fromEntries(kept), ...added };
}

module.exports = { extract, extractPayload, inject };

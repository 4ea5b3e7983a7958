// Batons in and out of headers and payloads.
"use strict";

const { native } = require("./native.cjs");
const { called, checkText, wrongType } = require("./errors.cjs");
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

function checkFormats(formats) {
  if (!Array.isArray(formats)) throw wrongType("formats", "an array of names", formats);
  for (const format of formats) checkText("a format", format);
}

/** Reads a baton from headers. What is not taken is listed in `refused`. */
function extract(headers, { medium = "kafka", formats } = {}) {
  checkText("medium", medium);
  if (formats !== undefined) checkFormats(formats);
  const { names, values } = toLists(headers);
  return native === null ? nothing : describe(called(() => native.extract(names, values, medium, formats)));
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
  checkText("medium", medium);
  const isNothing = native === null || baton === null;
  if (!isNothing && !(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
  return rewrite(headers, isNothing ? null : (names) => called(() => native.inject(baton, names, medium)));
}

/** Returns what a fresh carrier gets, as pairs. */
function toFlat(baton, medium) {
  return Object.entries(toObject(called(() => native.headers(baton, medium))));
}

module.exports = { extract, extractPayload, inject, toFlat };

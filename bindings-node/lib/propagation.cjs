// Batons in and out of headers and payloads.
"use strict";

const { native } = require("./native.cjs");
const { called, checkText, wrongType } = require("./errors.cjs");
const { toLists, toName, toObject } = require("./headers.cjs");

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

/** Makes headers of the same shape as `like` out of pairs. */
function reshape(pairs, like) {
  if (Array.isArray(like)) return pairs;
  return like instanceof Map ? new Map(pairs) : Object.fromEntries(pairs);
}

function toPairs(headers) {
  if (typeof headers !== "object" || headers === null) throw wrongType("headers", "an object, a list of pairs or a Map", headers);
  if (headers instanceof Map) return [...headers];
  if (!Array.isArray(headers)) return Object.entries(headers);
  for (const pair of headers) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrongType("a header", "a [name, value] pair", pair);
  }
  return [...headers];
}

/** Returns a copy of headers, in the shape they came in, with the baton in them. */
function inject(baton, headers = {}, { medium = "kafka" } = {}) {
  const pairs = toPairs(headers);
  checkText("medium", medium);
  if (native === null || baton === null) return reshape(pairs, headers);
  if (!(baton instanceof native.Baton)) throw wrongType("baton", "a baton or null", baton);
  const names = pairs.map(([name]) => toName(name));
  const { kept, added } = called(() => native.inject(baton, names, medium));
  const left = kept.map((at) => pairs[at]);
  return reshape([...left, ...Object.entries(toObject(added))], headers);
}

module.exports = { extract, extractPayload, inject };

// What must hold of the entry points whatever bytes come in, in whatever shape: what a peer sent throws nothing, a wrong type
// throws a TypeError of ours, a payload that takes no baton a TracebatonError.
import assert from "node:assert/strict";

import { Propagation, TracebatonError, extract, extractPayload, inject, injectPayload } from "../index.mjs";

const MEDIA = ["http", "kafka", "metadata"];
const FORMATS = ["tracecontext", "baggage", "legacy", "b3", "b3multi", "jaeger", "xray", "gcp", "datadog"];
// In the order of the core's targets, so that their corpus means the same here.
const NAMES = [
  "traceparent", "tracestate", "baggage", "trace_id", "x-trace-id", "X-Trace-Id", "x-span-id", "x-baggage-a", "X-Baggage-B",
  "x-baggage-", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id", "uberctx-a", "uberctx-B",
  "uberctx-\u00e9", "x-amzn-trace-id", "x-cloud-trace-context", "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-tags",
  "x-datadog-sampling-priority", "Traceparent", "traceparent ", "x-baggage-a b", "", "\u0000",
];
const WRONG = [7, true, Symbol("s"), {}, 7n, () => {}, new Date(0), new Uint16Array(2)];

const ours = { extract, inject, extractPayload, injectPayload };
const all = new Propagation({ read: FORMATS, write: FORMATS });

/** The kinds of value that a header may have; the last is none. */
function toValue(kind, bytes) {
  switch (kind) {
    case 0:
    case 1:
      return bytes;
    case 2:
      return bytes.toString("latin1");
    case 3:
      return bytes.toString("utf8");
    case 4:
      return bytes.toString("utf16le"); // lone surrogates, too
    case 5:
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    case 6:
      return bytes.length % 2 === 0 ? null : undefined;
    default:
      return [bytes, bytes.toString("latin1"), null];
  }
}

/** Reads pairs: a byte for the name, one for the length, and the value; a name of 240 or more is the value itself. */
function toPairs(kinds, data) {
  const pairs = [];
  for (let at = 0; at + 1 < data.length; ) {
    const [name, length] = [data[at], data[at + 1]];
    const bytes = data.subarray(at + 2, at + 2 + length);
    const known = name < 240 ? NAMES[name % NAMES.length] : toValue((kinds >> 3) % 5, bytes);
    const value = length === 255 ? null : toValue((kinds + pairs.length) & 7, bytes);
    pairs.push([known, value]);
    at += 2 + length;
  }
  return pairs;
}

const toText = ([name, value]) => [String(name), value];
/** The shapes in which headers come; those that `inject` has no shape for are refused by it. */
const SHAPES = [
  { make: (pairs) => Object.fromEntries(pairs.map(toText)), isWritten: true },
  { make: (pairs) => pairs, isWritten: true },
  { make: (pairs) => new Map(pairs), isWritten: true },
  { make: (pairs) => pairs.map((pair) => Object.fromEntries([toText(pair)])), isWritten: true },
  { make: (pairs) => pairs.values(), isWritten: false },
];

function isMistake(error) {
  return error instanceof TypeError && /^TRACEBATON_WRONG_(TYPE|VALUE)$/.test(error.code);
}

/** Looks at all there is, since much of it is made only then. */
function look(found) {
  const { baton } = found;
  assert.ok(found.refused.length <= 64);
  assert.ok(baton.traceId === found.traceId && baton.legacyId === found.legacyId);
  assert.ok(found.source !== null || found.traceId === null);
}

/** Headers: read, written and read again in one of the shapes. */
export function checkHeaders(data) {
  const [which = 0, kinds = 0, faults = 0] = data;
  const rules = which & 8 ? all : ours;
  const options = { medium: MEDIA[which % 3] };
  const shape = SHAPES[(which >> 4) % SHAPES.length];
  const pairs = toPairs(kinds, data.subarray(3));
  const found = rules.extract(shape.make(pairs), options);
  look(found);
  if (shape.isWritten) {
    const out = rules.inject(found.baton, shape.make(pairs), options);
    assert.equal(rules.extract(out, options).baton.traceparent, found.baton.traceparent);
  } else {
    assert.throws(() => rules.inject(found.baton, shape.make(pairs), options), isMistake);
  }
  if (faults % 16 === 15 && pairs.length > 0) checkFaults(rules, shape, pairs, faults >> 4);
}

/** One value of a wrong type among the rest. */
function checkFaults(rules, shape, pairs, at) {
  const wrong = WRONG[at % WRONG.length];
  const name = pairs[at % pairs.length][0];
  // Every header is looked at, whether anybody reads it or not.
  for (const medium of MEDIA) assert.throws(() => rules.extract(shape.make([...pairs, [name, wrong]]), { medium }), isMistake);
  assert.throws(() => rules.extract([...pairs, [wrong, "x"]]), isMistake);
  assert.throws(() => rules.extract(pairs, { medium: wrong }), isMistake);
  assert.throws(() => rules.inject(wrong, {}), isMistake);
  assert.throws(() => rules.extractPayload(wrong), isMistake);
  assert.throws(() => rules.injectPayload(null, wrong), isMistake);
}

/** A payload: read, and written in the type that it has. */
export function checkPayload(data) {
  const [which = 0] = data;
  const rules = which & 4 ? all : ours;
  const bytes = data.subarray(1);
  const payload = (which & 3) < 2 ? bytes : bytes.toString((which & 3) === 2 ? "latin1" : "utf8");
  const found = rules.extractPayload(payload);
  look(found);
  let out;
  try {
    out = rules.injectPayload(found.baton, payload);
  } catch (error) {
    assert.ok(error instanceof TracebatonError && error.code === "TRACEBATON_PAYLOAD", error);
    return;
  }
  assert.equal(typeof out, typeof payload);
  look(rules.extractPayload(out));
}

// Runs the committed vectors, and every file named in TRACEBATON_VECTORS.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Propagation } from "../index.mjs";

const isDeepEqual = (a, b) => {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
};

function outcome(format, headers) {
  const { baton } = new Propagation({ read: [format] }).extract(headers, { medium: "http" });
  const baggage = baton.baggage.map((entry) => [entry.key, entry.value, entry.properties ?? null]);
  return {
    valid: format.endsWith("baggage") ? baggage.length > 0 : baton.traceId !== null,
    trace_id: baton.traceId,
    span_id: baton.spanId,
    flags: baton.flags,
    tracestate: baton.tracestate,
    baggage,
    debug: baton.isDebug,
    deferred: baton.isDeferred,
  };
}

// The outcomes that are right; none where a row leaves it open and does not say what is ours.
function allowed(row) {
  const expected = row.spec_expected ?? row.expected;
  if (row.ours !== undefined) return [row.ours === "expected" ? expected : row.ours];
  if (row.verdict === "open" || row.level === "MAY" || row.level === "undefined") return [];
  // That peer's own test contradicts the standard, and nothing is said of what would be right.
  if (row.verdict === "contrary" && row.spec_expected === undefined) return [];
  return [expected, ...(row.also_ok ?? [])];
}

function passes(row) {
  if ("raw" in row) {
    const { baton } = new Propagation({ read: ["legacy"] }).extract([["trace_id", row.raw]]);
    return baton.traceId === row.trace_id;
  }
  const actual = outcome(row.format, row.headers);
  const right = allowed(row);
  const agrees = (expected) => Object.entries(expected).every(([key, want]) => want === null || isDeepEqual(actual[key], want));
  return right.length === 0 || right.some(agrees);
}

const total = { passed: 0, run: 0 };
after(() => console.log(`vectors: ${total.passed}/${total.run}`));

function run(path) {
  const rows = readFileSync(path, "utf8").split("\n").filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
  const failed = rows.filter((row) => !passes(row)).map((row) => row.id ?? row.raw);
  total.passed += rows.length - failed.length;
  total.run += rows.length;
  console.log(`${path}: ${rows.length - failed.length} of ${rows.length} passed`, failed);
  assert.deepEqual(failed, []);
  return rows.length;
}

for (const [name, count] of [["peers", 297], ["probes", 78], ["legacy_map", 25]]) {
  test(`every vector of ${name} passes`, () => {
    const path = fileURLToPath(new URL(`../../tests/vectors/${name}.jsonl`, import.meta.url));
    assert.equal(run(path), count, "the committed file has changed");
  });
}

for (const path of (process.env.TRACEBATON_VECTORS ?? "").split(":").filter(Boolean)) {
  test(`every vector of ${path} passes`, () => assert.ok(run(path) > 0));
}

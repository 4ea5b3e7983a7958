// Rules of one's own: the keys and the errors of the configuration file.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Propagation, TracebatonError, extract, extractPayload, injectPayload, process, refusals } from "../index.mjs";

test("settings in code say what is read, written and trusted", () => {
  const propagation = new Propagation({ read: ["legacy"], write: ["b3"], trust: "restart", "extraction.headers": ["X-Request-Id"] });
  const { baton, source } = propagation.extract({ "x-request-id": "0af7651916cd43dd8448eb211c80319c" }, { medium: "http" });
  assert.deepEqual([source.name, source.isTrusted], ["x-request-id", false]);
  const b3 = new Propagation({ read: ["b3"], write: ["b3"] });
  const value = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
  assert.deepEqual(b3.inject(b3.extract({ b3: value }).baton, {}), { b3: value });
  assert.notEqual(baton.traceId, "0af7651916cd43dd8448eb211c80319c");
});

test("a payload takes a baton and gives it back", () => {
  const { baton } = extractPayload('{"trace_id":"order-1234"}');
  const job = injectPayload(baton, '{"job":1.0}');
  assert.equal(job.toString(), '{"tracing":{"trace_id":"order-1234"},"job":1.0}');
  assert.equal(extractPayload(job).baton.legacyId, "order-1234");
  assert.throws(() => injectPayload(baton, "[]"), { code: "TRACEBATON_PAYLOAD" });
});

test("a file is read, and what is wrong in it is told with its line", () => {
  const folder = mkdtempSync(join(tmpdir(), "tracebaton-"));
  try {
    const path = join(folder, "baton.yaml");
    writeFileSync(path, "tracing:\n  trust: maybe\n");
    assert.throws(() => Propagation.fromYaml(path), (error) => error instanceof TracebatonError && error.message.includes("baton.yaml:2"));
    writeFileSync(path, "tracing:\n  read: [b3]\n");
    const { baton } = Propagation.fromYaml(path).extract({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
    assert.equal(baton.traceId, null);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what cannot be used is an error that names it", () => {
  assert.throws(() => new Propagation({ "no.such.key": "x" }), { code: "TRACEBATON_CONFIG", message: /no\.such\.key/ });
  assert.throws(() => new Propagation({ trust: "maybe" }), { code: "TRACEBATON_CONFIG", message: /^trust: / });
  for (const settings of [7, "text", null, [], { read: 7n }, { read: [7] }, { trust: {} }]) {
    assert.throws(() => new Propagation(settings), { name: "TypeError", code: "TRACEBATON_WRONG_TYPE" });
  }
});

test("refusals are counted by what was wrong, of messages too", async () => {
  const { zero_id: before = 0 } = refusals();
  const headers = { traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` };
  assert.deepEqual(extract(headers).refused, [{ name: "traceparent", kind: "zero_id" }]);
  await process({ topic: "t", partition: 0, offset: 1, headers }, () => {});
  new Propagation().extract(headers);
  assert.equal(refusals().zero_id, before + 3);
  for (const [kind, count] of Object.entries(refusals())) assert.ok(/^[a-z_]+$/.test(kind) && count > 0, kind);
});

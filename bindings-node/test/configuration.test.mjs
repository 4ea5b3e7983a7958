// Settings of the environment and of a file: the core's, with the core's errors.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { extract, extractPayload, init, injectPayload } from "../index.mjs";

const index = fileURLToPath(new URL("../index.cjs", import.meta.url));
const byEnvironment = `
  const { extract, extractPayload, init } = require(${JSON.stringify(index)});
  init("t");
  const { baton, source } = extract({ "x-request-id": "order-1234" });
  const payload = extractPayload('{"meta":{"id":"order-1"}}');
  console.log(source?.isTrusted, baton?.legacyId, payload.source?.name);
  process.exit();
`;

const run = (variables, code = byEnvironment) => spawnSync(process.execPath, ["-e", code], {
  env: { ...process.env, OTEL_SDK_DISABLED: "true", ...variables },
  encoding: "utf8",
  timeout: 60_000,
});

test("the environment goes over the file that it names", () => {
  const folder = mkdtempSync(join(tmpdir(), "tracebaton-"));
  const path = join(folder, "baton.yaml");
  writeFileSync(path, [
    "tracing:",
    "  trust: restart",
    "  extraction:",
    "    headers: [X-Request-Id]",
    "    payload_fields: [meta.id]",
  ].join("\n"));
  try {
    const ran = run({ TRACEBATON_CONFIG: path, TRACEBATON_TRACING_TRUST: "continue" });
    assert.equal(ran.stdout, "true order-1234 meta.id\n", ran.stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a mistake is told with its place", () => {
  const ran = run({ TRACEBATON_TRACING_EXTRACTION_HEADER: "X-Request-Id" });
  assert.notEqual(ran.status, 0);
  assert.match(ran.stderr, /TRACEBATON_TRACING_EXTRACTION_HEADER: extraction_header: there is no such key/);
});

test("settings in code go over those of the environment", () => {
  const ran = run({ TRACEBATON_TRACING_TRUST: "ignore" }, `
    const { extract, init } = require(${JSON.stringify(index)});
    try {
      init({ settings: { "extraction.header": ["X"] } });
    } catch (error) {
      console.log(error.code, error.message.split(":")[0]);
    }
    init({ settings: { trust: "restart", "extraction.headers": ["X-Request-Id"], sample_rate: 0.5, enabled: true } });
    console.log(extract({ "x-request-id": "order-1234" }).source?.isTrusted);
    process.exit();
  `);
  assert.equal(ran.stdout, "TRACEBATON_CONFIG extraction.header\nfalse\n", ran.stderr);
});

test("a setting of a wrong type is a TypeError that names its key", () => {
  for (const settings of [{ trust: null }, { read: [1] }, { "extraction.headers": {} }, { trust: 1n }]) {
    assert.throws(() => init({ settings }), { name: "TypeError", message: /^settings\["(trust|read|extraction.headers)"\] must be / });
  }
  assert.throws(() => init({ settings: [] }), { name: "TypeError", message: "settings must be an object, not an array" });
});

test("a payload can carry a baton", () => {
  const { baton } = extract({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
  const job = injectPayload(baton, '{"n":1.50}');
  assert.match(job, /^\{"tracing":\{"traceparent":"00-0af7.*\},"n":1\.50\}$/);
  assert.equal(extractPayload(Buffer.from(job)).baton.traceparent, baton.traceparent);
  assert.equal(injectPayload(baton, Buffer.from('{"n":1.50}')).toString(), job);
  assert.equal(injectPayload(null, "{}"), "{}");
  assert.throws(() => injectPayload(baton, "[1]"), { name: "TracebatonError", code: "TRACEBATON_PAYLOAD" });
  assert.throws(() => injectPayload({}, "{}"), { name: "TypeError" });
  assert.throws(() => injectPayload(baton, {}), { name: "TypeError" });
});

// Settings of the environment and of a file: the core's, with the core's errors.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { extract, extractPayload, init, injectPayload } from "../index.mjs";
import { listen } from "./support/otlp.mjs";

const index = fileURLToPath(new URL("../index.cjs", import.meta.url));
const byEnvironment = `
  const { extract, extractPayload, init } = require(${JSON.stringify(index)});
  init({ serviceName: "t" });
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

test("messages go by the settings, also those that came before others were set", () => {
  const ran = run({}, `
    const { init, process: traced } = require(${JSON.stringify(index)});
    const id = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: Buffer.from("00-" + id + "-b7ad6b7169203331-01"), "my-id": Buffer.from("order-1") };
    const tell = (hop) => console.log(hop.traceId === id, hop.legacyId, Object.keys(hop.output("out").headers).sort().join());
    const handle = () => traced({ topic: "in", partition: 0, message: { offset: "1", headers } }, tell);
    handle().then(() => {
      init({ settings: { write: ["b3"], "extraction.headers": ["my-id"] } });
      return handle();
    }).then(() => process.exit());
  `);
  assert.equal(ran.stdout, "true null trace_id,traceparent\ntrue order-1 b3\n", ran.stderr);
});

test("a trace that is begun anew is linked to the one that came in", async () => {
  const endpoint = await listen();
  const child = spawn(process.execPath, ["-e", `
    const { init, process: traced, shutdown } = require(${JSON.stringify(index)});
    init({ settings: { trust: "restart" } });
    const message = (headers) => ({ topic: "in", partition: 0, message: { offset: "1", headers } });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    traced(message({ traceparent }), () => {})
      .then(() => traced(message([["traceparent", traceparent]]), () => {}))
      .then(() => shutdown());
  `], { env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url }, stdio: "inherit" });
  await once(child, "close");
  endpoint.close();
  const { spans } = endpoint.kept;
  assert.equal(spans.length, 2);
  for (const { traceId, links } of spans) {
    assert.notEqual(traceId, "0af7651916cd43dd8448eb211c80319c");
    assert.deepEqual(links, [{ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }]);
  }
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

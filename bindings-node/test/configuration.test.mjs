// Settings of the environment and of a file: the core's, with the core's errors.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const index = fileURLToPath(new URL("../index.cjs", import.meta.url));
const code = `
  const { extract, extractPayload, init } = require(${JSON.stringify(index)});
  init("t");
  const { baton, source } = extract({ "x-request-id": "order-1234" });
  const payload = extractPayload('{"meta":{"id":"order-1"}}');
  console.log(source?.isTrusted, baton?.legacyId, payload.source?.name);
  process.exit();
`;

const run = (variables) => spawnSync(process.execPath, ["-e", code], {
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

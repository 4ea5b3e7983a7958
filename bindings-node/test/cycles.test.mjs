// Starting and ending, a thousand times over: nothing piles up, nothing hangs, nothing crashes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { listen } from "./support/otlp.mjs";

const script = fileURLToPath(new URL("support/endurance.mjs", import.meta.url));

/** Runs one of the endurance runs against an endpoint of its own; returns what it printed, and how many events arrived. */
async function endure(...args) {
  const endpoint = await listen();
  try {
    const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url };
    const child = spawn(process.execPath, ["--expose-gc", script, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => { stdout += text; });
    const [code, signal] = await once(child, "close");
    assert.deepEqual([code, signal], [0, null], stdout);
    return { ...JSON.parse(stdout.trim().split("\n").at(-1)), ledger: endpoint.kept.ledger.length };
  } finally {
    endpoint.close();
  }
}

test("a thousand cycles of init and shutdown leave no threads, no files and no memory behind", { timeout: 120_000 }, async () => {
  const { grownMiB, threads, files, ledger } = await endure("cycles", "1000");
  assert.equal(ledger, 2 * 1000);
  assert.ok(grownMiB < 16, `${grownMiB} MiB`);
  assert.deepEqual([threads, files], [0, 0]);
});

test("worker threads that come and go leave nothing behind and lose nothing", { timeout: 120_000 }, async () => {
  const { grownMiB, threads, ledger } = await endure("workers", "60");
  assert.equal(ledger, 2 * 60);
  assert.ok(grownMiB < 48, `${grownMiB} MiB`);
  assert.equal(threads, 0);
});

// What the README shows runs, and does what it says.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { listen } from "./support/otlp.mjs";

const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
const index = JSON.stringify(new URL("../index.mjs", import.meta.url).href);

// What the examples take as given: a consumer that has read one message, and a producer.
const given = `
  const value = Buffer.from("{}");
  const headers = { traceparent: Buffer.from("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") };
  const consumer = { run: ({ eachMessage }) => eachMessage({ topic: "orders", partition: 0, message: { offset: "7", value, headers } }) };
  const producer = { send: async ({ topic }) => [{ topicName: topic, partition: 0, errorCode: 0, baseOffset: "3" }] };`;

/** Runs a program; returns its lines and what came to the endpoint. */
async function run(program) {
  const endpoint = await listen();
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (part) => { stdout += part; });
  const [code] = await once(child, "close");
  endpoint.close();
  assert.equal(code, 0);
  return { lines: stdout.trim().split("\n").map((line) => JSON.parse(line)), ...endpoint.kept };
}

test("the one example is that of a message", async () => {
  assert.equal(examples.length, 1, "a further example needs a test of its own");
  const { lines, ledger, resource } = await run(given + examples[0].replace('"tracebaton"', index));
  assert.deepEqual(lines.map((line) => [line.message, line.trace_id]), [["made an invoice", "0af7651916cd43dd8448eb211c80319c"]]);
  const told = ledger.map(({ attributes }) => [attributes["tracebaton.hop.kind"], attributes["tracebaton.hop.name"], attributes["tracebaton.records.passed"]]);
  assert.deepEqual(told, [["process", "orders", 1], ["send", "invoices", 1]]);
  assert.equal(ledger[0].attributes["messaging.consumer.group.name"], "billing");
  assert.equal(resource["service.name"], "billing");
});

test("every name that the README calls is there", async () => {
  const names = Object.keys(await import("../index.mjs"));
  const called = [...text.matchAll(/`(?:new )?([A-Za-z]+)\(/g)].map(([, name]) => name);
  const others = ["pino"];
  assert.deepEqual([...new Set(called)].filter((name) => !names.includes(name) && !others.includes(name)), []);
});

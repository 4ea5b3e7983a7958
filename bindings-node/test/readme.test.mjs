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

// What the examples take as given: a consumer that has read some messages, a producer, and ClickHouse's client.
const given = `
  const value = Buffer.from("{}");
  const headers = { traceparent: Buffer.from("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") };
  const at = (offset, value) => ({ offset, value, headers });
  const messages = [at("7", value), at("8", value), at("9", Buffer.from("no JSON"))];
  const consumer = { run: ({ eachMessage, eachBatch }) => eachMessage === undefined
    ? eachBatch({ batch: { topic: "orders", partition: 0, messages } })
    : eachMessage({ topic: "orders", partition: 0, message: messages[0] }) };
  const producer = { send: async ({ topic, messages }) => {
    if (!messages.every(({ value, headers }) => Buffer.isBuffer(value) || headers.traceparent !== undefined)) throw new Error("no message");
    return [{ topicName: topic, partition: 0, errorCode: 0, baseOffset: "3" }];
  } };
  const client = { insert: async ({ values, query_id }) => console.log(JSON.stringify({ values, query_id })) };`;
const imports = `import { eachBatch, init, insert } from ${index}; init({ serviceName: "billing" });`;

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
  return { lines: stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line)), ...endpoint.kept };
}

const told = (ledger, fate) => ledger.filter(({ attributes }) => attributes[`tracebaton.records.${fate}`] !== undefined)
  .map(({ attributes }) => [attributes["tracebaton.hop.kind"], attributes["tracebaton.hop.name"], attributes[`tracebaton.records.${fate}`]]);

test("every example has a test", () => assert.equal(examples.length, 3));

test("the example of a batch sends what was made of each message", async () => {
  const { ledger, spans } = await run(imports + given + examples[1]);
  assert.deepEqual(told(ledger, "passed").sort(), [...Array(3).fill(["process", "orders", 1]), ...Array(3).fill(["send", "invoices", 1])]);
  assert.deepEqual(ledger.map(({ attributes }) => attributes["tracebaton.outputs.unconfirmed"]), Array(6).fill(undefined));
  const sent = spans.filter(({ name }) => name === "send invoices");
  assert.deepEqual(sent.map(({ attributes }) => attributes["messaging.kafka.offset"]).sort(), [3, 4, 5]);
});

test("the example of a table inserts what can be read, and the rest goes to the dead letters", async () => {
  const { lines, ledger } = await run(imports + given + examples[2]);
  assert.deepEqual(lines.map(({ values }) => values), [[{}, {}]]);
  assert.deepEqual(told(ledger, "passed").sort(), [["insert", "raw_events", 2], ["send", "raw_events.dlq", 1]]);
  assert.deepEqual(told(ledger, "dead_lettered"), [["insert", "raw_events", 1]]);
  const inserts = ledger.filter(({ attributes }) => attributes["tracebaton.hop.kind"] === "insert");
  assert.deepEqual(inserts.map(({ attributes }) => attributes["tracebaton.batch.id"]), Array(2).fill(lines[0].query_id));
});

test("the example of a message", async () => {
  const { lines, ledger, resource } = await run(given + examples[0].replace('"tracebaton"', index));
  assert.deepEqual(lines.map((line) => [line.message, line.trace_id]), [["made an invoice", "0af7651916cd43dd8448eb211c80319c"]]);
  assert.deepEqual(told(ledger, "passed"), [["process", "orders", 1], ["send", "invoices", 1]]);
  assert.equal(ledger[0].attributes["messaging.consumer.group.name"], "billing");
  assert.equal(resource["service.name"], "billing");
});

test("every name that the README calls is there", async () => {
  const names = Object.keys(await import("../index.mjs"));
  const called = [...text.matchAll(/`(?:new )?([A-Za-z]+)\(/g)].map(([, name]) => name);
  const others = ["pino"];
  assert.deepEqual([...new Set(called)].filter((name) => !names.includes(name) && !others.includes(name)), []);
});

// More hops than there are numbers for, all open: a file of its own, because they stay until the process ends.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import * as tracebaton from "../index.mjs";
import { recorded } from "./support/otlp.mjs";

const { startAt } = createRequire(import.meta.url)("../lib/message.cjs");
const payload = (offset) => ({ topic: "raw", partition: 0, message: { offset } });

test("beyond a million open hops nothing is told wrongly, and that is said once", async () => {
  const warnings = [];
  process.on("warning", ({ code }) => warnings.push(code));
  for (let n = 0; n < 1 << 20; n += 1) startAt("open", 0, { offset: n }, undefined);
  const error = new Error("mine");
  const { ledger } = await recorded(tracebaton, async () => {
    await assert.rejects(tracebaton.process(payload(1), () => { throw error; }), error);
    await tracebaton.process(payload(2), (hop) => {
      assert.equal(hop.traceId, null);
      hop.filtered("a test");
    });
    const messages = [3, 4].map((offset) => ({ offset }));
    await tracebaton.eachBatch(async (_, batch) => {
      await batch.together(() => {});
      await assert.rejects(batch.process(messages[1], () => { throw error; }), error);
    })({ batch: { topic: "raw", partition: 0, messages } });
  });
  const known = ["passed", "filtered", "failed", "dead_lettered"].map((fate) => `tracebaton.records.${fate}`);
  for (const { attributes } of ledger) for (const fate of known) assert.equal(attributes[fate], undefined);
  assert.deepEqual(ledger.map(({ attributes }) => attributes["tracebaton.records.in"]).sort(), [1, 1, 1, 2]);
  assert.deepEqual(warnings.filter((code) => code.startsWith("TRACEBATON")), ["TRACEBATON_TOO_MANY_HOPS"]);
});

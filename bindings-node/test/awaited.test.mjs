// Hops that wait for word of their outputs after their work is over: what may still be said of them, and what not.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as tracebaton from "../index.mjs";
import { recorded } from "./support/otlp.mjs";

const { eachBatch, flush, process } = tracebaton;
const payload = { topic: "raw", partition: 0, message: { offset: "1" } };
const place = { topic: "out", partition: 1, offset: 5 };

/** What the ledger says, by the kind of hop: fates and counts. */
function told(ledger) {
  return ledger.map(({ attributes }) => {
    const kept = Object.entries(attributes).filter(([key]) => /^tracebaton\.(records|outputs|hop\.kind|reason)|error\.type/.test(key));
    return Object.fromEntries(kept.map(([key, value]) => [key.split(".").at(-1), value]));
  });
}

const own = (fate, counts = { emitted: 1 }) => ({ kind: "process", in: 1, ...fate, ...counts });
const sent = { kind: "send", in: 1, passed: 1, emitted: 1 };

test("a hop whose work is over hears of its awaited outputs and of nothing else", async () => {
  let [hop, onDelivery] = [];
  const { ledger } = await recorded(tracebaton, async () => {
    await process(payload, (mine) => { [hop, onDelivery] = [mine, mine.output("out").onDelivery]; });
    hop.set("late", 1);
    hop.failed(new Error("late"));
    hop.filtered("late");
    assert.deepEqual(hop.output("late").headers, {});
    hop.deadLetter("late.dlq", new Error("late")).delivered(place);
    hop.end();
    onDelivery(null, place);
  });
  assert.deepEqual(told(ledger), [own({ passed: 1 }), sent]);
});

test("a hop that has failed is told at once, and what it sent when that is known", async () => {
  let onDelivery;
  const error = new RangeError("mine");
  const { ledger } = await recorded(tracebaton, async (kept) => {
    await assert.rejects(process(payload, (hop) => { ({ onDelivery } = hop.output("out")); throw error; }), error);
    await flush();
    assert.deepEqual(told(kept.ledger).map(({ in: count, failed }) => [count, failed]), [[1, 1]]);
    onDelivery(null, place);
  });
  assert.deepEqual(told(ledger)[1], sent);
  assert.equal(ledger.length, 2);
});

test("a batch that throws fails what it did not send, and waits for what its client will report", async () => {
  const messages = [1, 2, 3].map((offset) => ({ offset }));
  let reports;
  const handle = eachBatch(async (_, batch) => {
    const take = (hop) => hop.output("out").onDelivery;
    reports = await Promise.all(messages.slice(0, 2).map((message) => batch.process(message, take)));
    await batch.process(messages[2], (hop) => void hop.output("out"));
    throw new RangeError("mine");
  });
  const { ledger } = await recorded(tracebaton, async (kept) => {
    await assert.rejects(handle({ batch: { topic: "raw", partition: 0, messages } }), /mine/);
    await flush();
    const [{ failed, type }] = told(kept.ledger);
    assert.deepEqual([kept.ledger[0].attributes["messaging.kafka.offset"], failed, type], [3, 1, "RangeError"]);
    reports[0](null, place);
    reports[1](new TypeError("too large"));
  });
  const fates = ledger.filter(({ attributes }) => attributes["tracebaton.hop.kind"] === "process").map(({ attributes }) => [
    attributes["messaging.kafka.offset"], attributes["tracebaton.records.passed"], attributes["error.type"],
  ]);
  assert.deepEqual(fates, [[3, undefined, "RangeError"], [1, 1, undefined], [2, undefined, "TypeError"]]);
});

test("outputs that nobody will report do not wait for those that are awaited", async () => {
  let [silent, onDelivery] = [];
  const { ledger } = await recorded(tracebaton, async () => {
    await process(payload, (hop) => {
      silent = hop.output("silent");
      ({ onDelivery } = hop.output("out"));
    });
    silent.delivered(place);
    onDelivery(null, place);
  });
  assert.deepEqual(told(ledger), [own({ passed: 1 }, { emitted: 2, unconfirmed: 1 }), sent]);
});

test("a hop that has heard of its last output makes room for another", async () => {
  const places = new Set();
  for (let n = 0; n < 5_000; n += 1) {
    let onDelivery;
    await process(payload, (hop) => {
      // The lower bits of its number say where it is kept.
      places.add(hop.number & ((1 << 20) - 1));
      ({ onDelivery } = hop.output("out"));
    });
    onDelivery(null, place);
  }
  assert.ok(places.size < 2_000, `${places.size} places`);
});

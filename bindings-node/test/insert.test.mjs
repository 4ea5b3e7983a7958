// Batches on their way into a table, and what the ledger says of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { context, trace } from "@opentelemetry/api";

import * as tracebaton from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { recorded } from "./support/otlp.mjs";

const { BatonContextManager, Logger, currentHop, flush, insert, logIds, process } = tracebaton;
const payload = (offset, headers, partition = 0) => ({ topic: "orders", partition, message: { offset: String(offset), headers } });
const options = { group: "sink" };

/** What the ledger says of the records, with where they stood. */
function told(ledger) {
  return ledger.map(({ attributes }) => {
    const kept = Object.entries(attributes).filter(([key]) => /^tracebaton\.(records|reason|attempt)|error\.type|offset|partition/.test(key));
    return Object.fromEntries(kept.map(([key, value]) => [key.replace(/^(tracebaton|messaging\.kafka|messaging\.destination)\.(records\.)?/, ""), value]));
  });
}

test("a record that was taken out stays out, has one hop, and has failed if nothing is said of it", async () => {
  const { ledger } = await recorded(tracebaton, async () => {
    await insert("raw_events", options, (batch) => {
      batch.add(payload(1));
      const hop = batch.takeOut(payload(2));
      assert.equal(batch.takeOut(payload(2)), hop);
      batch.add(payload(2));
      assert.equal(batch.length, 1);
      hop.filtered("a test order");
      batch.takeOut({ topic: "orders", partition: 0, offset: 3 });
    });
  });
  const fates = told(ledger).map(({ offset, ...rest }) => [offset, ["passed", "filtered", "failed"].find((fate) => rest[fate] === 1)]);
  assert.deepEqual(fates.sort(), [[1, "passed"], [2, "filtered"], [3, "failed"]]);
});

test("a batch passes when its function has returned: one event a partition, with every record's trace", async () => {
  let query;
  const { spans, ledger, report } = await recorded(tracebaton, async () => {
    const result = await insert("raw_events", options, async (batch) => {
      for (let offset = 0; offset < 3; offset += 1) batch.add(payload(offset, { traceparent }));
      batch.add({ topic: "orders", partition: 1, offset: 7n, headers: [{ traceparent: Buffer.from(traceparent) }] });
      assert.equal(batch.length, 4);
      await null;
      query = batch.batchId;
      return 7;
    });
    assert.equal(result, 7);
  });
  assert.match(query, /^[0-9a-f]{32}$/);
  assert.deepEqual(told(ledger), [
    { in: 3, passed: 3, offset: 0, "offset.last": 2, "partition.id": "0" },
    { in: 1, passed: 1, offset: 7, "partition.id": "1" },
  ]);
  for (const { attributes } of ledger) {
    assert.deepEqual([attributes["tracebaton.hop.kind"], attributes["tracebaton.hop.name"]], ["insert", "raw_events"]);
    assert.deepEqual([attributes["tracebaton.batch.id"], attributes["messaging.consumer.group.name"]], [query, "sink"]);
  }
  assert.equal(ledger[0].attributes["tracebaton.batch.traces"].toString("hex"), traceId.repeat(3));
  const [{ name, attributes, links }] = spans;
  assert.deepEqual([name, attributes["tracebaton.batch.id"], attributes["db.operation.batch.size"]], ["INSERT raw_events", query, 4]);
  assert.deepEqual(links.map((link) => link.traceId), Array(4).fill(traceId));
  assert.deepEqual(report.exported, { spans: 1, logs: 0, ledger: 2 });
});

test("what the function throws is thrown again, and the batch has failed", async () => {
  for (const error of [new RangeError("no such column"), undefined, "text", Object.create(null)]) {
    const { ledger, spans } = await recorded(tracebaton, () =>
      assert.rejects(
        insert("raw_events", (batch) => {
          batch.add(payload(1));
          throw error;
        }),
        (thrown) => thrown === error,
      ),
    );
    assert.equal(ledger[0].attributes["tracebaton.records.failed"], 1);
    assert.equal(ledger[0].attributes["error.type"], error instanceof Error ? "RangeError" : typeof error);
    assert.equal(spans[0].status.code, 2);
  }
});

test("a record that is taken out has a hop of its own, which ends with the batch", async () => {
  const { ledger, spans } = await recorded(tracebaton, () =>
    insert("raw_events", options, async (batch) => {
      for (let offset = 0; offset < 4; offset += 1) batch.add(payload(offset));
      batch.takeOut(payload(1, { traceparent })).filtered("a test order");
      batch.takeOut(payload(2)).failed(new TypeError("no date"));
      const output = batch.takeOut(payload(9, { traceparent })).deadLetter("orders.dlq", new SyntaxError("no JSON"));
      output.delivered({ partition: 0, offset: 3 });
      assert.equal(batch.length, 2);
    }),
  );
  const inserts = ledger.filter(({ attributes }) => attributes["tracebaton.hop.kind"] === "insert");
  assert.deepEqual(told(inserts), [
    { in: 2, passed: 2, offset: 0, "offset.last": 3, "partition.id": "0" },
    { in: 1, filtered: 1, reason: "a test order", offset: 1, "partition.id": "0" },
    { in: 1, failed: 1, reason: "no date", "error.type": "TypeError", offset: 2, "partition.id": "0" },
    { in: 1, dead_lettered: 1, emitted: 1, reason: "no JSON", "error.type": "SyntaxError", offset: 9, "partition.id": "0" },
  ]);
  assert.equal(new Set(inserts.map(({ attributes }) => attributes["tracebaton.batch.id"])).size, 1);
  assert.deepEqual([inserts[1].traceId, inserts[3].traceId], [traceId, traceId]);
  assert.ok(spans.some(({ name, traceId: id }) => name === "send orders.dlq" && id === traceId));
});

test("what was taken out and not dealt with when the function throws has failed with it", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    assert.rejects(
      insert("raw_events", options, (batch) => {
        batch.add(payload(1));
        batch.takeOut(payload(2)).filtered("a test order");
        batch.takeOut(payload(3));
        throw new Error("down");
      }),
    ),
  );
  const fates = told(ledger).map(({ offset, failed, filtered }) => [offset, failed ?? 0, filtered ?? 0]);
  assert.deepEqual(fates, [[1, 1, 0], [2, 0, 1], [3, 1, 0]]);
});

test("without a function the batch is told when somebody says what became of it, and once", async () => {
  const { ledger, spans } = await recorded(tracebaton, () => {
    const batch = insert("raw_events", options);
    batch.batchId = "orders-0-1";
    batch.add(payload(1));
    batch.blocked(new Error("no server"));
    batch.passed();
    batch.failed(new Error("too late"));
    batch.blocked(new Error("too late"));
    assert.throws(() => batch.add(payload(2)), { name: "TypeError", code: "TRACEBATON_WRONG_VALUE", message: "the batch has ended" });
    assert.throws(() => batch.takeOut(payload(2)), { code: "TRACEBATON_WRONG_VALUE", message: "the batch has ended" });
    assert.throws(() => { batch.batchId = "late"; }, { code: "TRACEBATON_WRONG_VALUE", message: "the batch has ended" });
    assert.deepEqual([batch.batchId, batch.length], ["orders-0-1", 0]);
    const other = insert("raw_events");
    other.add({ ...payload(5), group: "other" });
    other.failed("refused");
    insert("raw_events").passed();
  });
  assert.deepEqual(told(ledger), [
    { in: 1, reason: "no server", "error.type": "Error", offset: 1, "partition.id": "0" },
    { in: 1, passed: 1, attempt: 2, offset: 1, "partition.id": "0" },
    { in: 1, failed: 1, reason: "refused", "error.type": "string", offset: 5, "partition.id": "0" },
  ]);
  assert.deepEqual(ledger.map(({ attributes }) => attributes["tracebaton.batch.id"]).slice(0, 2), ["orders-0-1", "orders-0-1"]);
  assert.equal(ledger[2].attributes["messaging.consumer.group.name"], "other");
  assert.equal(spans.length, 3);
});

test("of a batch that has ended nothing more is heard of those that were taken out either", async () => {
  const ends = [(batch) => batch.passed(), (batch) => batch.failed("refused")];
  const { ledger } = await recorded(tracebaton, async () => {
    const takeOut = (batch) => batch.takeOut(payload(3)).filtered("a test order");
    const over = ends.map((end) => {
      const batch = insert("raw_events", options);
      takeOut(batch);
      end(batch);
      return batch;
    });
    await assert.rejects(insert("raw_events", options, (batch) => { over.push(batch); takeOut(batch); throw new Error("mine"); }), /mine/);
    for (const batch of over) {
      assert.throws(() => batch.add(payload(3)), { message: "the batch has ended" });
      assert.throws(() => batch.takeOut(payload(3)), { message: "the batch has ended" });
    }
  });
  assert.deepEqual(told(ledger).map(({ filtered }) => filtered), [1, 1, 1]);
});

test("log lines of the function and the host's spans are below the attempt that goes on", async () => {
  const { spans, logs } = await recorded(tracebaton, () =>
    process(payload(0), (hop) =>
      insert("raw_events", options, async (batch) => {
        batch.add(payload(1));
        const log = new Logger();
        await null;
        assert.deepEqual(logIds(), { trace_id: batch.traceId, span_id: batch.baton.spanId });
        assert.equal(currentHop(), hop);
        log.info("first");
        batch.blocked(new Error("no server"));
        log.info("second");
      }),
    ),
  );
  const attempts = spans.filter(({ name }) => name === "INSERT raw_events");
  assert.deepEqual(logs.map(({ spanId }) => spanId), attempts.map(({ spanId }) => spanId));
  assert.equal(new Set(attempts.map(({ traceId: id }) => id)).size, 1);
  context.setGlobalContextManager(new BatonContextManager());
  try {
    await insert("raw_events", (batch) => assert.equal(trace.getActiveSpan().spanContext().spanId, batch.baton.spanId));
  } finally {
    context.disable();
  }
});

test("headers of any shape are read, and a peer's mistakes stop no sink", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    insert("raw_events", options, (batch) => {
      batch.add(payload(1, { traceparent, tracestate: "vendor=1", b3: "0" }));
      batch.add(payload(2, { traceparent: 7, get trace_id() { throw new Error("a getter's"); } }));
      batch.add(payload("9007199254740993", new Map([["trace_id", Buffer.from(traceId)]])));
    }),
  );
  assert.equal(ledger[0].attributes["tracebaton.batch.traces"].toString("hex"), traceId + "0".repeat(32) + traceId);
});

test("a batch that nobody holds any more is pending with what was taken out, while the process goes on", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const { ledger } = await recorded(tracebaton, async (kept) => {
    (() => {
      const batch = insert("raw_events", options);
      batch.add(payload(1));
      batch.takeOut(payload(2));
      batch.takeOut(payload(3)).filtered("a test order");
    })();
    for (let n = 0; n < 5; n += 1) {
      await pause(10);
      collect();
    }
    await flush();
    assert.equal(kept.ledger.length, 3);
    const ended = insert("raw_events", options);
    ended.add(payload(4));
    ended.passed();
  });
  const fates = told(ledger).map(({ offset, in: count, passed, filtered, failed }) => [offset, count, passed ?? filtered ?? failed]);
  assert.deepEqual(fates.sort(), [[1, 1, undefined], [2, 1, undefined], [3, 1, 1], [4, 1, 1]]);
});

test("of more batches than can be open the oldest is pending", async () => {
  const { ledger } = await recorded(tracebaton, () => {
    const batches = Array.from({ length: (1 << 12) + 2 }, () => insert("raw_events"));
    batches[1].passed();
    const late = insert("raw_events");
    late.add(payload(1));
    for (let n = 0; n < 1 << 12; n += 1) batches.push(insert("raw_events"));
    late.passed();
    for (const batch of batches) batch.passed();
  });
  assert.deepEqual(told(ledger), [{ in: 1, offset: 1, "partition.id": "0" }]);
});

test("a caller's mistakes are told, by a promise where one is returned", async () => {
  const wrongType = { name: "TypeError", code: "TRACEBATON_WRONG_TYPE" };
  assert.throws(() => insert(7), wrongType);
  assert.throws(() => insert("raw_events", null), wrongType);
  assert.throws(() => insert("raw_events", { group: 7 }), wrongType);
  await assert.rejects(insert(7, () => {}), wrongType);
  await assert.rejects(insert("raw_events", options, 7), wrongType);
  await assert.rejects(insert("raw_events", null, () => {}), wrongType);
  const batch = insert("raw_events");
  for (const wrong of [null, 7, {}, { topic: "orders" }, { ...payload(1), topic: 7 }, { ...payload(1), group: 7 }, payload(1.5)]) {
    assert.throws(() => batch.add(wrong), TypeError);
    assert.throws(() => batch.takeOut(wrong), TypeError);
  }
  assert.throws(() => { batch.batchId = 7; }, wrongType);
  batch.passed();
});

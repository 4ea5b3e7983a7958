// Hops in JavaScript: their context, their errors, and what they refuse.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { currentHop, extract, inject, process } from "../index.mjs";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const payload = (offset, headers) => ({
  topic: "raw",
  partition: 0,
  group: "test",
  message: { offset: String(offset), headers },
});

test("outputs carry the trace and a span of their own", async () => {
  await process(payload(1, { traceparent: Buffer.from(traceparent) }), (hop) => {
    assert.equal(hop.traceId, traceId);
    const [first, second] = [hop.output("out"), hop.output("out")];
    assert.match(first.headers.traceparent, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    assert.notEqual(first.headers.traceparent, second.headers.traceparent);
    assert.equal(first.headers.trace_id, traceId);
  });
});

test("an opaque id is handed on unchanged", async () => {
  await process(payload(1, { trace_id: "order-1234" }), (hop) => {
    assert.equal(hop.legacyId, "order-1234");
    assert.equal(hop.output("out").headers.trace_id, "order-1234");
  });
});

test("a hundred concurrent promises keep their hops apart", async () => {
  const run = (n) =>
    process(payload(n, { trace_id: `order-${n}` }), async (hop) => {
      for (let turn = 0; turn < 5; turn += 1) {
        await sleep(Math.random() * 5);
        assert.equal(currentHop(), hop);
        assert.equal(currentHop().legacyId, `order-${n}`);
      }
      return n;
    });
  const done = await Promise.all(Array.from({ length: 100 }, (_, n) => run(n)));
  assert.deepEqual(done, Array.from({ length: 100 }, (_, n) => n));
  assert.equal(currentHop(), null);
});

test("what the function throws is thrown unchanged", async () => {
  const mine = new RangeError("mine");
  await assert.rejects(process(payload(1), () => { throw mine; }), (error) => error === mine);
  await assert.rejects(process(payload(1), async () => { throw null; }), (error) => error === null);
});

test("a dead letter says what went wrong", async () => {
  await process(payload(1, { traceparent }), (hop) => {
    const { headers } = hop.deadLetter("raw.dlq", new RangeError("bad\r\nvalue"));
    assert.equal(headers["tracebaton-error-type"], "RangeError");
    assert.equal(headers["tracebaton-error-message"], "bad  value");
    assert.ok(headers.traceparent.includes(traceId));
  });
});

test("what a peer sends never throws", () => {
  const odd = [null, undefined, "", "\u0000", "\ud800", Buffer.from([0xff]), Buffer.alloc(1 << 20, 65), []];
  for (const value of odd) {
    for (const name of ["traceparent", "trace_id", "tracestate", "baggage", "x-baggage-", "\ud800", "b3"]) {
      extract({ [name]: value });
      extract([[name, Array.isArray(value) ? null : value], [name, "x"]], { medium: "http" });
    }
  }
});

test("a programmer's mistake is a TypeError with a code", () => {
  for (const headers of [7, "text", [["a"]], [7], { a: 7 }, { a: {} }]) {
    assert.throws(() => extract(headers), { name: "TypeError", code: "TRACEBATON_WRONG_TYPE" });
  }
});

test("injecting replaces what stood there", () => {
  const { baton } = extract({ traceparent });
  const headers = inject(baton, { trace_id: "old", keep: "1" });
  assert.deepEqual(headers, { keep: "1", traceparent, trace_id: traceId });
  const http = inject(baton, { TraceParent: "old" }, { medium: "http" });
  assert.deepEqual(http, { traceparent, "X-Trace-Id": traceId });
});

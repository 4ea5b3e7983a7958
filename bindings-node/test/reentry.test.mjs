// Objects with code of their own for headers: it may call this package again, and throw; user code sees nothing of either.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Propagation, consume, currentHop, eachBatch, extract, process } from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";

const other = "00-11111111111111111111111111111111-2222222222222222-01";
const payload = (headers, offset = "1") => ({ topic: "raw", partition: 0, message: { offset, headers } });
const read = () => extract({ traceparent: other, trace_id: other.slice(3, 35) });
const handle = () => void process(payload({ traceparent: other }), () => {});

/** Headers in every shape; the code runs between the `traceparent` and what comes after it. */
const shapes = (run) => {
  const after = { get trace_id() { return run(), traceId; } };
  return {
    "a getter": { traceparent, get trace_id() { return run(), traceId; } },
    "a getter of a header that nobody reads": { traceparent, get other() { return run(), "x"; }, trace_id: traceId },
    "a proxy": new Proxy({ traceparent, trace_id: traceId }, { get: (target, key) => (key === "trace_id" && run(), target[key]) }),
    "a proxy that is asked for its names": new Proxy({ traceparent }, { ownKeys: (target) => (run(), Reflect.ownKeys(target)) }),
    "a list of objects": [{ traceparent }, after],
    "a list of pairs": [["traceparent", traceparent], Object.defineProperty(["trace_id", null], 1, { get: () => (run(), traceId), enumerable: true })],
    "bytes with a length of their own": { traceparent, trace_id: Object.defineProperty(Buffer.from(traceId), "length", { get: () => (run(), 32) }) },
    "a map that is somebody's own": new (class extends Map {
      *[Symbol.iterator]() {
        yield ["traceparent", traceparent];
        run();
        yield ["trace_id", traceId];
      }
    })(),
  };
};

for (const [what, run] of Object.entries({ extracts: read, "handles a message": handle })) {
  for (const [shape, headers] of Object.entries(shapes(run))) {
    test(`${shape} that ${what} meanwhile mixes nothing up`, async () => {
      const found = extract(headers);
      assert.equal(found.baton.traceparent, traceparent);
      assert.deepEqual(found.refused, []);
      await process(payload(headers), (hop) => assert.equal(hop.traceId, traceId));
      for await (const _ of consume([payload(headers)])) assert.equal(currentHop().traceId, traceId);
      const message = { offset: "1", headers };
      await eachBatch((_, batch) => assert.equal(batch.hop(message).traceId, traceId))({ batch: { topic: "raw", partition: 0, messages: [message] } });
    });
  }
}

test("an offset with code of its own is a mistake, and changes nothing of the next message", async () => {
  for (const offset of [{ valueOf: () => (handle(), 1) }, Symbol("s"), {}, []]) {
    await assert.rejects(process(payload({ traceparent }, offset), () => {}), { code: "TRACEBATON_WRONG_TYPE" });
  }
  await process(payload({ traceparent }), (hop) => assert.equal(hop.traceId, traceId));
});

const fails = () => { throw new Error("a getter's own"); };
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const detached = (kind) => {
  const bytes = kind === Buffer ? Buffer.from(new ArrayBuffer(55)) : new Uint8Array(55);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
};

const unreadable = {
  "a detached Buffer": { value: detached(Buffer) },
  "a detached Uint8Array": { value: detached(Uint8Array) },
  "a revoked proxy": { value: revoked() },
  "a proxy of bytes": { value: new Proxy(Buffer.from("x"), {}) },
  "a proxy that throws": { value: new Proxy({}, { get: fails, getPrototypeOf: fails, has: fails }) },
  "an array that throws": { value: Object.defineProperty([], 0, { get: fails, enumerable: true }) },
  "an array with a filter that lies": { value: Object.assign(["x"], { filter: () => [7] }) },
  "no array but a prototype": { value: Object.create(Uint8Array.prototype) },
};

for (const [what, { value }] of Object.entries(unreadable)) {
  test(`${what} for a received header is passed over, and the others count`, async () => {
    for (const name of ["trace_id", "baggage", "other"]) {
      const rest = ["traceparent", Buffer.from(traceparent)];
      for (const headers of [{ [name]: value, [rest[0]]: rest[1] }, [[name, value], rest], [{ [name]: value }, rest], [value, rest], new Map([[name, value], rest])]) {
        await process(payload(headers), (hop) => assert.equal(hop.traceId, traceId));
      }
    }
  });

  test(`${what} for all received headers is no header`, async () => {
    await process(payload(value), (hop) => assert.ok(hop.traceId));
  });
}

test("a received header whose getter throws is not there, and the others are", async () => {
  const headers = Object.defineProperty({ traceparent }, "baggage", { get: fails, enumerable: true });
  await process(payload(headers), (hop) => assert.equal(hop.traceId, traceId));
  const pairs = { *[Symbol.iterator]() { yield ["traceparent", traceparent]; fails(); } };
  await process(payload(pairs), (hop) => assert.equal(hop.traceId, traceId));
});

// kafkajs sends `Object.keys(headers)`, and makes plain objects of what it has read.
test("headers are an object's own: what it inherits is none, on the short way and the long one", async () => {
  const general = new Propagation();
  const inherits = (own) => Object.assign(Object.create({ traceparent: other }), own);
  for (const [own, wanted] of [[{}, null], [{ "content-type": "x" }, null], [{ traceparent }, traceId], [{ baggage: "a=1" }, null]]) {
    for (const headers of [inherits(own), [inherits(own)]]) {
      assert.equal(extract(headers).traceId, wanted);
      assert.equal(general.extract(headers).traceId, wanted);
      await process(payload(headers), (hop) => assert.equal(hop.traceId === traceId, wanted !== null));
      await process(payload(headers), (hop) => assert.notEqual(hop.traceId, other.slice(3, 35)));
    }
  }
  assert.equal(extract({ __proto__: null, traceparent }).traceId, traceId);
  const hidden = Object.defineProperty({}, "traceparent", { value: traceparent });
  for (const rules of [{ extract }, general]) assert.equal(rules.extract(hidden).traceId, null);
});

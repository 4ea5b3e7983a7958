// The conversion layer under arbitrary headers: same answer for every shape, nothing thrown, nothing lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { Propagation, extract, extractPayload, inject } from "../index.mjs";
import * as any from "./support/arbitrary.mjs";

const medium = fc.constantFrom("http", "kafka", "metadata");
const runs = { numRuns: 500 };

/** Everything an extraction says, but when. */
function said({ baton, source, refused }) {
  const { traceId, spanId, flags, tracestate, baggage, legacyId, isDebug, isDeferred } = baton;
  return { traceId, spanId, flags, tracestate, baggage, legacyId, isDebug, isDeferred, source, refused };
}

test("every shape of the same headers gives the same answer", () => {
  fc.assert(
    fc.property(any.distinct, medium, (pairs, medium) => {
      const shapes = [
        pairs,
        new Map(pairs),
        Object.fromEntries(pairs),
        pairs.map((pair) => Object.fromEntries([pair])),
        pairs.map(([name, value]) => [Buffer.from(name), typeof value === "string" ? Buffer.from(value) : value]),
        Object.fromEntries(pairs.map(([name, value]) => [name, [value]])),
      ];
      // Integer-like names change their place in an object; none of ours is one.
      const [first, ...others] = shapes.map((shape) => said(extract(shape, { medium })));
      for (const other of others) assert.deepEqual(other, first);
    }),
    runs,
  );
});

test("the shortcuts for usual messages say what the general way says, duplicates and all", () => {
  // It has no shortcuts.
  const general = new Propagation();
  const usual = fc.tuple(fc.constantFrom("traceparent", "trace_id", "other"), fc.oneof(any.value, fc.constantFrom(any.traceparent, any.traceId)));
  fc.assert(
    fc.property(fc.array(fc.oneof(usual, any.pairs.map((pairs) => pairs[0] ?? ["a", "b"])), { maxLength: 6 }), (pairs) => {
      const buffers = pairs.map(([name, value]) => [name, typeof value === "string" ? Buffer.from(value) : value]);
      for (const list of [pairs, buffers]) {
        const objects = list.map(([name, value]) => ({ [String(name)]: value }));
        for (const shape of [list, objects, new Map(list), new Map(list.map(([name, value]) => [Buffer.from(name), value])), Object.fromEntries(list)]) {
          assert.deepEqual(said(extract(shape)), said(general.extract(shape)));
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test("duplicates mean the same as pairs and as an array of values", () => {
  fc.assert(
    fc.property(any.name, fc.array(any.value, { minLength: 1, maxLength: 4 }), medium, (name, values, medium) => {
      const pairs = values.map((value) => [name, value]);
      assert.deepEqual(said(extract(pairs, { medium })), said(extract({ __proto__: null, [name]: values }, { medium })));
    }),
    runs,
  );
});

test("whatever comes, extract returns and what it says has its form", () => {
  fc.assert(
    fc.property(any.pairs, medium, (pairs, medium) => {
      const { baton, refused, source } = extract(pairs, { medium });
      if (baton.traceId !== null) assert.match(baton.traceId, /^(?!0{32})[0-9a-f]{32}$/);
      if (baton.spanId !== null) assert.match(baton.spanId, /^(?!0{16})[0-9a-f]{16}$/);
      if (baton.legacyId !== null) assert.match(baton.legacyId, /^[A-Za-z0-9._~:+/=@|-]{1,128}$/);
      assert.equal(source === null, baton.traceId === null);
      for (const { name, kind } of refused) assert.ok(typeof name === "string" && /^[a-z_]+$/.test(kind));
    }),
    runs,
  );
});

test("what was injected is extracted again, and injecting again changes nothing", () => {
  fc.assert(
    fc.property(any.pairs, any.distinct, medium, (incoming, outgoing, medium) => {
      const { baton } = extract(incoming, { medium });
      const once = inject(baton, outgoing, { medium });
      assert.deepEqual(inject(baton, once, { medium }), once);
      if (baton.spanId === null) return;
      const again = extract(once, { medium }).baton;
      assert.equal(again.traceId, baton.traceId);
      assert.equal(again.spanId, baton.spanId);
      assert.equal(again.tracestate, baton.tracestate);
    }),
    runs,
  );
});

test("injecting leaves every other header alone, in the shape it came in", () => {
  const ours = new Set(["traceparent", "tracestate", "baggage", "trace_id", "x-trace-id", "x-span-id"]);
  const isOther = ([name]) => !ours.has(name.toLowerCase());
  fc.assert(
    fc.property(any.distinct, medium, (outgoing, medium) => {
      const { baton } = extract({ traceparent: any.traceparent });
      const others = outgoing.filter(isOther);
      assert.deepEqual(inject(baton, outgoing, { medium }).filter(isOther), others);
      assert.deepEqual([...inject(baton, new Map(outgoing), { medium })].filter(isOther), others);
      const object = inject(baton, Object.fromEntries(outgoing), { medium });
      assert.deepEqual(Object.fromEntries(Object.entries(object).filter(isOther)), Object.fromEntries(others));
    }),
    runs,
  );
});

test("headers of fetch stay such, and what only iterates is told instead of being left out", () => {
  const { baton } = extract({ traceparent: any.traceparent });
  const like = new Headers([["keep", "1"], ["set-cookie", "a"], ["set-cookie", "b"], ["traceparent", "old"]]);
  for (const written of [inject(baton, like, { medium: "http" }), inject(null, like)]) {
    assert.ok(written instanceof Headers && written !== like);
    assert.deepEqual([written.get("keep"), written.getSetCookie()], ["1", ["a", "b"]]);
  }
  assert.equal(inject(baton, like, { medium: "http" }).get("traceparent"), any.traceparent);
  for (const other of [new URLSearchParams("a=b"), [["a", "b"]].values(), new Set([["a", "b"]])]) {
    for (const carried of [baton, null]) assert.throws(() => inject(carried, other), { name: "TypeError", message: /^headers must be an object, .* or Headers/ });
  }
});

test("every traceparent comes out in the one form there is, whichever way it was read", () => {
  const id = `${any.traceId}-b7ad6b7169203331`;
  for (const [came, goes] of [
    [`00-${id}-00`, "00"], [`00-${id}-01`, "01"], [`00-${id}-02`, "02"], [`00-${id}-03`, "03"], [`00-${id}-ff`, "03"], [`00-${id}-04`, "00"],
    [`01-${id}-01`, "01"], [`cc-${id}-03-what-is-to-come`, "03"], [` 00-${id}-01 `, "01"],
  ]) {
    for (const value of [came, Buffer.from(came)]) {
      for (const headers of [{ traceparent: value }, [["traceparent", value]], { traceparent: value, trace_id: any.traceId }]) {
        assert.equal(extract(headers).baton.traceparent, `00-${id}-${goes}`, came);
      }
    }
  }
});

test("a stale state does not stay beside a new trace", () => {
  const { baton } = extract({ traceparent: any.traceparent });
  const headers = inject(baton, { tracestate: "old=1", baggage: "old=1" });
  assert.deepEqual(Object.keys(headers).sort(), ["trace_id", "traceparent"]);
});

test("a value of a wrong type is a TypeError that names no value", () => {
  fc.assert(
    fc.property(any.name, any.wrongValue, (name, value) => {
      const isRefused = (error) => error instanceof TypeError && error.code === "TRACEBATON_WRONG_TYPE";
      assert.throws(() => extract([[name, value]]), isRefused);
      // Of several values, functions and objects are not the caller's: kafkajs makes them of a name like `constructor`.
      if (!["function", "object"].includes(typeof value)) assert.throws(() => extract(new Map([[name, [value]]])), isRefused);
      if (typeof value !== "object") assert.throws(() => extract(value), isRefused);
    }),
    runs,
  );
});

test("a payload is read as text and as bytes, whatever is in it", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), any.text, any.text.map((text) => JSON.stringify({ trace_id: text }))), (payload) => {
      const well = payload.toWellFormed?.() ?? Buffer.from(payload).toString();
      assert.deepEqual(said(extractPayload(Buffer.from(well))), said(extractPayload(well)));
    }),
    runs,
  );
});

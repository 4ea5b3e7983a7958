// Input that is out of all proportion, and input of the wrong kind.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Logger, consume, currentHop, eachBatch, eachMessage, extract, extractPayload, init, inject, process } from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";

const nasty = {
  nul: "\u0000",
  esc: "\u001b]0;title\u0007",
  crlf: "a\r\nSet-Cookie: x=1",
  "lone surrogate": "\ud800",
  "invalid UTF-8": Buffer.from([0xff, 0xfe]),
  "a megabyte": Buffer.alloc(1 << 20, "a"),
  "a megabyte of commas": ",".repeat(1 << 20),
  "a megabyte of members": "a=1,".repeat(1 << 18),
  "a megabyte of nul": Buffer.alloc(1 << 20),
};
const names = ["traceparent", "tracestate", "baggage", "trace_id", "x-trace-id", "x-span-id", "x-baggage-a", "b3", "uber-trace-id", "x-amzn-trace-id"];

for (const [what, value] of Object.entries(nasty)) {
  test(`${what} as a value is refused or cleaned, never echoed`, () => {
    for (const name of names) {
      for (const medium of ["http", "kafka", "metadata"]) {
        const { baton, refused } = extract([["traceparent", traceparent], [name, value]], { medium });
        const out = inject(baton, {}, { medium });
        for (const written of Object.values(out)) {
          assert.match(written, /^[\x20-\x7e]*$/, `${name} in ${medium}`);
          assert.ok(written.length <= 8192, `${name} in ${medium}`);
        }
        // A refusal names the header and the kind; nothing of the value.
        for (const { name: known } of refused) assert.ok(known.length < 64);
      }
    }
  });

  test(`${what} as a name is another header`, () => {
    const name = typeof value === "string" ? value : value.toString("latin1");
    assert.equal(extract([[name, "x"]]).baton.traceId, null);
    assert.equal(inject(extract({ traceparent }).baton, { [name]: "x" })[name], "x");
  });

  test(`${what} as a payload is read or not, without a word`, () => {
    assert.equal(extractPayload(value).baton.traceId, null);
  });
}

test("ten thousand headers are read, the last of a name counts", () => {
  const many = Array.from({ length: 10_000 }, (_, at) => [`h${at % 100}`, `${at}`]);
  assert.equal(extract([...many, ["traceparent", traceparent], ...many]).baton.flags, 1);
  const repeated = Array.from({ length: 10_000 }, (_, at) => ["trace_id", `order-${at}`]);
  assert.equal(extract(repeated).baton.legacyId, "order-9999");
  assert.deepEqual(extract(repeated, { medium: "http" }).refused, [{ name: "trace_id", kind: "duplicate" }]);
});

/** What kafkajs makes of a record's headers: it does not ask whether what it finds of a name is its own. */
const asKafkajs = (pairs) => pairs.reduce((known, [name, value]) => {
  const old = known[name];
  return { ...known, [name]: old === undefined ? value : Array.isArray(old) ? old.concat([value]) : [old, value] };
}, {});

test("headers named like properties of every object stop no consumer, and the context beside them counts", async () => {
  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    const headers = asKafkajs([[name, Buffer.from("x")], ["traceparent", Buffer.from(traceparent)], ["baggage", Buffer.from("a=1")]]);
    const message = { offset: "1", headers };
    const payload = { topic: "t", partition: 0, message };
    const check = (hop) => assert.equal(hop.traceId, traceId, name);
    assert.equal(extract(headers).traceId, traceId, name);
    await process(payload, check);
    await eachMessage((_, hop) => check(hop))(payload);
    await eachBatch((_, batch) => check(batch.hop(message)))({ batch: { topic: "t", partition: 0, messages: [message] } });
    for await (const _ of consume([payload])) check(currentHop());
    await process(payload, (hop) => {
      for (const copied of [hop.output("out", headers).headers, inject(hop.baton, headers)]) {
        const [sent] = [Object.getOwnPropertyDescriptor(copied, name).value].flat();
        assert.deepEqual(sent, Buffer.from("x"), name);
      }
    });
  }
});

test("of an incoming message's headers only texts and bytes count", async () => {
  const beside = [["traceparent", traceparent]];
  for (const one of [7, true, {}, [["b"]], () => {}, Symbol("s"), [7, {}, () => {}]]) {
    for (const headers of [{ trace_id: one, ...Object.fromEntries(beside) }, [["baggage", one], ...beside], new Map([["baggage", one], ...beside]), [one, ...beside]]) {
      await process({ topic: "t", partition: 0, message: { offset: "1", headers } }, (hop) => assert.equal(hop.traceId, traceId));
    }
    if (!Array.isArray(one)) await process({ topic: "t", partition: 0, message: { offset: "1", headers: one } }, (hop) => assert.ok(hop.traceId));
  }
});

test("a header of a wrong type is a mistake whether anybody reads it or not, in every shape", () => {
  const wrong = { name: "TypeError", code: "TRACEBATON_WRONG_TYPE" };
  for (const one of [7, 7n, true, {}, () => {}, Symbol("s"), [7], ["b", 7n]]) {
    for (const name of ["a", "traceparent", "trace_id", "baggage"]) {
      const pairs = [["traceparent", Buffer.from(traceparent)], ["content-type", "text/plain"], [name, one]];
      for (const headers of [Object.fromEntries(pairs), pairs, new Map(pairs), { [name]: one, ...Object.fromEntries(pairs) }]) {
        for (const medium of ["http", "kafka", "metadata"]) assert.throws(() => extract(headers, { medium }), wrong, `${name} in ${medium}`);
      }
    }
  }
  // What can be sent is no mistake.
  for (const one of ["text", Buffer.from("b"), new Uint8Array(2), null, undefined, [], ["a", Buffer.from("b"), null]]) {
    assert.equal(extract({ traceparent, a: one }).traceId, traceId);
  }
});

test("a programmer's mistake is a TypeError with a code", async () => {
  const wrong = { name: "TypeError", code: /^TRACEBATON_WRONG_(TYPE|VALUE)$/ };
  for (const headers of [7, "text", true, Symbol("s"), [["a"]], [["a", "b", "c"]], [7], { a: 7 }, { a: {} }, { a: [7] }]) {
    assert.throws(() => extract(headers), wrong);
  }
  for (const payload of [undefined, null, 7, {}, []]) assert.throws(() => extractPayload(payload), wrong);
  for (const headers of [null, 7, "text", [7]]) assert.throws(() => inject(null, headers), wrong);
  for (const baton of [undefined, 7, {}, "text"]) assert.throws(() => inject(baton, {}), wrong);
  for (const options of [{ medium: "smoke" }, { medium: 7 }]) {
    assert.throws(() => extract({}, options), wrong, JSON.stringify(options));
  }
  for (const serviceName of [7, null, {}]) assert.throws(() => init({ serviceName }), wrong);
  assert.throws(() => new Logger(7), wrong);
  assert.throws(() => new Logger("a", { format: "xml" }), wrong);
  const message = { offset: "1" };
  const payload = { topic: "t", partition: 0, message };
  const nothing = () => {};
  await assert.rejects(process(null, nothing), wrong);
  await assert.rejects(process({ topic: "t", partition: 0 }, nothing), wrong);
  await assert.rejects(process({ ...payload, message: null }, nothing), wrong);
  await assert.rejects(process({ ...payload, topic: 7 }, nothing), wrong);
  await assert.rejects(process({ ...payload, partition: "x" }, nothing), wrong);
  await assert.rejects(process({ ...payload, group: 7 }, nothing), wrong);
  await assert.rejects(process({ ...payload, message: { offset: "x" } }, nothing), wrong);
  await assert.rejects(process(payload, 7), wrong);
  await process(payload, (hop) => {
    assert.throws(() => hop.output(7), wrong);
    assert.throws(() => hop.deadLetter(7, new Error("e")), wrong);
  });
});

// Input that is out of all proportion, and input of the wrong kind.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Logger, extract, extractPayload, init, inject, process } from "../index.mjs";
import { traceparent } from "./support/arbitrary.mjs";

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

test("a programmer's mistake is a TypeError with a code", async () => {
  const wrong = { name: "TypeError", code: /^TRACEBATON_WRONG_(TYPE|VALUE)$/ };
  for (const headers of [7, "text", true, Symbol("s"), [["a"]], [["a", "b", "c"]], [7], { a: 7 }, { a: {} }, { a: [["b"]] }]) {
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
  assert.throws(() => new Logger().info("m", 7), wrong);
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
    assert.throws(() => hop.output("t").delivered(null), wrong);
    assert.throws(() => hop.output("t").delivered({ partition: 0, offset: "x" }), wrong);
  });
});

// OpenTelemetry's API without an SDK, and no OpenTelemetry at all.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { after, test } from "node:test";
import { ROOT_CONTEXT, context, trace } from "@opentelemetry/api";

import { BatonContextManager, BatonPropagator, currentHop, process } from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";

context.setGlobalContextManager(new BatonContextManager());
after(() => context.disable());

const payload = { topic: "raw", partition: 0, message: { offset: "1", headers: { traceparent } } };

test("the API finds the hop and its context after an await", async () => {
  await process(payload, async (hop) => {
    await null;
    assert.equal(trace.getActiveSpan().spanContext().spanId, hop.spanId);
    assert.equal(trace.getTracer("none").startSpan("noop").spanContext().traceId, traceId);
    const outgoing = {};
    new BatonPropagator().inject(context.active(), outgoing, { set: (carrier, name, value) => { carrier[name] = value; } });
    assert.equal(outgoing.traceparent, hop.baton.traceparent);
  });
  assert.equal(trace.getActiveSpan(), undefined);
});

test("the host's attributes become the hop's", async () => {
  await process(payload, () => {
    const span = trace.getActiveSpan();
    assert.equal(span.isRecording(), true);
    span.setAttribute("a", 1).setAttributes({ b: true }).addEvent("e").addLink({}).addLinks([]).setStatus({ code: 1 }).updateName("n");
    span.recordException(new Error("e"));
    span.end();
  });
});

test("functions and emitters can be bound to a context", () => {
  const key = Symbol("mine");
  const mine = ROOT_CONTEXT.setValue(key, 7);
  const seen = () => context.active().getValue(key);
  assert.equal(context.with(mine, seen), 7);
  assert.equal(context.bind(mine, seen)(), 7);
  assert.deepEqual(context.bind(mine, function self(...args) { return [this, ...args]; }).call(1, 2, 3), [1, 2, 3]);
  assert.equal(context.bind(mine, 5), 5);

  const emitter = context.bind(mine, new EventEmitter());
  const values = [];
  const listener = () => values.push(seen());
  emitter.on("on", listener);
  emitter.once("once", listener);
  for (const event of ["on", "once", "once", "on"]) emitter.emit(event);
  assert.deepEqual(values, [7, 7, 7]);
  emitter.off("on", listener);
  emitter.once("once", listener).removeListener("once", listener);
  assert.deepEqual([emitter.listenerCount("on"), emitter.listenerCount("once")], [0, 0]);
  assert.equal(seen(), undefined);
});

test("a hop in a host's context, and the host's context in a hop", async () => {
  const key = Symbol("mine");
  await context.with(ROOT_CONTEXT.setValue(key, 7), () =>
    process(payload, (hop) => {
      assert.equal(context.active().getValue(key), 7);
      context.with(context.active().setValue(key, 8), () => assert.equal(currentHop(), hop));
    }),
  );
});

test("OpenTelemetry is never loaded by this package", () => {
  const program = `
    const { process: traced, currentHop, Logger } = require(${JSON.stringify(new URL("../index.cjs", import.meta.url).pathname)});
    traced(${JSON.stringify({ ...payload })}, async (hop) => {
      await null;
      if (currentHop() !== hop) throw new Error("no hop");
      new Logger().info("line");
    }).then(() => {
      const loaded = Object.keys(require.cache).filter((file) => file.includes("opentelemetry"));
      if (loaded.length > 0) throw new Error(loaded.join());
    });`;
  const { status, stdout, stderr } = spawnSync(globalThis.process.execPath, ["-e", program], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).trace_id, traceId);
});

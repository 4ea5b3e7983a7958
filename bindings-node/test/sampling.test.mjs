// Ids of version 7 and the sampler that goes with them, in a real SDK.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_CONTEXT, SamplingDecision, context, defaultTextMapGetter, trace } from "@opentelemetry/api";
import { AlwaysOnSampler, BasicTracerProvider, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace-base";

import { BatonIdGenerator, BatonPropagator, BatonSampler } from "../index.mjs";

const COUNT = 50_000;
const generator = new BatonIdGenerator();
const ids = Array.from({ length: COUNT }, () => generator.generateTraceId());

/** The share of the ids that a sampler keeps. */
function share(sampler) {
  const kept = ids.filter((id) => sampler.shouldSample(ROOT_CONTEXT, id, "", 0, {}, []).decision === SamplingDecision.RECORD_AND_SAMPLED);
  return kept.length / COUNT;
}

test("new ids are distinct, tell their time, and their last 56 bits are random", () => {
  assert.equal(new Set(ids).size, COUNT);
  const made = Number.parseInt(ids.at(-1).slice(0, 12), 16);
  assert.ok(Math.abs(Date.now() - made) < 60_000);
  for (let bit = 0n; bit < 56n; bit += 1n) {
    const set = ids.filter((id) => (BigInt(`0x${id.slice(18)}`) >> bit) & 1n).length;
    assert.ok(Math.abs(set - COUNT / 2) < 6 * Math.sqrt(COUNT / 4), `bit ${bit}: ${set}`);
  }
});

test("the stock sampler of ratios keeps other traces than the rest of the relay, and says nothing of its rate", () => {
  const decide = (sampler, id) => sampler.shouldSample(ROOT_CONTEXT, id, "", 0, {}, []);
  const [ours, stock] = [new BatonSampler(0.5), new TraceIdRatioBasedSampler(0.5)];
  const differ = ids.filter((id) => decide(ours, id).decision !== decide(stock, id).decision);
  assert.ok(differ.length > COUNT / 4, `${differ.length}`);
  assert.equal(decide(stock, ids[0]).traceState, undefined);
});

for (const rate of [0, 0.01, 0.1, 0.5, 0.9, 1]) {
  test(`ours keeps ${rate} of them`, () => {
    const deviation = Math.sqrt((rate * (1 - rate)) / COUNT);
    assert.ok(Math.abs(share(new BatonSampler(rate)) - rate) <= 5 * deviation + 1e-4);
  });
}

test("a trace that is kept says how many it stands for, one that is not says nothing", () => {
  const decide = (id) => new BatonSampler(0.5).shouldSample(ROOT_CONTEXT, id);
  const kept = decide("ffffffffffffffffff80000000000000");
  assert.deepEqual([kept.decision, kept.traceState.serialize()], [2, "ot=th:8"]);
  const dropped = decide("ffffffffffffffffff7fffffffffffff");
  assert.deepEqual([dropped.decision, dropped.traceState.serialize()], [0, ""]);
});

const propagator = new BatonPropagator();
const parentOf = (headers) => propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);

test("a child never decides again", () => {
  const traceparent = (flags) => parentOf({ traceparent: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`, tracestate: "a=1" });
  for (const [rate, flags, decision] of [[0, "01", 2], [0, "03", 2], [1, "00", 0], [1, "02", 0]]) {
    const result = new BatonSampler(rate).shouldSample(traceparent(flags), "0af7651916cd43dd8448eb211c80319c");
    assert.deepEqual([result.decision, result.traceState.serialize()], [decision, "a=1"]);
  }
  const provider = new BasicTracerProvider({ sampler: new BatonSampler(0.3), idGenerator: generator });
  const tracer = provider.getTracer("test");
  for (let n = 0; n < 200; n += 1) {
    const root = tracer.startSpan("root", {}, ROOT_CONTEXT).spanContext();
    const child = tracer.startSpan("child", {}, trace.setSpanContext(ROOT_CONTEXT, root)).spanContext();
    assert.equal(child.traceFlags, root.traceFlags);
    assert.equal(child.traceState.serialize(), root.traceState.serialize());
  }
});

test("a legacy id is decided on as a root, alike at every hop", () => {
  const traceIdOf = (cx) => trace.getSpanContext(cx).traceId;
  let kept = 0;
  for (let n = 0; n < 2_000; n += 1) {
    const cx = parentOf({ "x-trace-id": `order-${n}` });
    const first = new BatonSampler(0.5).shouldSample(cx, traceIdOf(cx));
    assert.equal(first.decision, new BatonSampler(0.5).shouldSample(cx, traceIdOf(cx)).decision);
    kept += first.decision / 2;
  }
  assert.ok(Math.abs(kept - 1_000) < 5 * Math.sqrt(500), `${kept}`);
});

test("a rate that is none is a mistake", () => {
  for (const rate of ["0.5", -1, 2, NaN, undefined]) {
    assert.throws(() => new BatonSampler(rate), { name: "TypeError", code: /^TRACEBATON_WRONG_/ });
  }
  assert.equal(new BatonSampler(0.5).toString(), "BatonSampler{0.5}");
  assert.equal(new AlwaysOnSampler().shouldSample(context.active()).decision, new BatonSampler(1).shouldSample(context.active(), ids[0]).decision);
});

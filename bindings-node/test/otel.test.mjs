// The propagator and the current hop, with a real OpenTelemetry SDK in between.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ROOT_CONTEXT, context, defaultTextMapGetter, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { suppressTracing } from "@opentelemetry/core";
import {
  AlwaysOffSampler, AlwaysOnSampler, BasicTracerProvider, InMemorySpanExporter, ParentBasedSampler, SamplingDecision, SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";

import { BatonIdGenerator, BatonPropagator, currentHop, extract, process } from "../index.mjs";
import { traceId } from "./support/arbitrary.mjs";

const parentId = "b7ad6b7169203331";
const propagator = new BatonPropagator();
const setter = { set: (carrier, name, value) => { carrier[name] = value; } };

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
after(() => context.disable());

function sdk(sampler = new ParentBasedSampler({ root: new AlwaysOnSampler() })) {
  const exporter = new InMemorySpanExporter();
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  const provider = new BasicTracerProvider({ sampler, idGenerator: new BatonIdGenerator(), spanProcessors });
  return { tracer: provider.getTracer("test"), exporter };
}

/** Takes headers in, starts a server and a client span as instrumentations do, and returns the headers that go out. */
function relay({ tracer }, headers, change = (cx) => cx) {
  const incoming = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
  const server = tracer.startSpan("server", {}, incoming);
  const inside = change(trace.setSpan(incoming, server));
  const client = tracer.startSpan("client", {}, inside);
  const outgoing = {};
  propagator.inject(trace.setSpan(inside, client), outgoing, setter);
  client.end();
  server.end();
  return { outgoing, server, client };
}

test("what goes out is the client span of the trace that came in", () => {
  const host = sdk();
  const { outgoing, client } = relay(host, { TraceParent: `00-${traceId}-${parentId}-01`, tracestate: "a=1", "x-trace-id": traceId });
  const { spanId } = client.spanContext();
  assert.deepEqual(outgoing, { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1", "x-trace-id": traceId });
  const [, server] = host.exporter.getFinishedSpans();
  assert.equal(server.parentSpanContext.spanId, parentId);
  assert.equal(server.parentSpanContext.isRemote, true);
});

test("the random flag is neither lost nor invented, whatever the sampler does", () => {
  for (const [came, sampler, goes] of [
    ["03", undefined, "03"], ["01", undefined, "01"], ["02", undefined, "02"], ["00", undefined, "00"], ["ff", undefined, "03"],
    ["03", new AlwaysOffSampler(), "02"], ["00", new AlwaysOnSampler(), "01"], ["02", new AlwaysOnSampler(), "03"],
  ]) {
    const { outgoing } = relay(sdk(sampler), { traceparent: `00-${traceId}-${parentId}-${came}` });
    assert.equal(outgoing.traceparent.slice(-2), goes, came);
  }
});

test("a state of Level 2 goes through unharmed", () => {
  const list = Array.from({ length: 30 }, (_, at) => `k${at}=${at}`).join(",");
  for (const tracestate of ["foo@@bar=1,1a=2", `0a=1,${"z".repeat(256)}=2`, list]) {
    const { outgoing } = relay(sdk(), { traceparent: `00-${traceId}-${parentId}-00`, tracestate });
    assert.equal(outgoing.tracestate, tracestate);
  }
  for (const tracestate of ["", "bad key=1", `${list},a=1,b=1,c=1`]) {
    const { outgoing } = relay(sdk(), { traceparent: `00-${traceId}-${parentId}-00`, tracestate });
    assert.ok(!("tracestate" in outgoing));
  }
});

test("a state that a sampler has changed goes out as it is now", () => {
  const change = (_, state) => ({ decision: SamplingDecision.RECORD_AND_SAMPLED, traceState: state?.set("ot", "th:8").unset("c@d@e") });
  const sampler = {
    shouldSample: (cx) => change(cx, trace.getSpanContext(cx)?.traceState),
    toString: () => "changes",
  };
  const { outgoing } = relay(sdk(sampler), { traceparent: `00-${traceId}-${parentId}-01`, tracestate: "a=1,c@d@e=2,4=5" });
  assert.equal(outgoing.tracestate, "ot=th:8,a=1,4=5");
  const state = trace.getSpanContext(propagator.extract(ROOT_CONTEXT, { traceparent: `00-${traceId}-${parentId}-01`, tracestate: "a=1" }, defaultTextMapGetter)).traceState;
  assert.deepEqual([state.get("a"), state.get("b"), state.set("B", "1").serialize()], ["1", undefined, "a=1"]);
});

test("a legacy id gives a root span that has it, and no phantom parent", () => {
  for (const sampler of [undefined, new AlwaysOffSampler()]) {
    const host = sdk(sampler);
    const { outgoing, server, client } = relay(host, { "X-Trace-Id": "order-1234" });
    const { baton } = extract({ trace_id: "order-1234" });
    assert.equal(server.spanContext().traceId, baton.traceId);
    assert.equal(outgoing["x-trace-id"], "order-1234");
    const sampled = sampler === undefined ? "01" : "00";
    assert.equal(outgoing.traceparent, `00-${baton.traceId}-${client.spanContext().spanId}-${sampled}`);
    for (const span of host.exporter.getFinishedSpans().filter(({ name }) => name === "server")) {
      assert.equal(span.parentSpanContext, undefined);
    }
  }
});

test("who only looks at a legacy id leaves nothing behind for other roots", async () => {
  const { tracer } = sdk();
  const incoming = propagator.extract(ROOT_CONTEXT, { "x-trace-id": "order-1234" }, defaultTextMapGetter);
  const { baton } = extract({ trace_id: "order-1234" });
  assert.equal(trace.getSpanContext(incoming).traceId, baton.traceId);
  assert.equal(trace.isSpanContextValid(trace.getSpanContext(incoming)), false);
  await null;
  assert.notEqual(tracer.startSpan("other", {}, ROOT_CONTEXT).spanContext().traceId, baton.traceId);
  trace.getSpanContext(incoming);
  tracer.startSpan("child", {}, trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentId, traceFlags: 1 }));
  assert.notEqual(tracer.startSpan("other", {}, ROOT_CONTEXT).spanContext().traceId, baton.traceId);
});

test("new roots have ids of version 7", () => {
  const { server } = relay(sdk(), {});
  assert.match(server.spanContext().traceId, /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
});

test("a root of another trace takes the baggage, not the state", () => {
  const host = sdk();
  const incoming = propagator.extract(
    ROOT_CONTEXT, { traceparent: `00-${traceId}-${parentId}-01`, tracestate: "a=1", baggage: "user=1" }, defaultTextMapGetter,
  );
  const outgoing = {};
  propagator.inject(trace.setSpan(incoming, host.tracer.startSpan("new", { root: true }, incoming)), outgoing, setter);
  assert.ok(!outgoing.traceparent.includes(traceId));
  assert.equal(outgoing.tracestate, undefined);
  assert.equal(outgoing.baggage, "user=1");
});

test("baggage is visible to the host, and what the host makes of it goes out", () => {
  const headers = { traceparent: `00-${traceId}-${parentId}-01`, baggage: "user=al%20ice;p=1,b=2" };
  assert.equal(relay(sdk(), headers).outgoing.baggage, "user=al%20ice;p=1,b=2");
  const seen = propagation.getBaggage(propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter));
  assert.equal(seen.getEntry("user").value, "al ice");
  assert.equal(String(seen.getEntry("user").metadata), "p=1");
  assert.deepEqual(seen.getAllEntries().map(([key]) => key), ["user", "b"]);
  const change = (make) => relay(sdk(), headers, (cx) => propagation.setBaggage(cx, make(propagation.getBaggage(cx)))).outgoing.baggage;
  assert.equal(change((baggage) => baggage.setEntry("c", { value: "3,4" }).removeEntry("b")), "user=al%20ice;p=1,c=3%2C4");
  assert.equal(change((baggage) => baggage.clear()), undefined);
  assert.equal(change(() => propagation.createBaggage({ own: { value: "1" }, "no key": { value: "2" } })), "own=1");
  assert.equal(relay(sdk(), headers, propagation.deleteBaggage).outgoing.baggage, undefined);
});

test("where tracing is suppressed nothing goes out", () => {
  const incoming = propagator.extract(ROOT_CONTEXT, { traceparent: `00-${traceId}-${parentId}-01` }, defaultTextMapGetter);
  const outgoing = {};
  propagator.inject(suppressTracing(incoming), outgoing, setter);
  propagator.inject(ROOT_CONTEXT, outgoing, setter);
  assert.deepEqual(outgoing, {});
});

test("a getter may give Buffers, arrays and nothing", () => {
  const getter = { keys: Object.keys, get: (carrier, key) => carrier[key] };
  const kafka = new BatonPropagator({ medium: "kafka" });
  const headers = { traceparent: [Buffer.from("old"), Buffer.from(`00-${traceId}-${parentId}-01`)], other: undefined, gone: null };
  assert.equal(trace.getSpanContext(kafka.extract(ROOT_CONTEXT, headers, getter)).traceId, traceId);
  assert.equal(propagator.extract(ROOT_CONTEXT, headers, getter), ROOT_CONTEXT);
  assert.deepEqual(propagator.fields(), ["traceparent", "tracestate", "baggage", "x-trace-id"]);
});

const payload = (n) => ({ topic: "raw", partition: 0, message: { offset: String(n), headers: { trace_id: `order-${n}`, baggage: `n=${n}` } } });

test("the current hop is the active span of the host, and the host's spans are its children", async () => {
  const host = sdk();
  const run = (n) =>
    process(payload(n), async (hop) => {
      await new Promise((resolve) => setTimeout(resolve, n % 5));
      const { traceId, spanId, traceFlags } = trace.getActiveSpan().spanContext();
      assert.deepEqual([traceId, spanId, traceFlags], [hop.traceId, hop.spanId, 1]);
      assert.equal(propagation.getActiveBaggage().getEntry("n").value, String(n));
      await host.tracer.startActiveSpan(`child ${n}`, async (span) => {
        await null;
        assert.equal(currentHop(), hop);
        const outgoing = {};
        propagator.inject(context.active(), outgoing, setter);
        assert.equal(outgoing.traceparent, `00-${hop.traceId}-${span.spanContext().spanId}-01`);
        assert.equal(outgoing["x-trace-id"], `order-${n}`);
        span.end();
      });
      return hop.spanId;
    });
  const parents = await Promise.all(Array.from({ length: 100 }, (_, n) => run(n)));
  for (const span of host.exporter.getFinishedSpans()) {
    assert.equal(span.parentSpanContext.spanId, parents[Number(span.name.slice(6))]);
  }
  assert.equal(trace.getActiveSpan(), undefined);
});

test("a host's context around a hop stays visible in it", async () => {
  const key = Symbol("mine");
  await context.with(context.active().setValue(key, 7), () =>
    process(payload(1), () => {
      assert.equal(context.active().getValue(key), 7);
      const other = context.active().setValue(key, 8);
      assert.deepEqual([other.getValue(key), other.deleteValue(key).getValue(key)], [8, undefined]);
      context.with(ROOT_CONTEXT, () => assert.equal(currentHop(), null));
    }),
  );
});

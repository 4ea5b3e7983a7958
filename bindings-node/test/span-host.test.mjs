// Spans of hops that the host's own SDK records, in a process of its own: its provider is global.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

import { init } from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { listen } from "./support/otlp.mjs";

const prelude = `
  import { trace } from "@opentelemetry/api";
  import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
  import { BatonIdGenerator, flush, init, process as traced, shutdown } from ${JSON.stringify(new URL("../index.mjs", import.meta.url).href)};
  import { writeFileSync } from "node:fs";
  const kept = new InMemorySpanExporter();
  const seen = [];
  const watch = {
    onStart(span) { seen.push(span.name); if (span.attributes.break === true) throw new Error("a processor of the host's"); },
    onEnd() {}, forceFlush: async () => {}, shutdown: async () => {},
  };
  const register = (options) =>
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [watch, new SimpleSpanProcessor(kept)], ...options }));
  const hr = ([seconds, nanoseconds]) => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const tell = (report) => writeFileSync(1, JSON.stringify({ report, seen, spans: kept.getFinishedSpans().map((span) => ({
    name: span.name, kind: span.kind, traceId: span.spanContext().traceId, spanId: span.spanContext().spanId, state: span.spanContext().traceState?.serialize(),
    parent: span.parentSpanContext?.spanId, isRemote: span.parentSpanContext?.isRemote, attributes: span.attributes, status: span.status,
    links: span.links.map(({ context }) => context.spanId), linked: span.links.map(({ attributes }) => attributes), events: span.events.map(({ name, attributes }) => ({ name, ...attributes })),
    start: String(hr(span.startTime)), end: String(hr(span.endTime)), scope: span.instrumentationScope.name,
  })) }));
  const payload = (offset, headers) => ({ topic: "raw", partition: 3, group: "g", message: { offset, headers } });
  const traceparent = ${JSON.stringify(traceparent)};`;

/** Runs a program; returns what it told and what came to the endpoint. */
async function run(program) {
  const endpoint = await listen();
  const child = spawn(process.execPath, ["--input-type=module", "-e", prelude + program], {
    cwd: new URL("..", import.meta.url).pathname,
    env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => { stdout += text; });
  child.stderr.setEncoding("utf8").on("data", (text) => { stderr += text; });
  const [code] = await once(child, "close");
  endpoint.close();
  assert.equal(code, 0, stderr);
  return { ...JSON.parse(stdout), stderr, kept: endpoint.kept };
}

test("the host's SDK records hops with their ids, parents and times", async () => {
  const { report, seen, spans, kept } = await run(`
    register({ idGenerator: new BatonIdGenerator() });
    init({ serviceName: "billing", spans: "host" });
    const before = Date.now();
    await traced(payload(7, { traceparent, tracestate: "vendor=1" }), (hop) => {
      hop.set("order.lines", 3);
      trace.getTracer("mine").startSpan("inside").end();
      hop.output("out").delivered({ partition: 0, offset: 9 });
    });
    await traced(payload(8), () => { throw new RangeError("no such currency"); }).catch(() => {});
    await traced(payload(9), (hop) => hop.set("break", true));
    await flush();
    tell(await shutdown());`);
  const find = (name, offset) => spans.find((span) => span.name === name && span.attributes["messaging.kafka.offset"] === offset);
  const [first, failed, sent] = [find("process raw", 7), find("process raw", 8), find("send out", 9)];
  assert.deepEqual([first.traceId, first.parent, first.isRemote, first.state], [traceId, "b7ad6b7169203331", true, "vendor=1"]);
  assert.deepEqual([first.kind, first.links, first.scope], [4, ["b7ad6b7169203331"], "tracebaton"]);
  assert.equal(first.attributes["order.lines"], 3);
  assert.deepEqual([sent.kind, sent.parent, sent.isRemote, sent.traceId], [3, first.spanId, false, traceId]);
  assert.ok(BigInt(first.start) <= BigInt(sent.start) && BigInt(first.end) >= BigInt(sent.start));
  assert.ok(Math.abs(Number(BigInt(first.start) / 1_000_000n) - Date.now()) < 60_000);
  assert.equal(failed.parent, undefined);
  assert.deepEqual(failed.status, { code: 2, message: "no such currency" });
  assert.deepEqual(failed.events, [{ name: "exception", "exception.type": "RangeError", "exception.message": "no such currency" }]);
  assert.equal(seen.filter((name) => name === "process raw").length, 3, "its processors see them start, too");
  // One was broken by the host, and the ledger says so.
  assert.deepEqual([report.exported, report.refused.spans], [{ spans: 3, logs: 0, ledger: 5 }, 1]);
  assert.equal(kept.spans.length, 0, "no span is told twice");
  assert.equal(kept.ledger.length, 4);
  assert.equal(kept.logs[0].attributes["tracebaton.dropped.spans"], 1);
  // What goes on in the trace is below the span that the host recorded.
  assert.equal(kept.ledger.find(({ traceId: id }) => id === traceId).spanId, first.spanId);
});

test("the links of a batch say which record each is of", async () => {
  const { spans } = await run(`
    import { eachBatch } from ${JSON.stringify(new URL("../index.mjs", import.meta.url).href)};
    register({ idGenerator: new BatonIdGenerator() });
    init({ spans: "host" });
    const messages = [7, 8].map((offset) => ({ offset, headers: { traceparent } }));
    await eachBatch((_, batch) => batch.together(() => {}))({ batch: { topic: "raw", partition: 0, messages } });
    await shutdown();
    tell({});`);
  assert.deepEqual(spans.map(({ name }) => name).sort(), ["poll raw", "process raw"]);
  for (const { linked } of spans) assert.deepEqual(linked, [{ "messaging.kafka.offset": 7 }, { "messaging.kafka.offset": 8 }]);
});

test("the spans of a process that ends without a word are recorded before it does", async () => {
  for (const ending of ["", "process.exit(0);"]) {
    const { spans } = await run(`
      register({ idGenerator: new BatonIdGenerator() });
      init({ spans: "host" });
      for (let n = 0; n < 500; n += 1) await traced(payload(n), () => {});
      process.on("exit", tell);
      ${ending}`);
    assert.equal(spans.length, 500);
  }
});

test("the span of what is open when a process ends comes to the host also during or after a shutdown", async () => {
  for (const ending of ["void shutdown(); process.exit(0);", "await shutdown(); process.exit(0);", "await shutdown();"]) {
    const { spans, kept } = await run(`
      register({ idGenerator: new BatonIdGenerator() });
      init({ spans: "host" });
      void traced(payload(1), () => new Promise(() => {}));
      process.on("exit", tell);
      ${ending}`);
    assert.deepEqual([spans.map(({ name }) => name), kept.ledger.length], [["process raw"], 1], ending);
  }
});

test("a JavaScript thread that is busy for long gets its spans all the same", async () => {
  const { report, spans } = await run(`
    register({ idGenerator: new BatonIdGenerator() });
    init({ spans: "host" });
    for (let n = 0; n < 500; n += 1) await traced(payload(n), () => {});
    const start = Date.now();
    while (Date.now() - start < 7_000);
    tell(await shutdown());`);
  assert.deepEqual([spans.length, report.exported.spans, report.refused.spans], [500, 500, 0]);
});

test("a second init while the export stops holds nothing up", async () => {
  const { report, spans } = await run(`
    register({ idGenerator: new BatonIdGenerator() });
    init({ spans: "host" });
    for (let n = 0; n < 500; n += 1) await traced(payload(n), () => {});
    const stopped = shutdown(2000);
    await new Promise((next) => setImmediate(next));
    init({ spans: "host" });
    const { exported } = await stopped;
    await shutdown();
    tell({ exported });`);
  assert.deepEqual([spans.length, report.exported.spans], [500, 500]);
});

const lacking = {
  "without a provider": ["", /register one that has a BatonIdGenerator before init/],
  "with a provider that makes other ids": ["register({});", /give it `idGenerator: new BatonIdGenerator\(\)`/],
};
for (const [what, [program, remedy]] of Object.entries(lacking)) {
  test(`${what} the spans are counted as refused, and that is said once`, async () => {
    const { report, spans, stderr, kept } = await run(`
      ${program}
      init({ spans: "host" });
      for (let n = 0; n < 3; n += 1) { await traced(payload(n), () => {}); await flush(); }
      tell(await shutdown());`);
    assert.deepEqual([spans.length, report.refused.spans, kept.spans.length], [0, 3, 0]);
    assert.equal(kept.ledger.length, 3);
    assert.equal(stderr.match(/TRACEBATON_NO_SPAN_HOST/g)?.length, 1, stderr);
    assert.match(stderr, remedy);
  });
}

test("a worker's SDK has its spans while the worker lives", async () => {
  const { report } = await run(`
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    const source = ${JSON.stringify(prelude)} + \`
      import { parentPort } from "node:worker_threads";
      register({ idGenerator: new BatonIdGenerator() });
      init({ spans: "host" });
      for (let n = 0; n < 10; n += 1) await traced(payload(n), () => {});
      await flush();
      parentPort.postMessage(kept.getFinishedSpans().length);\`;
    const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source.replaceAll(/from "(@opentelemetry[^"]*)"/g, (_, name) => "from " + JSON.stringify(import.meta.resolve(name))))));
    const [taken] = await once(worker, "message");
    await once(worker, "exit");
    tell({ taken });`);
  assert.equal(report.taken, 10);
});

test("at the end the main thread's SDK has its spans first, and what a worker leaves open is pending", async () => {
  const { spans, kept } = await run(`
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    register({ idGenerator: new BatonIdGenerator() });
    init({ spans: "host" });
    const source = ${JSON.stringify(`import { init, process as traced } from ${JSON.stringify(new URL("../index.mjs", import.meta.url).href)};`)} + \`
      import { parentPort } from "node:worker_threads";
      init();
      void traced({ topic: "raw", partition: 1, offset: 9 }, () => new Promise(() => {}));
      parentPort.postMessage(1);
      for (;;);\`;
    await once(new Worker(new URL("data:text/javascript," + encodeURIComponent(source))), "message");
    for (let n = 0; n < 50; n += 1) await traced(payload(n), () => {});
    process.on("exit", tell);
    process.exit(0);`);
  assert.equal(spans.length, 50);
  assert.equal(kept.ledger.length, 51);
  const pending = kept.ledger.filter(({ attributes }) => attributes["tracebaton.records.passed"] === undefined);
  assert.deepEqual(pending.map(({ attributes }) => attributes["messaging.kafka.offset"]), [9]);
});

test("a destination that there is none of is told", () => {
  assert.throws(() => init({ spans: "sdk" }), { name: "TracebatonError", code: "TRACEBATON_CONFIG", message: "spans: is neither otlp nor host: sdk" });
  assert.throws(() => init({ spans: 7 }), { code: "TRACEBATON_WRONG_TYPE" });
});

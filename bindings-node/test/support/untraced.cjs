// Uses everything there is, as a program does whose native half is missing: nothing may throw, user code runs.
const assert = require("node:assert/strict");
const tracebaton = require("tracebaton");

const { Logger, currentHop, logIds } = tracebaton;
const message = { offset: "1", headers: { traceparent: "x" } };
const payload = { topic: "in", partition: 0, message };

async function main() {
  tracebaton.init({ serviceName: "x" });
  const log = new Logger("a");
  const result = await tracebaton.process(payload, async (hop) => {
    await null;
    assert.equal(currentHop(), hop);
    assert.deepEqual([hop.traceId, hop.spanId, hop.legacyId, hop.baton], [null, null, null, null]);
    const output = hop.output("out", { keep: "1" });
    assert.deepEqual([output.headers, hop.output("out").headers], [{ keep: "1" }, {}]);
    assert.deepEqual(output.message({ value: "v" }), { value: "v", topic: "out", headers: { keep: "1" }, output });
    output.delivered([{ partition: 0, baseOffset: "1" }]);
    output.delivered([]);
    output.undelivered(new Error("e"));
    output.onDelivery(null, { partition: 0, offset: 1 });
    hop.deadLetter("dlq", new Error("e"));
    hop.set("a", 1);
    hop.filtered("x");
    hop.failed(new Error("e"));
    log.info("hello", { a: 1 });
    return 7;
  });
  assert.equal(result, 7);
  assert.equal(await tracebaton.eachMessage(async (_, hop) => hop === currentHop())(payload), true);
  const batch = { topic: "in", partition: 0, messages: [message] };
  await tracebaton.eachBatch(async (_, each) => {
    const output = await each.process(message, (hop) => hop.output("out"));
    each.delivered([output], [{ partition: 0, baseOffset: "1" }]);
    each.delivered([output], [{ partition: 0, baseOffset: "1" }, { partition: 1, baseOffset: "1" }]);
    assert.equal(await each.together((hop) => hop === currentHop()), true);
  })({ batch });
  const inserted = await tracebaton.insert("orders", { group: "g" }, async (into) => {
    into.add(payload);
    into.takeOut(payload).filtered("x");
    into.blocked(new Error("e"));
    assert.deepEqual([into.baton, into.traceId, into.length], [null, null, 0]);
    into.batchId = "mine";
    return into.batchId;
  });
  assert.equal(inserted, "mine");
  const error = new Error("e");
  await assert.rejects(tracebaton.insert("orders", () => { throw error; }), error);
  const into = tracebaton.insert("orders");
  assert.match(into.batchId, /^[0-9a-f]{32}$/);
  into.passed();
  into.failed(error);
  for await (const one of tracebaton.consume([payload])) assert.equal(one, payload);
  for await (const one of tracebaton.transform(() => 7)([payload])) assert.equal(one, 7);

  assert.deepEqual([logIds(), tracebaton.extract({}).baton, tracebaton.extractPayload("{}").baton], [{}, null, null]);
  assert.deepEqual(tracebaton.inject(null, { a: "1" }), { a: "1" });
  const context = { getValue: () => undefined, setValue: () => context };
  const propagator = new tracebaton.BatonPropagator();
  assert.equal(propagator.extract(context, message.headers, { keys: Object.keys, get: (from, key) => from[key] }), context);
  propagator.inject(context, {}, { set: () => assert.fail("there is nothing to write") });
  assert.deepEqual(propagator.fields(), []);
  assert.match(new tracebaton.BatonIdGenerator().generateTraceId(), /^[0-9a-f]{32}$/);
  assert.equal(new tracebaton.BatonSampler(0.1).shouldSample(context, "x").decision, 2);
  tracebaton.winstonFormat().transform({ level: "info", message: "x" });
  tracebaton.pinoOptions().hooks.logMethod.call({}, ["x"], () => {}, 30);
  tracebaton.instrumentConsole()();
  assert.equal(await tracebaton.flush(), false);
  assert.equal((await tracebaton.shutdown()).lost.spans, 0);
}

main();

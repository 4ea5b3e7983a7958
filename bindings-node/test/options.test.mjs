// Options: what there is none of, or has a wrong type, is told where it is given, and stops no message afterwards.
import assert from "node:assert/strict";
import { env } from "node:process";
import { test } from "node:test";

import * as tracebaton from "../index.mjs";
import { recorded } from "./support/otlp.mjs";

const { BatonPropagator, Logger, consume, eachBatch, eachMessage, extract, flush, init, inject, insert, instrumentConsole, process, shutdown, transform } = tracebaton;
const nothing = () => {};
const payload = { topic: "raw", partition: 0, message: { offset: "1" } };

/** Whatever takes options: its name, a call with these, and a known one. */
const takers = {
  "init()": [(options) => init(options), "serviceName"],
  "eachMessage()": [(options) => eachMessage(nothing, options), "group"],
  "eachBatch()": [(options) => eachBatch(nothing, options), "group"],
  "process()": [(options) => process(payload, nothing, options), "group"],
  "consume()": [(options) => consume([], options), "group"],
  "transform()": [(options) => transform(nothing, options), "group"],
  "insert()": [(options) => insert("raw_events", options), "group"],
  "new Logger()": [(options) => new Logger("a", options), "format"],
  "new BatonPropagator()": [(options) => new BatonPropagator(options), "medium"],
  "extract()": [(options) => extract({}, options), "medium"],
  "inject()": [(options) => inject(null, {}, options), "medium"],
};

/** What a call throws, at once or by its promise. */
async function thrown(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return null;
}

for (const [where, [take, known]] of Object.entries(takers)) {
  test(`an option that ${where} does not know is told with the one that was meant`, async () => {
    for (const name of [known.slice(0, -1), `${known}s`, known.toUpperCase(), known.replace(known[2], "q")]) {
      const { message, ...rest } = Object.assign(await thrown(() => take({ [name]: "json" })));
      assert.equal(message, `${where} got an unexpected option ${name}: did you mean ${known}?`);
      assert.deepEqual(rest, { code: "TRACEBATON_WRONG_VALUE" });
    }
    const far = await thrown(() => take({ unheardOf: undefined }));
    assert.match(far.message, new RegExp(`unexpected option unheardOf \\(there (is|are) .*\\b${known}\\b`));
    assert.ok(far instanceof TypeError);
  });

  test(`options of ${where} that are none are told, and those of a wrong type`, async () => {
    for (const [options, found] of [[null, "null"], ["billing", "string"], [7, "number"], [[], "an array"]]) {
      const { name, message } = await thrown(() => take(options));
      assert.deepEqual([name, message], ["TypeError", `the options of ${where} must be an object, not ${found}`]);
    }
    const wrong = await thrown(() => take({ [known]: 7 }));
    assert.deepEqual([wrong.name, wrong.code], ["TypeError", "TRACEBATON_WRONG_TYPE"]);
    assert.match(wrong.message, new RegExp(`^${known}.* must be a string, not number$`));
  });

  test(`${where} takes an option that is undefined`, async () => {
    env.OTEL_SDK_DISABLED = "true";
    assert.equal(await thrown(() => take({ [known]: undefined })), null);
    delete env.OTEL_SDK_DISABLED;
    await shutdown();
  });
}

test("the other options of init and insert are told apart", async () => {
  for (const [name, meant] of [["service_name", "serviceName"], ["setting", "settings"], ["span", "spans"]]) {
    assert.throws(() => init({ [name]: "x" }), { message: `init() got an unexpected option ${name}: did you mean ${meant}?` });
  }
  assert.throws(() => insert("raw_events", { batch_id: "x" }), { message: "insert() got an unexpected option batch_id: did you mean batchId?" });
  assert.throws(() => insert("raw_events", { batchId: 7 }), { message: "batchId of insert() must be a string, not number" });
  for (const name of ["groupId", "consumerGroup"]) assert.throws(() => eachMessage(nothing, { [name]: "g" }), /did you mean group\?$/);
});

test("what kafkajs takes beside a handler may stand in the same object", () => {
  const ofRun = { autoCommit: false, autoCommitInterval: 1, autoCommitThreshold: 1, eachBatchAutoResolve: true, partitionsConsumedConcurrently: 3 };
  const options = { ...ofRun, group: "g", eachMessage: nothing, eachBatch: nothing };
  eachMessage(nothing, options);
  eachBatch(nothing, options);
  assert.throws(() => new Logger("a", { ...ofRun }), TypeError);
});

test("a batch is named by its options", () => {
  const batch = insert("raw_events", { batchId: "orders-0-7" });
  assert.equal(batch.batchId, "orders-0-7");
  batch.passed();
});

test("a medium that there is none of is told when the propagator is made, and not when a message goes out", () => {
  assert.throws(() => new BatonPropagator({ medium: "smoke" }), { code: "TRACEBATON_WRONG_VALUE", message: /medium of new BatonPropagator\(\)/ });
});

test("a deadline is a number of milliseconds, however long", async () => {
  for (const wait of [flush, shutdown]) {
    for (const ms of ["100", null, 7n, NaN, -1]) assert.ok((await thrown(() => wait(ms))) instanceof TypeError);
    for (const ms of [0, 0.5, 2 ** 32, Infinity]) assert.equal(await thrown(() => wait(ms)), null);
  }
});

test("a deadline of more than 32 bits is no short one", async () => {
  // Modulo 2 ** 32 there would be no time at all.
  const { report } = await recorded({ ...tracebaton, shutdown: () => shutdown(2 ** 32) }, () => process(payload, nothing));
  assert.equal(report.exported.ledger, 1);
});

test("a logger that cannot log is told when a console is given to it", () => {
  const target = { log: nothing };
  for (const logger of [null, 7, {}, { info: nothing }]) assert.throws(() => instrumentConsole(target, logger), { code: "TRACEBATON_WRONG_TYPE" });
  assert.throws(() => instrumentConsole(null), { code: "TRACEBATON_WRONG_TYPE" });
  assert.equal(target.log, nothing);
});

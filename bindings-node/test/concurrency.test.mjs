// The current hop follows promises, timers and streams, however many run at once.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { setImmediate as turn, setTimeout as pause } from "node:timers/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

import { currentHop, process } from "../index.mjs";

const payload = (n) => ({
  topic: "raw",
  partition: 0,
  group: "test",
  message: { offset: String(n), headers: { trace_id: `order-${n}` } },
});

/** Takes another way through the event loop for every hop. */
async function wander(n) {
  switch (n % 5) {
    case 0: return pause(n % 7);
    case 1: return turn();
    case 2: return Promise.resolve();
    case 3: return new Promise((resolve) => { globalThis.process.nextTick(resolve); });
    default: {
      const emitter = new EventEmitter();
      setTimeout(() => emitter.emit("done"), n % 3);
      return once(emitter, "done");
    }
  }
}

for (const count of [100, 1_000]) {
  test(`${count} concurrent promises keep their hops apart`, async () => {
    const run = (n) =>
      process(payload(n), async (hop) => {
        const inner = [];
        for (let step = 0; step < 5; step += 1) {
          await wander(n + step);
          assert.equal(currentHop(), hop);
          assert.equal(currentHop().legacyId, `order-${n}`);
          inner.push(wander(n * step).then(() => assert.equal(currentHop(), hop)));
        }
        await Promise.all(inner);
        return hop.output("out").headers.trace_id;
      });
    const done = await Promise.all(Array.from({ length: count }, (_, n) => run(n)));
    assert.deepEqual(done, Array.from({ length: count }, (_, n) => `order-${n}`));
    assert.equal(currentHop(), null);
  });
}

test("a package that is loaded twice in one thread works twice", async () => {
  const require = createRequire(import.meta.url);
  const first = require("../index.cjs");
  for (const file of Object.keys(require.cache)) if (file.includes("/lib/") || file.endsWith("index.cjs")) delete require.cache[file];
  const second = require("../index.cjs");
  assert.notEqual(first.process, second.process);
  const id = (n) => ({ ...payload(n), message: { offset: "1", headers: { traceparent: `00-0af7651916cd43dd8448eb211c8031${n}-b7ad6b7169203331-01` } } });
  for (const [n, { process: run }] of [[10, first], [11, second], [12, first]]) {
    await run(id(n), (hop) => assert.match(hop.output("out").headers.traceparent, new RegExp(`c8031${n}-`)));
  }
});

test("a hop in a hop is current until it ends", async () => {
  await process(payload(1), async (outer) => {
    await process(payload(2), async (inner) => {
      await turn();
      assert.equal(currentHop(), inner);
    });
    assert.equal(currentHop(), outer);
  });
});

// The forms in which the Kafka clients hand over messages: eachMessage, eachBatch, streams and iterators.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import * as tracebaton from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { recorded } from "./support/otlp.mjs";

const { consume, currentHop, eachBatch, eachMessage, process, transform } = tracebaton;
const group = "g";

/** Messages by client: what their documentation and their types say of topic, partition, offset and headers. */
const kafkajs = (n) => ({ key: null, value: Buffer.from(`${n}`), offset: String(n), timestamp: "0", headers: { trace_id: Buffer.from(`order-${n}`) } });
const librdkafka = (n) => ({ topic: "raw", partition: 0, offset: n, key: null, value: Buffer.from(`${n}`), headers: [{ trace_id: Buffer.from(`order-${n}`) }] });
const platformatic = (n) => ({
  topic: "raw", partition: 0, offset: BigInt(n), key: Buffer.from("k"), value: Buffer.from(`${n}`), timestamp: 0n, headers: new Map([[Buffer.from("trace_id"), Buffer.from(`order-${n}`)]]),
});

/** The ledger's `process` events: offset → fate. */
function fates(ledger) {
  const events = ledger.filter(({ attributes }) => attributes["tracebaton.hop.kind"] === "process");
  const of = (attributes) => ["passed", "filtered", "failed", "dead_lettered"].find((fate) => attributes[`tracebaton.records.${fate}`]);
  return Object.fromEntries(events.map(({ attributes }) => [attributes["messaging.kafka.offset"], of(attributes)]));
}

test("every client's message is a hop", async () => {
  for (const payload of [{ topic: "raw", partition: 0, message: kafkajs(7) }, librdkafka(7), platformatic(7)]) {
    const { ledger } = await recorded(tracebaton, () =>
      process(payload, (hop) => assert.equal(hop.legacyId, "order-7"), { group }),
    );
    const [{ attributes }] = ledger;
    assert.equal(attributes["messaging.kafka.offset"], 7);
    assert.equal(attributes["messaging.consumer.group.name"], "g");
  }
});

test("every client's answer to a send is understood", async () => {
  const answers = [
    [{ topicName: "out", partition: 1, errorCode: 0, baseOffset: "5" }],
    [{ topicName: "out", partition: 1, baseOffset: "5", logAppendTime: "-1" }],
    { offsets: [{ topic: "out", partition: 1, offset: 5n }] },
    { topic: "out", partition: 1, offset: 5 },
  ];
  const { ledger } = await recorded(tracebaton, () =>
    process(librdkafka(1), (hop) => {
      for (const answer of answers) hop.output("out").delivered(answer);
      hop.output("out").onDelivery(null, { topic: "out", partition: 1, offset: 5 });
    }),
  );
  const [, sent] = ledger;
  assert.equal(sent.attributes["tracebaton.records.emitted"], 5);
  assert.equal(sent.attributes["messaging.kafka.offset"], 5);
  const refused = await recorded(tracebaton, () => process(librdkafka(1), (hop) => hop.output("out").onDelivery(new Error("full"))));
  assert.deepEqual(fates(refused.ledger), { 1: "failed" });
});

test("an answer to a send in a form that nobody knows is an acknowledgement, and throws nothing", async () => {
  const forms = [undefined, null, 7, "text", { partition: 0, offset: "x" }, { partition: "p", offset: 1 }, [{ partition: 0, baseOffset: {} }], { get offsets() { throw new Error("theirs"); } }];
  const ofBatch = [undefined, null, 7, { offsets: [] }, [{ partition: 0, baseOffset: "x" }], [{ partition: {}, baseOffset: "1" }], [null, { partition: 0, baseOffset: "5" }]];
  const { ledger } = await recorded(tracebaton, async () => {
    for (const form of forms) await process(librdkafka(1), (hop) => hop.output("out").delivered(form));
    for (const form of ofBatch) {
      await eachBatch((_, batch) => batch.delivered([batch.hop(kafkajs(1)).output("out")], form))({ batch: { topic: "raw", partition: 0, messages: [] } });
    }
  });
  assert.deepEqual(ledger.map(({ attributes }) => attributes["tracebaton.outputs.unconfirmed"]), ledger.map(() => undefined));
  const kinds = ledger.map(({ attributes }) => attributes["tracebaton.hop.kind"]);
  assert.equal(kinds.filter((kind) => kind === "send").length, forms.length + ofBatch.length);
});

test("what tells of a delivery may be handed on", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    process(librdkafka(1), async (hop) => {
      const [one, other] = [hop.output("out"), hop.output("out")];
      await Promise.resolve({ partition: 1, offset: 5 }).then(one.delivered, one.undelivered);
      await Promise.reject(new RangeError("full")).then(other.delivered, other.undelivered);
    }),
  );
  const [{ attributes }] = ledger;
  assert.deepEqual([attributes["tracebaton.records.emitted"], attributes["error.type"]], [1, "RangeError"]);
});

test("headers that are copied keep their shape and lose what an earlier hop left", async () => {
  await process({ ...librdkafka(1), headers: { traceparent } }, (hop) => {
    const copied = hop.output("out", { keep: "1", traceparent: "old", tracestate: "old=1", trace_id: ["a", "b"] }).headers;
    assert.deepEqual(Object.keys(copied), ["keep", "traceparent", "trace_id"]);
    assert.equal(copied.trace_id, traceId);
    assert.ok(hop.output("out", new Map([["keep", "1"]])).headers instanceof Map);
    const dead = hop.deadLetter("dlq", new Error("second"), { keep: "1", "tracebaton-error-message": "first" }).headers;
    assert.equal(dead["tracebaton-error-message"], "second");
    assert.equal(dead.keep, "1");
  });
});

test("headers that are copied can be sent by the client they came from", async () => {
  const strings = new Map([["keep", "1"], ["traceparent", "old"]]);
  const bytes = new Map([...strings].map(([name, value]) => [Buffer.from(name), Buffer.from(value)]));
  const objects = [{ keep: "1" }, { traceparent: "old" }];
  await process({ ...librdkafka(1), headers: { traceparent } }, (hop) => {
    const isOne = (headers, isWanted) => {
      const pairs = [...headers].flatMap((one) => (Array.isArray(one) ? [one] : Object.entries(one)));
      assert.deepEqual(pairs.map(([name]) => String(name)), ["keep", "traceparent", "trace_id"]);
      assert.ok(pairs.flat().every(isWanted));
      assert.ok(!String(pairs[1][1]).includes("old"));
    };
    isOne(hop.output("out", strings).headers, (text) => typeof text === "string");
    isOne(hop.output("out", bytes).headers, Buffer.isBuffer);
    const copied = hop.output("out", objects).headers;
    isOne(copied, (text) => typeof text === "string");
    assert.ok(copied.every((one) => !Array.isArray(one) && Object.keys(one).length === 1));
  });
  // An empty `Map` does not say it: what else came with it does.
  for (const [value, isWanted] of [[Buffer.from("v"), Buffer.isBuffer], ["v", (text) => typeof text === "string"]]) {
    const message = { ...platformatic(1), key: undefined, value, headers: new Map() };
    await process(message, (hop) => {
      const names = [...hop.output("out", message.headers).headers.keys(), ...hop.deadLetter("dlq", new Error("e"), message.headers).headers.keys()];
      assert.ok(names.length > 4 && names.every(isWanted));
    });
  }
});

/** Runs a hop of one output, which `report` gets to settle when the function is over; returns its ledger. */
async function reported(run, report) {
  let onDelivery;
  const { ledger } = await recorded(tracebaton, async () => {
    const done = run((hop) => { ({ onDelivery } = hop.output("out")); });
    await done.catch(() => {});
    await pause(20);
    report?.(onDelivery);
  });
  return ledger.map(({ attributes }) => attributes);
}

test("a delivery that is reported after its function is over settles the hop", async () => {
  const place = { topic: "out", partition: 1, offset: 5 };
  const forms = [
    (fn) => process(librdkafka(1), fn),
    (fn) => eachMessage((_, hop) => fn(hop))({ topic: "raw", partition: 0, message: kafkajs(1) }),
    (fn) => eachBatch((_, batch) => batch.process(batch.messages?.[0] ?? kafkajs(1), fn))({ batch: { topic: "raw", partition: 0, messages: [kafkajs(1)] } }),
    (fn) => eachBatch((_, batch) => batch.together(fn))({ batch: { topic: "raw", partition: 0, messages: [kafkajs(1)] } }),
  ];
  for (const run of forms) {
    const [own, sent, ...rest] = await reported(run, (onDelivery) => { onDelivery(null, place); onDelivery(null, place); });
    assert.deepEqual([own["tracebaton.records.passed"], own["tracebaton.outputs.unconfirmed"], rest.length], [1, undefined, 0]);
    assert.deepEqual([sent["messaging.destination.partition.id"], sent["messaging.kafka.offset"]], ["1", 5]);
    const [refused] = await reported(run, (onDelivery) => onDelivery(new Error("full")));
    assert.equal(refused["tracebaton.records.failed"], 1);
    const [silent, ...others] = await reported(run);
    assert.deepEqual([silent["tracebaton.records.passed"], silent["tracebaton.outputs.unconfirmed"], others.length], [1, 1, 0]);
  }
  const [own, sent] = await reported((fn) => process(librdkafka(1), fn), (onDelivery) => onDelivery(null));
  assert.deepEqual([own["tracebaton.records.passed"], sent["tracebaton.records.emitted"], sent["messaging.kafka.offset"]], [1, 1, undefined]);
});

test("what a client reports in a form of its own never throws", async () => {
  const odd = [42, "no", true, {}, [], { offsets: null }, { offset: "abc", partition: 0 }, { offset: 1.5, partition: 0 }, { get offset() { throw new Error("theirs"); } }];
  for (const report of odd) {
    const [own] = await reported((fn) => process(librdkafka(1), fn), (onDelivery) => onDelivery(null, report));
    assert.equal(own["tracebaton.records.passed"], 1);
  }
});

test("a callback that nobody holds any more is not waited for", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const { ledger } = await recorded(tracebaton, async () => {
    await process(librdkafka(1), (hop) => void hop.output("out").onDelivery);
    for (let n = 0; n < 5; n += 1) {
      await pause(10);
      collect();
    }
    await process(librdkafka(2), () => {});
  });
  const offsets = ledger.map(({ attributes }) => attributes["messaging.kafka.offset"]);
  assert.deepEqual(offsets, [1, 2], "it was told before the next");
});

test("parts of a message that nobody asks for are not looked at", async () => {
  const message = { offset: 1, headers: {}, get value() { throw new Error("theirs"); }, get key() { throw new Error("theirs"); } };
  await process({ topic: "raw", partition: 0, message }, () => {});
  await eachBatch((_, batch) => batch.together(() => {}))({ batch: { topic: "raw", partition: 0, messages: [message] } });
});

test("what throws has failed at once, and its output still says where it is", async () => {
  const failing = (fn) => process(librdkafka(1), (hop) => { fn(hop); throw new Error("mine"); });
  const [own, sent] = await reported(failing, (onDelivery) => onDelivery(null, { topic: "out", partition: 1, offset: 5 }));
  assert.equal(own["tracebaton.records.failed"], 1);
  assert.equal(sent["messaging.kafka.offset"], 5);
});

test("eachMessage hands over the payload and the hop, and returns what the function returns", async () => {
  const handle = eachMessage(async ({ message }, hop) => {
    await null;
    assert.equal(currentHop(), hop);
    return message.value.toString();
  }, { group });
  assert.equal(await handle({ topic: "raw", partition: 0, message: kafkajs(3), heartbeat: async () => {} }), "3");
});

const batchOf = (count) => ({ batch: { topic: "raw", partition: 0, messages: Array.from({ length: count }, (_, n) => kafkajs(n)) } });

test("a batch of a thousand with a hundred at once attributes every outcome to its input", async () => {
  const { ledger, spans } = await recorded(tracebaton, () =>
    eachBatch(async ({ batch: { messages } }, batch) => {
      const outputs = [];
      const waiting = [...messages];
      const work = async () => {
        for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
          const current = message;
          await batch.process(current, async (hop) => {
            await pause(current.offset % 3);
            assert.equal(currentHop(), hop);
            assert.equal(hop.legacyId, `order-${current.offset}`);
            if (current.offset % 10 === 0) return hop.filtered("even tens");
            if (current.offset % 10 === 1) return outputs.push(hop.deadLetter("dlq", new Error("ones")));
            for (let copy = 0; copy < (current.offset % 10 === 2 ? 2 : 1); copy += 1) outputs.push(hop.output("out"));
          });
        }
      };
      await Promise.all(Array.from({ length: 100 }, work));
      const metadata = [{ topicName: "out", partition: 0, baseOffset: "100" }, { topicName: "dlq", partition: 0, baseOffset: "0" }];
      batch.delivered(outputs, metadata);
    }, { group })(batchOf(1000)),
  );
  const found = Object.values(fates(ledger));
  const count = (fate) => found.filter((one) => one === fate).length;
  assert.deepEqual([count("filtered"), count("dead_lettered"), count("passed"), count("failed")], [100, 100, 800, 0]);
  const sent = ledger.filter(({ attributes }) => attributes["tracebaton.hop.kind"] === "send").map(({ attributes }) => attributes);
  const offsets = (topic) => sent.filter((one) => one["messaging.destination.name"] === topic).flatMap((one) => {
    const first = one["messaging.kafka.offset"];
    return Array.from({ length: (one["tracebaton.offset.last"] ?? first) - first + 1 }, (_, at) => first + at);
  });
  assert.deepEqual(new Set(offsets("dlq")), new Set(Array.from({ length: 100 }, (_, n) => n)));
  assert.equal(new Set(offsets("out")).size, 900);
  assert.equal(spans.length, 1000 + 100 + 900);
});

test("a batch that throws has failed where nothing was sent, and throws on", async () => {
  const mine = new Error("mine");
  const { ledger } = await recorded(tracebaton, async () => {
    const handle = eachBatch(async ({ batch: { messages } }, batch) => {
      const [first, second, third, fourth] = messages;
      await batch.process(first, (hop) => hop.output("out").delivered({ partition: 0, offset: 1 }));
      await batch.process(second, (hop) => hop.output("out"));
      await batch.process(third, (hop) => hop.filtered("on purpose"));
      batch.hop(fourth);
      throw mine;
    });
    await assert.rejects(handle(batchOf(5)), (error) => error === mine);
  });
  assert.deepEqual(fates(ledger), { 0: "passed", 1: "failed", 2: "filtered", 3: "failed" });
});

const own = (n) => `00-${traceId.slice(0, 30)}${String(n).padStart(2, "0")}-b7ad6b7169203331-01`;

test("messages that are handled together are one hop, and what leaves it is another", async () => {
  const messages = Array.from({ length: 50 }, (_, n) => ({ offset: String(n), headers: { traceparent: Buffer.from(own(n)) } }));
  messages[7].headers.tracestate = "a=1";
  messages[8].headers = [["trace_id", "order-8"]];
  const { ledger, spans } = await recorded(tracebaton, () =>
    eachBatch(async ({ batch: { messages } }, batch) => {
      batch.hop(messages[1]).filtered("before");
      const total = await batch.together(async (hop) => {
        await null;
        assert.equal(currentHop(), hop);
        batch.hop(messages[3]).failed(new Error("while"));
        return hop.output("totals");
      });
      batch.delivered([total], [{ topicName: "totals", partition: 0, baseOffset: "9" }]);
    }, { group })({ batch: { topic: "raw", partition: 0, messages } }),
  );
  const kind = (wanted) => ledger.map(({ attributes }) => attributes).filter((one) => one["tracebaton.hop.kind"] === wanted);
  const [alone, together] = [false, true].map((isMany) => kind("process").filter((one) => one["tracebaton.batch.traces"] !== undefined === isMany));
  assert.deepEqual(alone.map((one) => [one["messaging.kafka.offset"], one["tracebaton.reason"]]), [[1, "before"], [3, "while"]]);
  const [event, ...more] = together;
  assert.equal(more.length, 0);
  assert.deepEqual(["in", "passed", "emitted"].map((name) => event[`tracebaton.records.${name}`]), [48, 48, 1]);
  assert.deepEqual([event["messaging.kafka.offset"], event["tracebaton.offset.last"], event["messaging.consumer.group.name"]], [0, 49, "g"]);
  const members = event["tracebaton.batch.traces"].toString("hex").match(/.{32}/g);
  assert.equal(members.length, 48);
  assert.deepEqual([members[0], members[5]], [own(0).slice(3, 35), own(7).slice(3, 35)]);
  const [poll] = spans.filter((span) => span.name === "poll raw");
  assert.equal(poll.kind, 3);
  // An id of the client's own names no span to link to.
  assert.equal(poll.links.length, 48);
  assert.ok(poll.links.every(({ attributes }) => Number.isInteger(attributes["messaging.kafka.offset"])));
  const process_ = spans.find((span) => span.parentId === poll.spanId);
  assert.equal(process_.name, "process raw");
  assert.deepEqual(spans.filter((span) => span.name === "send totals").map((span) => span.parentId), [process_.spanId]);
});

test("a batch whose common work throws has failed as a whole; one that throws later has not", async () => {
  const thrown = async (fn) => {
    const { ledger } = await recorded(tracebaton, () => assert.rejects(eachBatch(fn, { group })(batchOf(3)), /mine/));
    return ledger.map(({ attributes }) => [attributes["tracebaton.records.failed"], attributes["tracebaton.records.passed"]]);
  };
  assert.deepEqual(await thrown((_, batch) => batch.together(() => { throw new Error("mine"); })), [[3, undefined]]);
  const later = async (_, batch) => {
    await batch.together(() => {});
    throw new Error("mine");
  };
  assert.deepEqual(await thrown(later), [[undefined, 3]]);
  await assert.rejects(eachBatch((_, batch) => batch.together(7))(batchOf(1)), { code: "TRACEBATON_WRONG_TYPE" });
  await assert.rejects(eachBatch((_, batch) => batch.together(() => {}))({ batch: { topic: "t", partition: 0, messages: [{ offset: "x" }] } }), { code: "TRACEBATON_WRONG_VALUE" });
});

test("a batch with a message that cannot be added has failed, and leaves nothing to the next", async () => {
  const { ledger } = await recorded(tracebaton, async () => {
    const together = eachBatch((_, batch) => batch.together(() => {}), { group });
    const messages = [{ offset: "1" }, { offset: "9999999999999999999" }];
    await assert.rejects(together({ batch: { topic: "first", partition: 0, messages } }));
    await together(batchOf(2));
  });
  const told = ledger.map(({ attributes }) => [attributes["messaging.destination.name"], attributes["tracebaton.records.failed"], attributes["tracebaton.records.passed"]]);
  assert.deepEqual(told, [["first", 1, undefined], ["raw", undefined, 2]]);
});

test("sends whose places cannot be told apart are acknowledged, refused ones have failed, of the rest nothing is known", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    eachBatch(async ({ batch: { messages } }, batch) => {
      const outputs = messages.map((message) => batch.hop(message).output("out"));
      batch.delivered(outputs.slice(0, 2), [{ partition: 0, baseOffset: "1" }, { partition: 1, baseOffset: "1" }]);
      batch.delivered(outputs.slice(2, 3), []);
      batch.undelivered(outputs.slice(3), new Error("refused"));
    })(batchOf(5)),
  );
  assert.deepEqual(fates(ledger), { 0: "passed", 1: "passed", 2: "passed", 3: "failed", 4: "failed" });
  const unconfirmed = ledger.map(({ attributes }) => attributes["tracebaton.outputs.unconfirmed"] ?? 0);
  assert.equal(unconfirmed.reduce((sum, one) => sum + one), 1);
  const sent = ledger.map(({ attributes }) => attributes).filter((one) => one["tracebaton.hop.kind"] === "send");
  const unplaced = sent.filter((one) => one["tracebaton.records.passed"] > 0);
  assert.equal(unplaced.reduce((sum, one) => sum + one["tracebaton.records.emitted"], 0), 2);
  for (const one of unplaced) assert.deepEqual([one["messaging.destination.name"], one["messaging.kafka.offset"]], ["out", undefined]);
});

async function* stream(count, make = platformatic) {
  for (let n = 0; n < count; n += 1) {
    await null;
    yield make(n);
  }
}

for (const [what, source] of [["an async generator", () => stream(20)], ["a stream", () => Readable.from(stream(20))], ["a list", () => Array.from({ length: 20 }, (_, n) => platformatic(n))]]) {
  test(`${what} is consumed with each message's hop current, also for what is started and not awaited`, async () => {
    const later = [];
    const { ledger } = await recorded(tracebaton, async () => {
      for await (const message of consume(source(), { group })) {
        const hop = currentHop();
        assert.equal(hop.legacyId, `order-${message.offset}`);
        await pause(1);
        assert.equal(currentHop(), hop);
        later.push(pause(5).then(() => assert.equal(currentHop(), hop)));
      }
      assert.equal(currentHop(), null);
      await Promise.all(later);
    });
    assert.equal(Object.values(fates(ledger)).filter((fate) => fate === "passed").length, 20);
  });
}

test("messages that are asked for at once are all told, and none after the loop was left", async () => {
  const { ledger } = await recorded(tracebaton, async () => {
    const messages = consume(stream(5));
    await Promise.all([messages.next(), messages.next(), messages.next()]);
    const late = messages.next();
    await messages.return();
    assert.deepEqual([await late, await messages.next()], Array(2).fill({ done: true, value: undefined }));
  });
  assert.deepEqual(fates(ledger), { 0: "passed", 1: "passed", 2: "passed" });
});

test("loops at the same time keep their hops apart", async () => {
  const loop = async (from) => {
    for await (const message of consume(stream(10, (n) => platformatic(from + n)))) {
      await pause(message.offset % 3n === 0n ? 2 : 0);
      assert.equal(currentHop().legacyId, `order-${message.offset}`);
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, n) => loop(n * 100)));
});

test("a loop that is left early ends the message in hand and closes its source", async () => {
  let isClosed = false;
  async function* source() {
    try {
      yield* stream(10);
    } finally {
      isClosed = true;
    }
  }
  const { ledger } = await recorded(tracebaton, async () => {
    for await (const message of consume(source())) {
      if (message.offset === 2n) break;
    }
    assert.equal(currentHop(), null);
    for await (const message of consume(stream(10, (n) => platformatic(100 + n)))) {
      if (message.offset !== 101n) continue;
      currentHop().end();
      break;
    }
    await assert.rejects(async () => {
      for await (const message of consume(stream(10, (n) => platformatic(200 + n)))) throw new Error(`mine ${message.offset}`);
    }, /mine 200/);
  });
  assert.ok(isClosed);
  assert.deepEqual(fates(ledger), { 0: "passed", 1: "passed", 2: "failed", 100: "passed", 101: "passed", 200: "failed" });
});

test("a transform yields one, several or none, and what was made of nothing is filtered", async () => {
  const seen = [];
  const { ledger } = await recorded(tracebaton, () =>
    pipeline(
      stream(5),
      transform(async (message, hop) => {
        await null;
        assert.equal(currentHop(), hop);
        switch (message.offset) {
          case 0n: return "one";
          case 1n: return ["two", "three"];
          case 2n: return stream(2, (n) => `gen ${n}`);
          case 3n: return undefined;
          default: return void hop.output("out").delivered({ partition: 0, offset: 1 });
        }
      }, { group }),
      async (source) => { for await (const one of source) seen.push(one); },
    ),
  );
  assert.deepEqual(seen, ["one", "two", "three", "gen 0", "gen 1"]);
  assert.deepEqual(fates(ledger), { 0: "passed", 1: "passed", 2: "passed", 3: "filtered", 4: "passed" });
});

test("a transform that throws has failed and ends the pipeline with its error", async () => {
  const mine = new Error("mine");
  const { ledger } = await recorded(tracebaton, () =>
    assert.rejects(
      pipeline(stream(5), transform(() => { throw mine; }), async (source) => { for await (const _ of source); }),
      (error) => error === mine,
    ),
  );
  assert.deepEqual(fates(ledger), { 0: "failed" });
});

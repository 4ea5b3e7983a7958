// pino, winston and console: their own lines carry the ids, and go out as OTLP too.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import pino from "pino";
import winston from "winston";

import * as tracebaton from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { recorded } from "./support/otlp.mjs";

const { instrumentConsole, logIds, pinoOptions, process, winstonFormat } = tracebaton;
const payload = { topic: "raw", partition: 0, message: { offset: "1", headers: { traceparent, trace_id: "order-1" } } };

function sink() {
  const lines = [];
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(...chunk.toString().trim().split("\n").map((line) => JSON.parse(line)));
      done();
    },
  });
  return { lines, stream };
}

/** Logs in a hop and outside of one; returns the lines and what was exported. */
async function logged(make) {
  const { lines, stream } = sink();
  const log = make(stream);
  let spanId;
  const { logs } = await recorded(tracebaton, async () => {
    log.warn("outside");
    await process(payload, async (hop) => {
      spanId = hop.spanId;
      await null;
      log.info("inside");
    });
  });
  const ids = ({ trace_id, span_id, legacy_id }) => [trace_id, span_id, legacy_id];
  assert.deepEqual(lines.map(ids), [[undefined, undefined, undefined], [traceId, spanId, "order-1"]]);
  assert.deepEqual(logs.map(({ body, severity, traceId }) => [body, severity, traceId]), [["outside", "WARN", ""], ["inside", "INFO", traceId]]);
  return { lines, logs };
}

test("pino's lines carry the ids", async () => {
  const { lines } = await logged((stream) => pino({ ...pinoOptions() }, stream));
  assert.deepEqual(lines.map(({ msg, level }) => [msg, level]), [["outside", 40], ["inside", 30]]);
});

test("pino's fields, placeholders and errors are exported", async () => {
  const { logs } = await recorded(tracebaton, () => {
    const log = pino({ ...pinoOptions(), level: "trace" }, sink().stream);
    log.error({ code: 7 }, "cannot %s", "bill");
    log.debug("plain %d", 5);
    log.trace(new RangeError("mine"));
    log.fatal({ err: new Error("e") });
  });
  assert.deepEqual(logs.map(({ body, severity }) => [body, severity]), [
    ["cannot bill", "ERROR"], ["plain 5", "DEBUG"], ["RangeError: mine", "TRACE"], ["Error: e", "ERROR"],
  ]);
  assert.equal(logs[0].attributes.code, 7);
});

test("whatever pino and winston are given is their line, and ours where it can be read", async () => {
  const broken = { get bad() { throw new Error("theirs"); }, kept: 1 };
  const { logs } = await recorded(tracebaton, () => {
    const toPino = pinoOptions().hooks.logMethod;
    const written = [];
    const method = (...args) => written.push(args.length);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const first of [[1, 2], { toJSON: () => 7 }, broken, proxy]) toPino([first, "m"], method, 30);
    assert.deepEqual(written, [2, 2, 2, 2]);
    const info = { level: "info", message: "m" };
    Object.defineProperty(info, "bad", { enumerable: true, get() { throw new Error("theirs"); } });
    assert.equal(winstonFormat().transform(info), info);
  });
  assert.deepEqual(logs.map(({ attributes }) => attributes), [{ fields: "[1,2]" }, { fields: 7 }, { kept: 1 }]);
});

test("winston's lines carry the ids", async () => {
  const { lines } = await logged((stream) =>
    winston.createLogger({
      format: winston.format.combine(winstonFormat(), winston.format.json()),
      transports: [new winston.transports.Stream({ stream })],
    }),
  );
  assert.deepEqual(lines.map(({ message, level }) => [message, level]), [["outside", "warn"], ["inside", "info"]]);
});

test("a console writes as a Logger does, until it is undone", () => {
  const calls = [];
  const record = (level) => (text) => calls.push([level, text]);
  const logger = { info: record("info"), warn: record("warn"), error: record("error"), debug: record("debug") };
  const target = { log: record("original"), info: 1, warn: 2, error: 3, debug: 4 };
  const undo = instrumentConsole(target, logger);
  target.log("a %s", "b", { c: 1 });
  target.warn(new Error("e").message);
  undo();
  target.log("after");
  assert.deepEqual(calls, [["info", "a b { c: 1 }"], ["warn", "e"], ["original", "after"]]);
});

test("outside of a hop there are no ids", () => assert.deepEqual(logIds(), {}));

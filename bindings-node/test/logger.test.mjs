// Log lines: what stands on stdout, byte for byte, and what is exported.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as tracebaton from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { recorded } from "./support/otlp.mjs";

const index = JSON.stringify(fileURLToPath(new URL("../index.mjs", import.meta.url)));

/** Runs a program in a process of its own and returns the lines on its stdout. */
function lines(program) {
  const source = `import { Logger, init, process as traced, currentHop } from ${index};
    const hop = (headers, fn) => traced({ topic: "raw", partition: 0, message: { offset: "1", headers } }, fn);
    ${program}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8", maxBuffer: 1 << 26 });
  assert.equal(status, 0, stderr);
  assert.ok(stdout.endsWith("\n"));
  return stdout.slice(0, -1).split("\n");
}

test("a JSON line has the ids at the top level and the fields after them", () => {
  const [line] = lines(`
    const log = new Logger("enrich");
    await hop({ traceparent: "${traceparent}", trace_id: "order-1" }, async (hop) => {
      await null;
      log.warn("made", { count: 3, ok: true, part: 0.5, nested: { a: [1] } });
    });`);
  const { timestamp, span_id: spanId, ...rest } = JSON.parse(line);
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.match(spanId, /^[0-9a-f]{16}$/);
  assert.deepEqual(rest, {
    level: "WARN", service: "", message: "made", trace_id: traceId, legacy_id: "order-1", action: "enrich", count: 3, ok: true, part: 0.5,
    nested: '{"a":[1]}',
  });
});

test("a field that is named action stands beside the logger's", () => {
  const written = lines('for (const log of [new Logger("enrich"), new Logger()]) log.info("m", { action: "mine" });').map((line) => JSON.parse(line));
  assert.deepEqual(written.map(({ action, action_ }) => [action, action_]), [["enrich", "mine"], ["mine", undefined]]);
});

test("a line without a hop has no ids", () => {
  const [line] = lines('new Logger().info("alone");');
  assert.deepEqual(Object.keys(JSON.parse(line)), ["timestamp", "level", "service", "message"]);
});

test("every level has its method, and log is info", () => {
  const written = lines('const log = new Logger("a"); for (const level of ["log", "info", "warn", "error", "debug"]) log[level]("m");');
  assert.deepEqual(written.map((line) => JSON.parse(line).level), ["INFO", "INFO", "WARN", "ERROR", "DEBUG"]);
});

test("a text line reads [action] [trace_id=…] message", () => {
  const [line] = lines(`await hop({ traceparent: "${traceparent}" }, () => new Logger("Transform", { format: "text" }).info("made\\n\\u001b[31m"));`);
  assert.match(line, new RegExp(`^\\[Transform\\] \\[trace_id=${traceId}\\] made\\\\n`));
  assert.ok(!line.includes("\u001b"));
});

test("whatever is logged, a line is one line of JSON and nothing is thrown", () => {
  const written = lines(`
    const log = new Logger();
    const circle = { a: 1 }; circle.self = circle;
    const shared = { b: 2 };
    log.info("a\\nb\\u0000\\u001b\\ud800", { circle, shared, again: shared, big: 2n ** 70n, error: new RangeError("mine"), "k\\n": "v\\r\\n" });
    log.info({ toString: null }, { toJSON() { throw new Error("theirs"); }, kept: 1 });
    log.info(new TypeError("oops"), { get bad() { throw new Error("theirs"); }, kept: 1 });
    log.info(Symbol("s"), { none: undefined, fn() {}, symbol: Symbol("s"), nan: NaN, level: "mine" });
    log.info(undefined);`);
  const [first, second, third, fourth, fifth] = written.map((line) => JSON.parse(line));
  assert.equal(written.length, 5);
  assert.equal(first.message, "a\nb\u0000\u001b\ufffd");
  assert.equal(first.circle, '{"a":1,"self":"[circular]"}');
  assert.equal(first.shared, first.again);
  assert.equal(first.big, String(2n ** 70n));
  assert.equal(first.error, "mine");
  assert.equal(second.kept, 1);
  assert.deepEqual([third.message, third.kept], ["TypeError: oops", 1]);
  assert.deepEqual([fourth.level, fourth.level_], ["INFO", "mine"]);
  assert.equal(fifth.message, "undefined");
});

test("what is given in place of fields stands on the line, and an error with what it says", () => {
  const written = lines(`
    const log = new Logger();
    const { proxy, revoke } = Proxy.revocable({}, {}); revoke();
    const error = Object.assign(new RangeError("mine"), { code: 7, response: { status: 500 } });
    for (const given of [7, "text", true, [1], null, undefined, error, new Date(0), { toJSON: () => 7 }, { toJSON() {} }, new Map(), proxy]) log.info("m", given);
    log.error("m", { get [Symbol.toPrimitive]() { throw new Error("theirs"); }, kept: 1 });`);
  const fields = written.map((line) => JSON.parse(line)).map(({ timestamp, level, service, message, ...rest }) => rest);
  const { "exception.stacktrace": trace, ...error } = fields[6];
  assert.deepEqual(fields.slice(0, 6), [{ fields: 7 }, { fields: "text" }, { fields: true }, { fields: "[1]" }, {}, {}]);
  assert.match(trace, /^RangeError: mine\n {4}at /);
  assert.deepEqual(error, { code: 7, response: '{"status":500}', "exception.type": "RangeError", "exception.message": "mine" });
  assert.deepEqual(fields.slice(7), [{ fields: "1970-01-01T00:00:00.000Z" }, { fields: 7 }, {}, {}, {}, { kept: 1 }]);
});

test("a logger's methods may be handed on", () => {
  const [line] = lines('const log = new Logger("a"); await Promise.reject(new RangeError("mine")).catch(log.error);');
  const { level, action, message } = JSON.parse(line);
  assert.deepEqual([level, action, message], ["ERROR", "a", "RangeError: mine"]);
});

test("many lines into a slow pipe arrive whole", () => {
  const written = lines('const log = new Logger(); for (let n = 0; n < 20000; n += 1) log.info("x".repeat(200), { n });');
  assert.deepEqual(written.map((line) => JSON.parse(line).n), Array.from({ length: 20_000 }, (_, n) => n));
});

test("lines are exported with the ids of their hop", async () => {
  const { logs, spans } = await recorded(tracebaton, () =>
    tracebaton.process(
      { topic: "raw", partition: 0, message: { offset: "1", headers: { traceparent } } },
      () => new tracebaton.Logger("enrich").error("cannot", { code: 7 }),
    ),
  );
  assert.equal(logs.length, 1);
  const [log] = logs;
  assert.deepEqual([log.severity, log.body, log.traceId, log.spanId], ["ERROR", "cannot", traceId, spans[0].spanId]);
  assert.deepEqual(log.attributes, { action: "enrich", code: 7 });
});

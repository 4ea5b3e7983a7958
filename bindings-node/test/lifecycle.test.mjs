// The export begins, ends and loses nothing, in whatever way a process ends.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { flush, init, shutdown } from "../index.mjs";
import { listen } from "./support/otlp.mjs";

const index = new URL("../index.mjs", import.meta.url).href;
const prelude = `
  import { Logger, consume, eachBatch, flush, init, insert, process as traced, shutdown } from ${JSON.stringify(index)};
  const log = new Logger();
  const message = (n) => traced({ topic: "raw", partition: 0, group: "g", message: { offset: String(n) } }, async (hop) => {
    log.info("handled", { n });
    hop.output("out").delivered({ partition: 0, offset: n });
  });`;

/** Runs a program whose export goes to `url`; its stdout is not kept. */
async function run(program, url, env = {}) {
  const child = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", prelude + program], {
    env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: url, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => { stderr += text; });
  const [code, signal] = await once(child, "close");
  return { code, signal, stderr };
}

async function arrived(program, env) {
  const endpoint = await listen();
  try {
    const { code, stderr } = await run(program, endpoint.url, env);
    assert.equal(code, 0, stderr);
    const { spans, logs, ledger, resource } = endpoint.kept;
    return { counts: [spans.length, logs.length, ledger.length], resource, stderr };
  } finally {
    endpoint.close();
  }
}

const endings = {
  "process.exit(0) right after the last message": "process.exit(0);",
  "an event loop that runs empty": "",
  "shutdown and then the end": "await shutdown();",
};
for (const [what, ending] of Object.entries(endings)) {
  test(`${what} loses nothing`, async () => {
    const { counts } = await arrived(`init({ serviceName: "s" }); for (let n = 0; n < 500; n += 1) await message(n); ${ending}`);
    assert.deepEqual(counts, [1000, 500, 1000]);
  });
}

/** Runs a program that ends in the middle of a message; returns what the ledger says of it. */
async function leftOpen(program) {
  const endpoint = await listen();
  const { code, stderr } = await run(`init({ serviceName: "s" }); const open = { topic: "raw", partition: 0, offset: "1" }; ${program}`, endpoint.url);
  endpoint.close();
  assert.equal(code, 0, stderr);
  assert.ok(endpoint.kept.spans.length > 0);
  const counts = /^tracebaton\.(?:records|outputs)\.(.*)$/;
  return endpoint.kept.ledger.map(({ attributes }) =>
    Object.fromEntries(Object.entries(attributes).flatMap(([key, value]) => (counts.test(key) ? [[counts.exec(key)[1], value]] : []))),
  );
}

const unfinished = {
  "a function that is waited for": "void traced(open, () => new Promise(() => {}));",
  "an iterator that nobody returned": "await consume([open]).next();",
  "an iterator that was collected": "await consume([open]).next(); await new Promise((next) => setTimeout(next, 10)); gc();",
  "a batch": "void eachBatch((_, batch) => { batch.hop(one); return new Promise(() => {}); })({ batch: { topic: 'raw', partition: 0, messages: [one] } });",
  "an insert": "void insert('t', (batch) => { batch.add(open); return new Promise(() => {}); });",
  "an insert without a function": "insert('t').add(open);",
  "what is taken out of an insert": "insert('t').takeOut(open);",
  "what is taken out of an insert that somebody holds": "const held = insert('t'); held.takeOut(open); process.on('exit', () => held);",
  "a batch as a whole": "void eachBatch((_, batch) => batch.together(() => new Promise(() => {})))({ batch: { topic: 'raw', partition: 0, messages: [one] } });",
};
const ends = {
  "": "",
  " by exit": "process.exit(0);",
  " by exit in the middle of a shutdown": "void shutdown(); process.exit(0);",
  " after a shutdown": "await shutdown();",
  " by exit after a shutdown": "await shutdown(); process.exit(0);",
};
for (const [what, program] of Object.entries(unfinished)) {
  for (const [how, ending] of Object.entries(ends)) {
    test(`${what} when the process ends${how} is pending`, async () => {
      assert.deepEqual(await leftOpen(`const one = { offset: "1" }; ${program} ${ending}`), [{ in: 1 }]);
    });
  }
}

test("what is open at the end is told with what it has sent, also after a shutdown", async () => {
  for (const ending of Object.values(ends)) {
    const sends = `hop.output("out").delivered({ partition: 0, offset: 1 }); hop.output("out");`;
    const [own, sent, ...rest] = await leftOpen(`void traced(open, (hop) => { ${sends} return new Promise(() => {}); }); ${ending}`);
    assert.deepEqual([own, sent, rest], [{ in: 1, emitted: 2, unconfirmed: 1 }, { in: 1, passed: 1, emitted: 1 }, []], ending);
  }
});

test("a worker that leaves something open after a shutdown tells that, and brings the export back for nobody", async () => {
  const ledger = await leftOpen(`
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    await message(1);
    const source = ${JSON.stringify(prelude)} + "import { parentPort } from 'node:worker_threads'; init(); void traced({ topic: 'raw', partition: 0, offset: '1' }, () => new Promise(() => {})); parentPort.postMessage(1); setInterval(() => {}, 1000);";
    const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)));
    await once(worker, "message");
    await shutdown();
    await worker.terminate();
    await message(2);`);
  assert.deepEqual(ledger, [{ in: 1, passed: 1, emitted: 1 }, { in: 1, passed: 1, emitted: 1 }, { in: 1 }]);
});

test("what was said of a message that is open at the end counts, and its outputs are unconfirmed", async () => {
  const open = (said) => leftOpen(`void traced(open, (hop) => { ${said} return new Promise(() => {}); });`);
  assert.deepEqual(await open("hop.failed(new Error('no'));"), [{ in: 1, failed: 1 }]);
  assert.deepEqual(await open("hop.failed(new Error('no')); shutdown();"), [{ in: 1, failed: 1 }]);
  assert.deepEqual(await open("hop.output('out');"), [{ in: 1, emitted: 1, unconfirmed: 1 }]);
});

test("a hop that only waits for a report when the process ends has passed, and its output is unconfirmed", async () => {
  const waits = "let report; await traced(open, (hop) => { report = hop.output('out').onDelivery; }); process.on('exit', () => report);";
  for (const ending of ["", "process.exit(0);"]) {
    assert.deepEqual(await leftOpen(`${waits} ${ending}`), [{ in: 1, passed: 1, emitted: 1, unconfirmed: 1 }], ending);
  }
});

test("what a worker leaves open is pending, however it ends", async () => {
  for (const ending of ["process.exit(0);", "parentPort.postMessage(1); setInterval(() => {}, 1000);"]) {
    const ledger = await leftOpen(`
      import { Worker } from "node:worker_threads";
      import { once } from "node:events";
      const source = ${JSON.stringify(prelude)} + "import { parentPort } from 'node:worker_threads'; init(); void traced({ topic: 'raw', partition: 0, offset: '1' }, () => new Promise(() => {})); " + ${JSON.stringify(ending)};
      const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)));
      await Promise.race([once(worker, "exit"), once(worker, "message").then(() => worker.terminate())]);`);
    assert.deepEqual(ledger, [{ in: 1 }]);
  }
});

/** A program of which three workers, two of them busy, and the main thread are in the middle of a message. */
const withWorkers = (ending) => `
  import { Worker } from "node:worker_threads";
  import { once } from "node:events";
  const source = ${JSON.stringify(prelude)} + \`
    import { parentPort } from "node:worker_threads";
    init({ serviceName: "s" });
    void traced({ topic: "raw", partition: 1, offset: "1" }, () => new Promise(() => {}));
    parentPort.postMessage(1);\`;
  const busy = ["for (;;) await null;", "for (;;);", "setInterval(() => {}, 1000);"];
  const start = (end) => new Worker(new URL("data:text/javascript," + encodeURIComponent(source + end)));
  for (const end of busy) {
    const worker = start(end);
    worker.unref();
    await once(worker, "message");
  }
  void traced(open, () => new Promise(() => {}));
  ${ending}`;

const withWorkersLeft = [
  "", "process.exit(0);", "await flush(); process.exit(0);", "await shutdown(); init({ serviceName: 's' }); process.exit(0);",
  "await shutdown(); process.exit(0);", "void shutdown(); process.exit(0);",
];
for (const ending of withWorkersLeft) {
  test(`what workers have open when the main thread ends the process is pending: ${ending || "by itself"}`, async () => {
    assert.deepEqual(await leftOpen(withWorkers(ending)), Array(4).fill({ in: 1 }));
  });
}

test("an endpoint that is down holds up the end of a process with workers for two seconds", async () => {
  for (const ending of ["process.exit(0);", "await shutdown(0); process.exit(0);"]) {
    const start = Date.now();
    const open = '{ topic: "raw", partition: 0, offset: "1" }';
    const { code, stderr } = await run(`init(); const open = ${open}; ${withWorkers(ending)}`, "http://127.0.0.1:9");
    assert.equal(code, 0, stderr);
    assert.ok(Date.now() - start < 8_000);
  }
});

test("an uncaught exception loses nothing", async () => {
  const endpoint = await listen();
  const { code, stderr } = await run('init(); for (let n = 0; n < 50; n += 1) await message(n); throw new Error("mine");', endpoint.url);
  endpoint.close();
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
  assert.equal(endpoint.kept.ledger.length, 100);
});

test("every worker thread traces, and none ends the export of the others", async () => {
  const { counts } = await arrived(`
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    init({ serviceName: "s" });
    const source = ${JSON.stringify(prelude)} + "init({ serviceName: 's' }); for (let n = 0; n < 100; n += 1) await message(n);";
    const start = (end) => new Worker(new URL("data:text/javascript," + encodeURIComponent(source + end)));
    const workers = ["", "process.exit(0);"].map(start);
    await Promise.all(workers.map((worker) => once(worker, "exit")));
    for (let n = 0; n < 100; n += 1) await message(n);
    process.exit(0);`);
  assert.deepEqual(counts, [600, 300, 600]);
});

test("workers alone, without the main thread, lose nothing", async () => {
  const { counts } = await arrived(`
    import { Worker } from "node:worker_threads";
    const source = ${JSON.stringify(prelude)} + "init({ serviceName: 's' }); for (let n = 0; n < 100; n += 1) await message(n);";
    for (let n = 0; n < 3; n += 1) new Worker(new URL("data:text/javascript," + encodeURIComponent(source)));`);
  assert.deepEqual(counts, [600, 300, 600]);
});

test("a worker that is terminated in the middle does no harm", async () => {
  const { counts } = await arrived(`
    import { Worker } from "node:worker_threads";
    import { once } from "node:events";
    init({ serviceName: "s" });
    const source = ${JSON.stringify(prelude)} + "import { parentPort } from 'node:worker_threads'; await message(1); parentPort.postMessage(1); for (let n = 0; ; n += 1) await message(n);";
    const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)));
    await once(worker, "message");
    await worker.terminate();
    for (let n = 0; n < 100; n += 1) await message(n);
    process.exit(0);`);
  assert.ok(counts[2] >= 202);
});

test("the resource says what the process is", async () => {
  const { resource } = await arrived('init({ serviceName: "enrich" }); await message(1);', { OTEL_RESOURCE_ATTRIBUTES: "shop.country=NL" });
  assert.equal(resource["service.name"], "enrich");
  assert.equal(resource["telemetry.sdk.language"], "nodejs");
  assert.equal(resource["shop.country"], "NL");
});

test("the standard variables reach the wire", async () => {
  const file = (name) => fileURLToPath(new URL(`../../target/tls/${name}`, import.meta.url));
  const endpoint = await listen({ key: readFileSync(file("localhost.key")), cert: readFileSync(file("localhost.pem")) });
  const { code, stderr } = await run('init(); for (let n = 0; n < 3; n += 1) await message(n); await shutdown();', endpoint.url, {
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc,x-team=shop",
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: "x-team=logs",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    OTEL_EXPORTER_OTLP_CERTIFICATE: file("localhost.pem"),
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "1",
  });
  endpoint.close();
  assert.equal(code, 0, stderr);
  const { spans, ledger, headers } = endpoint.kept;
  assert.deepEqual([spans.length, ledger.length], [6, 6]);
  assert.match(spans[0].tracestate, /^ot=th:0/);
  const sent = new Set(headers.map((each) => [each["x-team"], each.authorization, each["content-encoding"]].join()));
  assert.deepEqual(sent, new Set(["shop,Bearer abc,gzip", "logs,,gzip"]));
});

test("a request that takes too long is given up", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `http://127.0.0.1:${silent.address().port}`;
  const { code, stderr } = await run("init(); await message(1); if (await flush(1500)) process.exit(1); await shutdown(100);", url, {
    OTEL_EXPORTER_OTLP_TIMEOUT: "100",
  });
  silent.close();
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/no answer within 100 ms/g).length, 2, "once a signal");
});

test("an endpoint that is down delays the end by its deadline at most, and says so once a signal", async () => {
  const started = process.hrtime.bigint();
  const { code, stderr } = await run("init(); await message(1); process.exit(0);", "http://127.0.0.1:9");
  assert.equal(code, 0);
  assert.ok(process.hrtime.bigint() - started < 8_000_000_000n);
  const said = stderr.match(/cannot export to \S+/g) ?? [];
  assert.ok(said.length > 0 && said.length === new Set(said).size, stderr);
});

test("a setting that cannot be used is an error that names it", () => {
  process.env.OTEL_EXPORTER_OTLP_PROTOCOL = "smoke";
  try {
    assert.throws(() => init(), { name: "TracebatonError", code: "TRACEBATON_CONFIG", message: /OTEL_EXPORTER_OTLP_PROTOCOL/ });
  } finally {
    delete process.env.OTEL_EXPORTER_OTLP_PROTOCOL;
  }
});

test("what an endpoint refuses is counted apart", async () => {
  const refusing = createHttpServer((request, response) => void request.resume().on("end", () => response.writeHead(400).end())).listen(0, "127.0.0.1");
  await once(refusing, "listening");
  const tell = "init(); await message(1); const { exported, lost, dropped, refused, givenUp } = await shutdown(); console.error(JSON.stringify([exported.ledger, lost.ledger, dropped.ledger, refused.ledger, givenUp.ledger]));";
  const { code, stderr } = await run(tell, `http://127.0.0.1:${refusing.address().port}`);
  refusing.close();
  assert.equal(code, 0, stderr);
  assert.equal(stderr.trim().split("\n").at(-1), "[0,0,2,2,0]");
});

test("a flush sends what is there, and the export goes on", async () => {
  const { counts } = await arrived(`
    init();
    for (let n = 0; n < 10; n += 1) await message(n);
    if (!(await flush(5000))) process.exit(1);
    await message(10);
    await shutdown();`);
  assert.deepEqual(counts, [22, 11, 22]);
});

test("a flush that waits keeps neither a shutdown nor the end of the process from its deadline", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `http://127.0.0.1:${silent.address().port}`;
  const begin = "init(); await message(1); const started = Date.now(); const flushed = flush(20_000); await new Promise((done) => setTimeout(done, 100));";
  const stopped = await run(`${begin} const { lost } = await shutdown(300); if (lost.ledger !== 2 || await flushed || Date.now() - started > 5_000) process.exit(1);`, url);
  const started = Date.now();
  const ended = await run(`${begin} process.exit(0);`, url);
  silent.close();
  assert.equal(stopped.code, 0, stopped.stderr);
  assert.equal(ended.code, 0, ended.stderr);
  assert.ok(Date.now() - started < 10_000, `${Date.now() - started} ms`);
});

test("a second shutdown, and a flush, wait no longer for the first than they may", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { code, stderr } = await run(`
    init();
    await message(1);
    const first = shutdown(4_000);
    await new Promise((done) => setTimeout(done, 100));
    const started = Date.now();
    const [second, flushed] = await Promise.all([shutdown(100), flush(100)]);
    if (second.lost.ledger !== 0 || flushed || Date.now() - started > 2_000) process.exit(1);
    if ((await first).lost.ledger !== 2) process.exit(2);`, `http://127.0.0.1:${silent.address().port}`);
  silent.close();
  assert.equal(code, 0, stderr);
});

test("a flush without an export has brought nothing to any endpoint", async () => {
  assert.equal(await flush(100), false);
});

test("shutdown without init, and twice, reports nothing", async () => {
  const none = { spans: 0, logs: 0, ledger: 0 };
  for (let turn = 0; turn < 2; turn += 1) assert.deepEqual(await shutdown(), { exported: none, dropped: none, refused: none, givenUp: none, lost: none });
});

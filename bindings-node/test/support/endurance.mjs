/**
 * Whether memory stays where it is: `node --expose-gc endurance.mjs messages|cycles|workers COUNT`.
 *
 * Telemetry goes to OTEL_EXPORTER_OTLP_ENDPOINT, or to an endpoint of its own. Samples of the resident memory go to stderr, the
 * outcome to stdout as JSON: by how much memory, threads and open files have grown from the first quarter to the end.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, workerData } from "node:worker_threads";

const entry = fileURLToPath(new URL("../../index.cjs", import.meta.url));
const { eachMessage, flush, init, shutdown } = createRequire(import.meta.url)(entry);

const [what = "messages", count = "10000000"] = process.argv.slice(2);
const headers = { traceparent: Buffer.from("00-0198f3a1c0de7abc8ac00000000000c8-00000000000000c8-01") };
const handle = eachMessage(async (_, hop) => hop.output("out").delivered({ partition: 0, offset: 7 }), { group: "endurance" });
const message = (n) => handle({ topic: "in", partition: 0, message: { offset: n, headers } });

/** How much each kind of run does between two samples. */
const runs = {
  async messages(from, to) {
    for (let n = from; n < to; n += 1) {
      await message(n);
      // Nothing else slows this down to what an endpoint takes.
      if (n % 10_000 === 0) await flush(30_000);
    }
  },
  async cycles(from, to) {
    for (let n = from; n < to; n += 1) {
      init({ serviceName: "endurance" });
      await message(n);
      await shutdown(10_000);
    }
  },
  async workers(from, to) {
    for (let n = from; n < to; n += 1) await once(new Worker(new URL(import.meta.url), { workerData: n }), "exit");
  },
};

const list = (folder) => (existsSync(folder) ? readdirSync(folder).length : 0);

function sample() {
  globalThis.gc?.();
  return { rss: process.memoryUsage.rss() / 2 ** 20, threads: list("/proc/self/task"), files: list("/proc/self/fd") };
}

async function main() {
  const sink = process.env.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
    ? spawn(process.execPath, [fileURLToPath(new URL("sink.mjs", import.meta.url))], { stdio: ["pipe", "pipe", "inherit"] })
    : null;
  if (sink !== null) {
    const [port] = await once(sink.stdout.setEncoding("utf8"), "data");
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${port.trim()}`;
  }
  if (what !== "cycles") init({ serviceName: "endurance" });
  const samples = [];
  const step = Math.ceil(Number(count) / 20);
  for (let from = 0; from < Number(count); from += step) {
    const to = Math.min(from + step, Number(count));
    await runs[what](from, to);
    samples.push(sample());
    console.error(`${to} ${what}: ${samples.at(-1).rss.toFixed(1)} MiB`);
  }
  const report = await shutdown(30_000);
  const [first, last] = [samples[samples.length >> 2], samples.at(-1)];
  const highest = Math.max(...samples.map(({ rss }) => rss));
  console.log(JSON.stringify({
    grownMiB: Number((last.rss - first.rss).toFixed(1)), highestMiB: Number(highest.toFixed(1)),
    threads: last.threads - first.threads, files: last.files - first.files, dropped: report.dropped, lost: report.lost,
  }));
  sink?.stdin.end();
  // Flat means flat: what grows by more than this in fifteen steps does not stop.
  if (what === "messages" && last.rss - first.rss > 32) process.exit(1);
}

if (isMainThread) {
  await main();
} else {
  init({ serviceName: "endurance" });
  await message(workerData);
}

/**
 * What tracing a message costs in Node: `node --expose-gc main.mjs [OUT.jsonl] [METRIC …] > /dev/null`.
 *
 * Prints a table on stderr (log lines go to stdout, as they do in a service) and writes one object a line to OUT,
 * in place of what stood there of the same metric.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const sink = spawn(process.execPath, [new URL("../../bindings-node/test/support/sink.mjs", import.meta.url).pathname], { stdio: ["pipe", "pipe", "inherit"] });
const [port] = await once(sink.stdout.setEncoding("utf8"), "data");
const endpoint = `http://127.0.0.1:${port.trim()}`;
process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint;

const { start } = await import("./host.mjs");
const settlePeer = start(endpoint);
const { cases } = await import("./cases.mjs");
const { compare } = await import("./measure.mjs");
const { init, shutdown } = await import("tracebaton");
init({ serviceName: "bench" });

const [out, ...wanted] = process.argv.slice(2);
const row = (...cells) => console.error(cells.map((cell, at) => (at === 0 ? cell.padEnd(20) : cell.padStart(10))).join(" "));
row("metric", "ours µs", "peer µs", "ratio", "  peer");
for (const [metric, { make, options, peerName }] of Object.entries(cases(settlePeer))) {
  if (wanted.length > 0 && !wanted.includes(metric)) continue;
  const { ours, peer } = await compare(await make(), options);
  const ratio = peer / ours;
  row(metric, ours.toFixed(2), peer.toFixed(2), `${ratio.toFixed(1)}x`, `  ${peerName}`);
  const line = { metric, ours: Number(ours.toFixed(3)), peer: Number(peer.toFixed(3)), peer_name: peerName, unit: "us", ratio: Number(ratio.toFixed(2)) };
  if (out !== undefined) save(out, line);
}
function save(file, line) {
  const before = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  const others = before.filter((known) => JSON.parse(known).metric !== line.metric);
  writeFileSync(file, [...others, JSON.stringify(line), ""].join("\n"));
}
const report = await shutdown(30_000);
if (report.dropped.spans + report.dropped.ledger + report.lost.spans > 0) console.error("not all of ours was exported:", report);
sink.stdin.end();
process.exit(0);

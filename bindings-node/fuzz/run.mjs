// Feeds the entry points with bytes that nobody would send: node fuzz/run.mjs [EXECUTIONS] [SEED]
// The same seed makes the same input again. A finding ends the run and says what the input was.
import { randomInt } from "node:crypto";
import { pathToFileURL } from "node:url";

import { native } from "../lib/native.cjs";
import { checkHeaders, checkPayload } from "./checks.mjs";
import { Random, next, readCorpus } from "./mutate.mjs";

const SAY_EVERY = 1_000_000;

/** Runs as many executions, `say` hears how many there were; throws for a finding. */
export function run(executions, seed, say = () => {}) {
  if (native === null) throw new Error("the native half cannot be loaded: there is nothing to test");
  const random = new Random(seed);
  const targets = [
    { check: checkHeaders, corpus: readCorpus("headers") },
    { check: checkPayload, corpus: readCorpus("payload") },
  ];
  for (const { check, corpus } of targets) for (const data of corpus) attempt(check, data);
  for (let done = 1; done <= executions; done += 1) {
    // Headers have more shapes.
    const { check, corpus } = targets[random.below(4) === 0 ? 1 : 0];
    attempt(check, next(random, corpus));
    if (done % SAY_EVERY === 0) say(done);
  }
}

function attempt(check, data) {
  const { stackTraceLimit } = Error;
  // Most of the time would go into the stacks of errors that are as they should be.
  Error.stackTraceLimit = 0;
  try {
    check(data);
  } catch (error) {
    throw new Error(`${check.name} of ${data.toString("base64")} (base64): ${error.message}`, { cause: error });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const executions = Number(process.argv[2] ?? 1_000_000);
  const seed = Number(process.argv[3] ?? randomInt(1, 2 ** 32));
  console.log(`seed ${seed}`);
  const start = performance.now();
  const rate = (done) => Math.round((done * 1000) / (performance.now() - start));
  run(executions, seed, (done) => console.log(`${done} executions, ${rate(done)}/s`));
  console.log(`${executions} executions, ${rate(executions)}/s, no finding`);
}

// A short run of the fuzzer; `fuzz/run.mjs` goes on for longer.
import { test } from "node:test";

import { run } from "../fuzz/run.mjs";

test("the corpus, and some thousand changes to it, throw nothing but what is promised", () => {
  run(5_000, 7);
});

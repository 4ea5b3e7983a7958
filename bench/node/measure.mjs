// CPU time of variants that take turns in one process, so that whatever slows the machine slows all of them.

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** Runs `count` operations of a variant and returns the CPU time of one in µs, of all threads, the export included. */
async function once({ run, settle }, count) {
  const start = process.cpuUsage();
  await run(count);
  await settle?.();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

/** Measures what `ours` and `peer` add to `base` (nothing where there is no `base`). */
export async function compare({ base, ours, peer }, { count = 10_000, rounds = 9 } = {}) {
  const variants = { base, ours, peer };
  const times = { base: [], ours: [], peer: [] };
  for (let round = -2; round < rounds; round += 1) {
    for (const [name, variant] of Object.entries(variants)) {
      if (variant === undefined) continue;
      globalThis.gc?.();
      // A collection throws away machine code: what is compiled again is no part of an operation.
      await once(variant, count / 2);
      const time = await once(variant, count);
      // The first rounds warm up.
      if (round >= 0) times[name].push(time);
    }
  }
  const floor = base === undefined ? 0 : median(times.base);
  return { ours: median(times.ours) - floor, peer: median(times.peer) - floor };
}

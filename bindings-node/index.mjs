// The same names for `import`.
import tracebaton from "./index.cjs";

export const {
  BatonContextManager,
  BatonIdGenerator,
  BatonPropagator,
  BatonSampler,
  Logger,
  Propagation,
  TracebatonError,
  consume,
  currentHop,
  eachBatch,
  eachMessage,
  extract,
  extractPayload,
  flush,
  init,
  inject,
  injectPayload,
  instrumentConsole,
  logIds,
  pinoOptions,
  process,
  shutdown,
  transform,
  winstonFormat,
} = tracebaton;

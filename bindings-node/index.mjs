// The same names for `import`.
import tracebaton from "./index.cjs";

export const { Logger, TracebatonError, currentHop, extract, extractPayload, init, inject, process, shutdown } =
  tracebaton;

// The same names for `import`.
import tracebaton from "./index.cjs";

export const { Logger, currentHop, extract, extractPayload, init, inject, process, shutdown } =
  tracebaton;

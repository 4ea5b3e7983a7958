// The ids on the lines of other loggers: pino, winston, console. None of them is loaded here.
"use strict";

const { format } = require("node:util");

const { currentBaton } = require("../current.cjs");
const { checkFunction, checkObject } = require("../errors.cjs");
const { native } = require("../native.cjs");
const { toJson, toText } = require("../text.cjs");
const { LEVELS, Logger } = require("./logger.cjs");

/** Returns `trace_id`, `span_id` and `legacy_id` of the span that this code runs in, as far as there are any. */
function logIds() {
  const baton = currentBaton();
  if (baton === null || baton.traceId === null) return {};
  const { traceId, spanId, legacyId } = baton;
  return {
    trace_id: traceId,
    ...(spanId === null ? {} : { span_id: spanId }),
    ...(legacyId === null ? {} : { legacy_id: legacyId }),
  };
}

/** Records a line for export, of which `tell` says level, message and fields; another logger prints it, whatever is in it. */
function recordLog(tell) {
  try {
    const [level, message, fields] = tell();
    native?.record(LEVELS[level], message, toJson(fields), currentBaton() ?? undefined);
  } catch {
    // A getter's or a proxy's own.
  }
}

/** The core's level for a number of pino's. */
function levelOf(number) {
  if (number >= 50) return "error";
  if (number >= 40) return "warn";
  if (number >= 30) return "info";
  return number >= 20 ? "debug" : "trace";
}

/** The options by which pino puts the ids on its lines and hands them to the export: `pino({ ...pinoOptions(), … })`. */
function pinoOptions() {
  return {
    mixin: logIds,
    hooks: {
      logMethod(args, method, level) {
        recordLog(() => {
          const [first, ...rest] = args;
          const isObject = typeof first === "object" && first !== null;
          const text = isObject ? rest : args;
          const fields = first instanceof Error ? { err: first } : first;
          return [levelOf(level), text.length === 0 ? toText(fields?.err ?? "") : format(...text), isObject ? fields : {}];
        });
        return method.apply(this, args);
      },
    },
  };
}

const WINSTON_LEVELS = { error: "error", warn: "warn", info: "info", http: "info", verbose: "debug", debug: "debug", silly: "trace" };

/** The format by which winston does the same: `format.combine(winstonFormat(), format.json())`. */
function winstonFormat() {
  return {
    transform(info) {
      recordLog(() => {
        const { level, message, ...fields } = info;
        return [WINSTON_LEVELS[level] ?? "info", toText(message), fields];
      });
      return Object.assign(info, logIds());
    },
  };
}

const CONSOLE_LEVELS = { log: "info", info: "info", warn: "warn", error: "error", debug: "debug" };

/** Makes the methods of a console write lines as `Logger` does; returns what undoes it. */
function instrumentConsole(target = console, logger = new Logger()) {
  checkObject("target", target);
  for (const level of new Set(Object.values(CONSOLE_LEVELS))) checkFunction(`logger.${level}`, logger?.[level]);
  const original = {};
  for (const [method, level] of Object.entries(CONSOLE_LEVELS)) {
    original[method] = target[method];
    target[method] = (...args) => logger[level](format(...args));
  }
  return () => Object.assign(target, original);
}

module.exports = { instrumentConsole, logIds, pinoOptions, winstonFormat };

// Log lines that carry the ids of the current hop.
"use strict";

const { currentBaton, currentNumber } = require("../current.cjs");
const { checkText, wrongValue } = require("../errors.cjs");
const { native } = require("../native.cjs");
const { checkOptions } = require("../options.cjs");
const { toJson, toText } = require("../text.cjs");

/** The numbers by which the native half knows levels. */
const LEVELS = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 };

const METHODS = ["log", "info", "warn", "error", "debug"];

/** The line without ids, where there is no native half. */
function untraced(level, message, fields, isText) {
  const name = Object.keys(LEVELS)[level].toUpperCase();
  const line = { timestamp: new Date().toISOString(), level: name, message };
  const text = isText ? message : JSON.stringify({ ...JSON.parse(fields ?? "{}"), ...line });
  process.stdout.write(`${text}\n`);
}

/** Writes log lines that carry the ids of the current hop. */
class Logger {
  #number;
  #isText;

  /** `action` names what is being done; `format` is `json` or `text`. */
  constructor(action, options = {}) {
    if (action !== undefined) checkText("action", action);
    const { format = "json" } = checkOptions("new Logger()", options, ["format"]);
    if (!["json", "text"].includes(checkText("format", format))) throw wrongValue("format must be json or text");
    this.#isText = format === "text";
    this.#number = native?.loggerNumber(action, this.#isText);
    // They are handed on: `promise.catch(log.error)`.
    for (const method of METHODS) this[method] = this[method].bind(this);
  }

  #write(level, message, fields) {
    const text = typeof message === "string" ? message : toText(message);
    const encoded = fields === undefined ? undefined : toJson(fields);
    if (native === null) return untraced(level, text, encoded, this.#isText);
    const hop = currentNumber();
    // A hop that has a number may be closed by now: what was started in it goes on.
    const isWritten = hop !== null && native.fastLog(this.#number, level, text, encoded, hop) !== undefined;
    if (!isWritten) native.log(this.#number, level, text, encoded, currentBaton() ?? undefined);
  }

  /** As `info`. */
  log(message, fields) {
    this.#write(LEVELS.info, message, fields);
  }

  info(message, fields) {
    this.#write(LEVELS.info, message, fields);
  }

  warn(message, fields) {
    this.#write(LEVELS.warn, message, fields);
  }

  error(message, fields) {
    this.#write(LEVELS.error, message, fields);
  }

  debug(message, fields) {
    this.#write(LEVELS.debug, message, fields);
  }
}

module.exports = { LEVELS, Logger };

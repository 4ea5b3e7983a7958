// Log lines that carry the ids of the current hop.
"use strict";

const { native } = require("./native.cjs");
const { currentHop } = require("./process.cjs");
const { wrongType } = require("./headers.cjs");

/** Fields as JSON; what JSON has no word for becomes text. */
function encode(fields) {
  if (fields === undefined) return undefined;
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw wrongType("fields", "an object", fields);
  }
  const seen = new Set();
  return JSON.stringify(fields, (_, value) => {
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Error) return value.message;
    if (typeof value === "object" && value !== null) {
      if (seen.has(value)) return "[circular]";
      seen.add(value);
    }
    return value;
  });
}

class Logger {
  #action;
  #isText;

  /** `action` names what is being done; `format` is `json` or `text`. */
  constructor(action, { format = "json" } = {}) {
    if (action !== undefined && typeof action !== "string") throw wrongType("action", "a string", action);
    this.#action = action;
    this.#isText = format === "text";
  }

  #write(level, message, fields) {
    const text = typeof message === "string" ? message : String(message);
    const encoded = encode(fields);
    if (native === null) console.log(text);
    else native.log(level, this.#action, text, encoded, currentHop()?.native ?? undefined, this.#isText);
  }

  log(message, fields) {
    this.#write("info", message, fields);
  }

  info(message, fields) {
    this.#write("info", message, fields);
  }

  warn(message, fields) {
    this.#write("warn", message, fields);
  }

  error(message, fields) {
    this.#write("error", message, fields);
  }

  debug(message, fields) {
    this.#write("debug", message, fields);
  }
}

module.exports = { Logger };

// Log lines that carry the ids of the current hop.
"use strict";

const { native } = require("./native.cjs");
const { currentHop } = require("./process.cjs");
const { checkObject, checkText, wrongValue } = require("./errors.cjs");

/** A replacer for `JSON.stringify` that has a word for everything and stops at circles. */
function replacer() {
  const path = [];
  return function replace(_, value) {
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Error) return value.message;
    if (typeof value !== "object" || value === null) return value;
    // `this` holds `value`: what lies behind it on the path is another branch.
    while (path.length > 0 && path.at(-1) !== this) path.pop();
    if (path.includes(value)) return "[circular]";
    path.push(value);
    return value;
  };
}

/** Fields as JSON; a field whose own code throws is left out. */
function encode(fields) {
  if (fields === undefined) return undefined;
  checkObject("fields", fields);
  try {
    return JSON.stringify(fields, replacer());
  } catch {
    const readable = Object.keys(fields).flatMap((key) => {
      try {
        const value = JSON.stringify(fields[key], replacer());
        return value === undefined ? [] : [[key, JSON.parse(value)]];
      } catch {
        return [];
      }
    });
    return JSON.stringify(Object.fromEntries(readable));
  }
}

function toText(message) {
  if (typeof message === "string") return message;
  try {
    return message instanceof Error ? `${message.name}: ${message.message}` : String(message);
  } catch {
    return typeof message;
  }
}

/** The line without ids, where there is no native half. */
function untraced(level, message, fields, isText) {
  if (isText) return console.log(message);
  const line = { timestamp: new Date().toISOString(), level: level.toUpperCase(), message };
  console.log(JSON.stringify({ ...JSON.parse(fields ?? "{}"), ...line }));
}

class Logger {
  #action;
  #isText;

  /** `action` names what is being done; `format` is `json` or `text`. */
  constructor(action, { format = "json" } = {}) {
    if (action !== undefined) checkText("action", action);
    if (!["json", "text"].includes(checkText("format", format))) throw wrongValue("format must be json or text");
    this.#action = action;
    this.#isText = format === "text";
  }

  #write(level, message, fields) {
    const text = toText(message);
    const encoded = encode(fields);
    if (native === null) untraced(level, text, encoded, this.#isText);
    else native.log(level, this.#action, text, encoded, currentHop()?.native ?? undefined, this.#isText);
  }

  /** As `info`. */
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

// Log lines that carry the ids of the current hop.
"use strict";

const { toJson, toText } = require("../text.cjs");
const { native } = require("../native.cjs");
const { currentBaton } = require("../current.cjs");
const { checkObject, checkText, wrongValue } = require("../errors.cjs");

/** The line without ids, where there is no native half. */
function untraced(level, message, fields, isText) {
  const line = { timestamp: new Date().toISOString(), level: level.toUpperCase(), message };
  const text = isText ? message : JSON.stringify({ ...JSON.parse(fields ?? "{}"), ...line });
  process.stdout.write(`${text}\n`);
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
    const encoded = fields === undefined ? undefined : toJson(checkObject("fields", fields));
    if (native === null) untraced(level, text, encoded, this.#isText);
    else native.log(level, this.#action, text, encoded, currentBaton() ?? undefined, this.#isText);
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

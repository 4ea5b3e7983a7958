// Whatever a program hands over, as text. Nothing here throws.
"use strict";

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

/** Tells whether all values are such that `JSON.stringify` writes them as they are. */
function isFlat(fields) {
  for (const key in fields) {
    const value = fields[key];
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return false;
  }
  return true;
}

/** What belongs on a line beside its message: the fields themselves, or what was given in their place, by a name. */
function toFields(given) {
  if (given instanceof Error) {
    const [type, message] = describeError(given);
    return { ...given, "exception.type": type, "exception.message": message, "exception.stacktrace": toText(given.stack) };
  }
  if (given === null) return {};
  return typeof given === "object" && !Array.isArray(given) ? given : { fields: given };
}

/** The fields whose own code does not throw. */
function readable(fields) {
  const pairs = Object.keys(fields).flatMap((key) => {
    try {
      const value = JSON.stringify(fields[key], replacer());
      return value === undefined ? [] : [[key, JSON.parse(value)]];
    } catch {
      return [];
    }
  });
  return JSON.stringify(Object.fromEntries(pairs));
}

/** Fields as a JSON object, whatever is given. */
function toJson(given) {
  try {
    const fields = toFields(given);
    try {
      const text = isFlat(fields) ? JSON.stringify(fields) : JSON.stringify(fields, replacer());
      // Something else than an object is what its own `toJSON` made of it.
      return text?.[0] === "{" ? text : JSON.stringify({ fields: JSON.parse(text) });
    } catch {
      return readable(fields);
    }
  } catch {
    return "{}";
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

/** Says what an error is called and what it says, whatever was thrown. */
function describeError(error) {
  try {
    return error instanceof Error ? [String(error.name), String(error.message)] : [typeof error, String(error)];
  } catch {
    // Even `String` may throw, for instance for an object without a prototype.
    return [typeof error, ""];
  }
}

module.exports = { describeError, toJson, toText };

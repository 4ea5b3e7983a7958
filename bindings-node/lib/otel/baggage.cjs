// What OpenTelemetry asks of a `Baggage`, out of ours and back.
"use strict";

class Baggage {
  #entries;

  constructor(entries) {
    this.#entries = new Map(entries);
  }

  getEntry(key) {
    const entry = this.#entries.get(key);
    return entry && { ...entry };
  }

  getAllEntries() {
    return [...this.#entries].map(([key, entry]) => [key, { ...entry }]);
  }

  setEntry(key, entry) {
    return new Baggage([...this.#entries, [key, { ...entry }]]);
  }

  removeEntry(key) {
    return this.removeEntries(key);
  }

  removeEntries(...keys) {
    return new Baggage([...this.#entries].filter(([key]) => !keys.includes(key)));
  }

  clear() {
    return new Baggage([]);
  }
}

/** Makes OpenTelemetry's baggage of a baton's. */
function toBaggage(baton) {
  const entries = baton.baggage.map(({ key, value, properties }) => {
    // The type of metadata is a symbol of one copy of the API; only its text is ever looked at.
    const metadata = properties === undefined ? {} : { metadata: { toString: () => properties } };
    return [key, { value, ...metadata }];
  });
  return new Baggage(entries);
}

/** Makes a list of entries of whatever baggage somebody has put in a context. */
function fromBaggage(baggage) {
  return baggage.getAllEntries().map(([key, { value, metadata }]) => {
    return { key: String(key), value: String(value), properties: metadata === undefined ? undefined : String(metadata) };
  });
}

module.exports = { fromBaggage, toBaggage };

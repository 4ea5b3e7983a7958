// A context manager of our own.
"use strict";

const { EventEmitter } = require("node:events");

const { storage } = require("../current.cjs");
const { ROOT } = require("./hop.cjs");

/** Makes every listener that is added to `emitter` from now on run as `bind` says. */
function bindEmitter(emitter, bind) {
  const bound = new WeakMap();
  const toBound = (listener) => {
    // `once` hands a wrapper with this property to `on`: what is in it is bound already.
    if (typeof listener !== "function" || typeof listener.listener === "function") return listener;
    if (!bound.has(listener)) bound.set(listener, bind(listener));
    return bound.get(listener);
  };
  for (const method of ["addListener", "on", "once", "prependListener", "prependOnceListener"]) {
    const add = emitter[method];
    emitter[method] = (event, listener) => add.call(emitter, event, toBound(listener));
  }
  for (const method of ["removeListener", "off"]) {
    const remove = emitter[method];
    emitter[method] = (event, listener) => remove.call(emitter, event, bound.get(listener) ?? listener);
  }
  return emitter;
}

/**
 * A context manager for hosts that use OpenTelemetry's API without an SDK:
 * `context.setGlobalContextManager(new BatonContextManager())`.
 */
class BatonContextManager {
  active() {
    return storage.getStore() ?? ROOT;
  }

  with(context, fn, thisArg, ...args) {
    return storage.run(context, () => fn.apply(thisArg, args));
  }

  bind(context, target) {
    const bind = (fn) => {
      const manager = this;
      return function bound(...args) {
        return manager.with(context, fn, this, ...args);
      };
    };
    if (target instanceof EventEmitter) return bindEmitter(target, bind);
    return typeof target === "function" ? bind(target) : target;
  }

  enable() {
    return this;
  }

  disable() {
    storage.disable();
    return this;
  }
}

module.exports = { BatonContextManager };

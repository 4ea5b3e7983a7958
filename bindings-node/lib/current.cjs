// What is current: the hop that code runs in, through promises, timers and streams.
//
// Where the host has registered an OpenTelemetry context manager, that one is used, so that our hops and the host's spans nest in
// each other. Otherwise an AsyncLocalStorage of our own.
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");

const { Hop } = require("./hop.cjs");
const { batonOf } = require("./otel/context.cjs");
const { HopContext, ROOT } = require("./otel/hop.cjs");
const { HOP, SPAN, hostManager } = require("./otel/keys.cjs");

const storage = new AsyncLocalStorage();

/** The context that is active: an OpenTelemetry `Context`. */
function activeContext() {
  return hostManager()?.active() ?? storage.getStore() ?? ROOT;
}

/** Runs `fn` with `hop` as the current one. */
function withHop(hop, fn, first, second) {
  const manager = hostManager();
  const below = manager === undefined ? storage.getStore() : manager.active();
  const context = hop.isOver(below) ? hop : new HopContext(hop, below);
  if (manager === undefined) return storage.run(context, fn, first, second);
  return manager.with(context, fn, undefined, first, second);
}

/** Runs `fn` where `span` is the active one. */
function withSpan(span, fn, first) {
  const [manager, context] = [hostManager(), activeContext().setValue(SPAN, span)];
  return manager === undefined ? storage.run(context, fn, first) : manager.with(context, fn, undefined, first);
}

/** Makes `context` the active one for the code that goes on after the caller, until something else is entered. */
function enter(context) {
  const manager = hostManager();
  if (typeof manager?.attach === "function") manager.attach(context);
  else storage.enterWith(context);
}

/** Returns the hop that this code runs in, or null. */
function currentHop() {
  // A hop that was started before the host had registered its manager is in our own storage.
  return activeContext().getValue(HOP) ?? storage.getStore()?.getValue(HOP) ?? null;
}

/** Returns the number of the hop whose span is the active one, 0 where nothing is, null where it takes a closer look. */
function currentNumber() {
  const context = activeContext();
  if (context instanceof Hop || context instanceof HopContext) return context.number;
  return context === ROOT && storage.getStore() === undefined ? 0 : null;
}

/** Returns the baton of the span that this code runs in, ours or the host's; or null. */
function currentBaton() {
  const hop = currentHop();
  return batonOf(activeContext()) ?? hop?.baton ?? null;
}

module.exports = { activeContext, currentBaton, currentHop, currentNumber, enter, storage, withHop, withSpan };

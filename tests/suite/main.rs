//! The whole relay, every part a real one.

mod apart;
mod crashes;
mod demo;
mod everywhere;
mod expected;
mod parts;
mod refusals;
mod stories;

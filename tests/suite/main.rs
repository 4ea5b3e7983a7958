//! The whole relay, every part a real one.

mod adoption;
mod apart;
mod crashes;
mod demo;
mod differential;
mod everywhere;
mod expected;
mod names;
mod parts;
mod readme;
mod refusals;
mod stories;

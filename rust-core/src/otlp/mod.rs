//! Export of what the hops saw to an OTLP endpoint, off the hot path.
//!
//! One background thread takes encoded chunks from a [`Recorder`](crate::hop::Recorder) and posts
//! them as `http/protobuf` or `grpc`. An endpoint that is down costs memory up to the recorder's
//! limit and nothing else; what had to be dropped is counted, and reported to the endpoint once it
//! is back. [`Exporter::shutdown`] sends what is left within its deadline and says what it lost.
//!
//! Everything is set by the standard `OTEL_*` variables; see [`Options::from_env`] and
//! `docs/export.md`.

mod answer;
mod env;
mod error;
mod exporter;
mod fields;
mod host;
mod lane;
mod options;
mod pairs;
mod patience;
mod report;
mod request;
mod resource;
mod tls;
mod transport;
mod url;
mod worker;

pub use error::OptionError;
pub use exporter::Exporter;
pub use host::SpanHost;
pub use options::{Compression, Endpoint, Options, Protocol, Tls};
pub use report::ShutdownReport;

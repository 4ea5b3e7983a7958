//! OTLP in: over gRPC and HTTP, into the store.

mod convert;
pub(crate) mod grpc;
pub(crate) mod http;

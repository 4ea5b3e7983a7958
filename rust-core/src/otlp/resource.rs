//! Who speaks: the resource that every request names.

use std::{env, process};

use super::options::Options;
use crate::{
    hop::{Value, Writer},
    wire::TraceId,
};

/// Encodes the resource's `attributes` (semantic conventions, "Service" and "Telemetry SDK").
///
/// What the environment says of a key goes before what we would say, except the service's name,
/// where `OTEL_SERVICE_NAME` and code go before `OTEL_RESOURCE_ATTRIBUTES`.
pub(super) fn encode(options: &Options) -> Vec<u8> {
    let mut attributes: Vec<(&str, Value<'_>)> = vec![
        ("service.name", service_name(options).into()),
        ("telemetry.sdk.name", "tracebaton".into()),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").into()),
        ("telemetry.sdk.language", options.language.into()),
        ("process.pid", i64::from(process::id()).into()),
    ];
    for (key, value) in &options.resource {
        if key != "service.name" {
            attributes.retain(|(known, _)| known != key);
            attributes.push((key, value.as_str().into()));
        }
    }
    if attributes.iter().all(|(key, _)| *key != "service.instance.id") {
        // Any unique text will do; an id of ours also tells when the instance started.
        attributes.push(("service.instance.id", TraceId::generate().to_string().into()));
    }
    let mut encoded = Vec::new();
    for (key, value) in &attributes {
        crate::hop::encode_pair(&mut Writer::new(&mut encoded), 1, key, value);
    }
    encoded
}

/// Returns the service's name, or what the specification says where nobody names it.
pub(super) fn service_name(options: &Options) -> String {
    let listed = || {
        let of_resource = options.resource.iter().find(|(key, _)| key == "service.name");
        of_resource.map(|(_, value)| value.clone())
    };
    options.service_name.clone().or_else(listed).unwrap_or_else(|| {
        let program = env::args_os().next().map(std::path::PathBuf::from);
        let name = program.as_ref().and_then(|path| path.file_name());
        name.map_or("unknown_service".to_owned(), |name| {
            format!("unknown_service:{}", name.to_string_lossy())
        })
    })
}

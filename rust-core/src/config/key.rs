//! The keys, and what each of them can be.

use super::{
    error::{ConfigError, ConfigErrorKind},
    settings::Settings,
    value::Value,
};

/// The names of all settings: the same in code, in variables and in files, and in every language.
pub const KEYS: [&str; 13] = [
    "enabled",
    "read",
    "write",
    "trust",
    "baggage_keys",
    "sample_rate",
    "extraction.headers",
    "extraction.payload_fields",
    "extraction.payload_bytes",
    "header_extraction.trace_id_header",
    "header_extraction.span_id_header",
    "header_extraction.baggage_prefix",
    "injection.payload_path",
];

/// Sets one key.
pub(super) fn apply(settings: &mut Settings, key: &str, value: &Value) -> Result<(), ConfigError> {
    apply_known(settings, key, value).map_err(|what| match KEYS.contains(&key) {
        true => ConfigError::bad(key, what),
        false => unknown(key),
    })
}

fn apply_known(settings: &mut Settings, key: &str, value: &Value) -> Result<(), String> {
    match key {
        "enabled" => settings.enabled = Some(value.flag()?),
        "read" => settings.read = Some(value.names()?),
        "write" => settings.write = Some(value.names()?),
        "trust" => {
            let trust = value.text()?.parse();
            settings.trust = Some(trust.map_err(|error| format!("{error}"))?);
        }
        "baggage_keys" => settings.baggage_keys = Some(tokens(value)?),
        "sample_rate" => settings.sample_rate = Some(value.ratio()?),
        "extraction.headers" => settings.headers = Some(tokens(value)?),
        "extraction.payload_fields" => settings.payload_fields = Some(paths(value)?),
        "extraction.payload_bytes" => settings.payload_bytes = Some(value.size()?),
        "header_extraction.trace_id_header" => settings.trace_id_header = Some(token(value)?),
        "header_extraction.span_id_header" => settings.span_id_header = Some(token(value)?),
        "header_extraction.baggage_prefix" => settings.baggage_prefix = Some(token(value)?),
        "injection.payload_path" => settings.payload_path = Some(path(value.text()?)?),
        _ => return Err(String::new()),
    }
    Ok(())
}

/// Makes the error for a key that is not one; it names those that stand beside it.
pub(super) fn unknown(key: &str) -> ConfigError {
    let block = key.rsplit_once('.').map_or("", |(block, _)| block);
    let inside = |known: &&'static str| match block {
        "" => Some(known.split_once('.').map_or(*known, |(first, _)| first)),
        block => known.strip_prefix(block)?.strip_prefix('.'),
    };
    let mut names: Vec<&str> = KEYS.iter().filter_map(inside).collect();
    names.dedup();
    let message = match names.as_slice() {
        [] => "there is no such key".to_owned(),
        names => format!("there is no such key (there are {})", names.join(", ")),
    };
    ConfigError::new(ConfigErrorKind::UnknownKey, key, message)
}

fn tokens(value: &Value) -> Result<Vec<String>, String> {
    value.texts()?.into_iter().map(checked_token).collect()
}

fn token(value: &Value) -> Result<String, String> {
    checked_token(value.text()?.to_owned())
}

fn checked_token(name: String) -> Result<String, String> {
    let is_token = crate::wire::is_token(name.as_bytes());
    if is_token { Ok(name) } else { Err(format!("no header can have this name: {name:?}")) }
}

fn paths(value: &Value) -> Result<Vec<String>, String> {
    value.texts()?.iter().map(|text| path(text)).collect()
}

fn path(text: &str) -> Result<String, String> {
    let is_path = text.split('.').all(|key| !key.is_empty());
    if is_path { Ok(text.to_owned()) } else { Err(format!("no dotted path: {text:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_known() {
        for key in KEYS {
            let error = apply(&mut Settings::default(), key, &Value::Text("\0.".into()));
            assert_eq!(error.unwrap_err().kind(), ConfigErrorKind::BadValue, "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_its_neighbours() {
        let unknown = |key| apply(&mut Settings::default(), key, &true.into()).unwrap_err();
        assert_eq!(
            unknown("extraction.header").to_string(),
            "extraction.header: there is no such key (there are headers, payload_fields, \
             payload_bytes)"
        );
        assert_eq!(
            unknown("trusts").to_string(),
            "trusts: there is no such key (there are enabled, read, write, trust, baggage_keys, \
             sample_rate, extraction, header_extraction, injection)"
        );
    }
}

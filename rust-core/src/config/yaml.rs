//! Settings of a YAML file.

use std::{fs, path::Path};

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::{
    error::{ConfigError, ConfigErrorKind, Origin},
    key::{KEYS, unknown},
    settings::Settings,
    value::Value,
};
use crate::propagate::Propagation;

/// The block that holds the settings, where the file holds other things too.
const BLOCK: &str = "tracing";
/// The top of a file may hold these besides: they are for other readers of the same file.
const OTHERS: [&str; 2] = ["logging", "drilldown"];
/// The block may hold these besides.
const OTHERS_IN_BLOCK: [&str; 4] =
    ["backends", "jaeger_endpoint", "zipkin_endpoint", "url_template"];

impl Settings {
    /// Reads the settings of a YAML file: its block `tracing`, or the keys at its top.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names file, line and key.
    pub fn from_yaml(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| {
            let error = ConfigError::new(ConfigErrorKind::Unreadable, "", error);
            error.at(Origin::File(path.to_owned(), None), "")
        })?;
        Self::from_yaml_text(path, &text)
    }

    /// Reads the settings of a YAML text; `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names file, line and key.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::config::Settings;
    ///
    /// let text = "tracing:\n  trust: restart\n  extraction:\n    header: [X-Trace-Id]\n";
    /// let error = Settings::from_yaml_text("baton.yaml", text).unwrap_err();
    /// assert!(error.to_string().starts_with("baton.yaml:4: tracing.extraction.header: "));
    /// ```
    pub fn from_yaml_text(path: impl AsRef<Path>, text: &str) -> Result<Self, ConfigError> {
        let mut reader = Reader { path: path.as_ref(), settings: Self::default() };
        let documents = MarkedYaml::load_from_str(text).map_err(|error| {
            let line = error.marker().line();
            let error = ConfigError::new(ConfigErrorKind::Syntax, "", error.info());
            error.at(Origin::File(reader.path.to_owned(), Some(line)), "")
        })?;
        match documents.as_slice() {
            [] => {}
            [root] => reader.block(root, "")?,
            [_, second, ..] => {
                let error = ConfigError::new(ConfigErrorKind::Syntax, "", "a second document");
                return Err(reader.error(error, second, ""));
            }
        }
        Ok(reader.settings)
    }
}

struct Reader<'p> {
    path: &'p Path,
    settings: Settings,
}

impl Reader<'_> {
    /// Reads a mapping whose keys are those of the settings that start with `place`.
    fn block(&mut self, node: &MarkedYaml<'_>, place: &str) -> Result<(), ConfigError> {
        let mapping = match &node.data {
            YamlData::Mapping(mapping) => mapping,
            YamlData::Value(Scalar::Null) => return Ok(()),
            _ => {
                let error = ConfigError::bad("", "a block of keys is wanted");
                return Err(self.error(error, node, place));
            }
        };
        for (name, value) in mapping {
            let Some(text) = name.data.as_str() else {
                let error = ConfigError::bad("", "a key is wanted that is a text");
                return Err(self.error(error, name, place));
            };
            let written = join(place, text);
            let is_other = match place {
                "" => OTHERS.contains(&text) || OTHERS_IN_BLOCK.contains(&text),
                BLOCK => OTHERS_IN_BLOCK.contains(&text),
                _ => false,
            };
            if is_other {
                continue;
            }
            // Our own block, and what it holds, are the same keys as those of the top.
            let key = written.strip_prefix("tracing.").unwrap_or(&written);
            let is_block = KEYS
                .iter()
                .any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
            if is_block || written == BLOCK {
                self.block(value, &written)?;
            } else if KEYS.contains(&key) {
                let read = value_of(value).and_then(|value| self.settings.set(key, &value));
                read.map_err(|error| self.error(error, value, &written))?;
            } else {
                return Err(self.error(unknown(key), name, &written));
            }
        }
        Ok(())
    }

    fn error(&self, error: ConfigError, node: &MarkedYaml<'_>, key: &str) -> ConfigError {
        error.at(Origin::File(self.path.to_owned(), Some(node.span.start.line())), key)
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn value_of(node: &MarkedYaml<'_>) -> Result<Value, ConfigError> {
    match &node.data {
        YamlData::Value(Scalar::Boolean(flag)) => Ok(Value::Bool(*flag)),
        YamlData::Value(Scalar::Integer(number)) => Ok(Value::Number(*number as f64)),
        YamlData::Value(Scalar::FloatingPoint(number)) => Ok(Value::Number(number.into_inner())),
        YamlData::Value(Scalar::String(text)) => Ok(Value::Text(text.clone().into_owned())),
        YamlData::Sequence(nodes) => {
            let texts = nodes.iter().map(|node| node.data.as_str().map(str::to_owned));
            let texts = texts.collect::<Option<_>>().map(Value::List);
            texts.ok_or_else(|| ConfigError::bad("", "a list of texts is wanted"))
        }
        YamlData::Value(Scalar::Null) => Err(ConfigError::bad("", "there is no value")),
        _ => Err(ConfigError::bad("", "a value or a list is wanted")),
    }
}

impl Propagation {
    /// Reads how batons are read and written from a YAML file ([`Settings::from_yaml`]).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names file, line and key.
    pub fn from_yaml(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Ok(Settings::from_yaml(path)?.propagation())
    }
}

//! Configuration: the same keys in code, in the environment and in a YAML file.
//!
//! `docs/configuration.md` tells of each key.

mod env;
mod error;
mod key;
mod settings;
mod value;
mod yaml;

pub use error::{ConfigError, ConfigErrorKind};
pub use key::KEYS;
pub use settings::Settings;
pub use value::Value;

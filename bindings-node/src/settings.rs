//! Settings as JavaScript has them: converted, and handed to the core.

use napi::bindgen_prelude::Either4;
use tracebaton::config::{ConfigError, Settings, Value};

use crate::baton::wrong;

/// A value of a setting.
pub type Given = Either4<bool, f64, String, Vec<String>>;

/// Returns the settings of the environment, and these over them.
pub(crate) fn read(keys: Vec<String>, values: Vec<Given>) -> napi::Result<Settings> {
    let all = Settings::from_env().and_then(|env| over(env, keys, values));
    all.map_err(|error| wrong(&error.to_string()))
}

/// Sets keys and values, which belong together by position, over other settings.
pub(crate) fn over(
    settings: Settings,
    keys: Vec<String>,
    values: Vec<Given>,
) -> Result<Settings, ConfigError> {
    let mut own = keys.iter().zip(values.into_iter().map(convert));
    own.try_fold(settings, |settings, (key, value)| settings.with(key, value))
}

fn convert(value: Given) -> Value {
    match value {
        Either4::A(flag) => Value::Bool(flag),
        Either4::B(number) => Value::Number(number),
        Either4::C(text) => Value::Text(text),
        Either4::D(list) => Value::List(list),
    }
}

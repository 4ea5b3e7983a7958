//! Settings as Python has them: converted, and handed to the core.

use pyo3::prelude::*;
use tracebaton::config::{self, Settings, Value};

use crate::{errors::ConfigError, headers::wrong as wrong_type};

/// A value of a setting.
pub(crate) struct Given(pub(crate) Value);

impl<'a, 'py> FromPyObject<'a, 'py> for Given {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(flag) = value.extract::<bool>() {
            return Ok(Self(Value::Bool(flag)));
        }
        if let Ok(number) = value.extract::<f64>() {
            return Ok(Self(Value::Number(number)));
        }
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self(Value::Text(text)));
        }
        let list = value.extract::<Vec<String>>().map(|list| Self(Value::List(list)));
        list.map_err(|_| wrong_type("a setting", "bool, float, str or a list of str", &value))
    }
}

/// Returns the settings of these values; one that is none is left as it is.
pub(crate) fn of<K: AsRef<str>>(
    values: impl IntoIterator<Item = (K, Option<Value>)>,
) -> PyResult<Settings> {
    let given = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given
        .into_iter()
        .try_fold(Settings::default(), |settings, (key, value)| settings.with(key.as_ref(), value))
        .map_err(wrong)
}

/// Makes the exception for settings that cannot be used.
pub(crate) fn wrong(error: config::ConfigError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

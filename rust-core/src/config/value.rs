//! The value of a setting, before it is known what it should be.

use std::{fmt::Display, str::FromStr};

/// A value as code, a variable or a file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text; where a list is wanted, its parts are separated by commas.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// Several texts.
    List(Vec<String>),
}

impl Value {
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("a text is wanted, not {}", other.kind())),
        }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Ok(parts.map(str::to_owned).collect())
            }
            other => Err(format!("a list is wanted, not {}", other.kind())),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, String> {
        match self {
            Self::Bool(flag) => Ok(*flag),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            other => Err(format!("true or false is wanted, not {}", other.shown())),
        }
    }

    pub(super) fn ratio(&self) -> Result<f64, String> {
        let ratio = self.number().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| format!("a number from 0 to 1 is wanted, not {}", self.shown()))
    }

    pub(super) fn size(&self) -> Result<usize, String> {
        let is_size = |size: &f64| size.fract() == 0.0 && (1.0..=1e9).contains(size);
        let size = self.number().filter(is_size).map(|size| size as usize);
        size.ok_or_else(|| format!("a number of bytes is wanted, not {}", self.shown()))
    }

    /// Reads each text of a list as what it names.
    pub(super) fn names<T: FromStr<Err: Display>>(&self) -> Result<Vec<T>, String> {
        self.texts()?
            .iter()
            .map(|name| name.parse().map_err(|error: T::Err| error.to_string()))
            .collect()
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
            Self::List(_) => self.kind().to_owned(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<T: Into<String>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

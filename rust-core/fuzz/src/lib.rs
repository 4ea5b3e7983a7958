//! Fuzz targets of the core; each runs one of the [`checks`], which the ordinary tests run too.

pub mod checks;

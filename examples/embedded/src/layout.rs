//! Where things are in a checkout.

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// The folders of a checkout that has been built.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    binaries: PathBuf,
}

impl Layout {
    /// Finds the checkout this crate was built in, and the binaries beside the one that runs.
    ///
    /// # Errors
    ///
    /// Returns an error where the running binary's own path cannot be told.
    pub fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let own = std::env::current_exe()?;
        // A test's binary stands one folder below the others.
        let mut binaries = own.parent().map(Path::to_path_buf).unwrap_or_default();
        if binaries.ends_with("deps") {
            binaries.pop();
        }
        let named = std::env::var_os("TRACEBATON_BIN").map(PathBuf::from);
        Ok(Self { root: root.canonicalize()?, binaries: named.unwrap_or(binaries) })
    }

    /// Returns a path inside the checkout.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns a file of the checkout that building has made.
    ///
    /// # Errors
    ///
    /// Returns an error that says how it is built where it is missing.
    pub fn built(&self, relative: &str) -> anyhow::Result<PathBuf> {
        Self::exists(self.path(relative))
    }

    /// Returns a binary of the workspace.
    ///
    /// # Errors
    ///
    /// Returns an error that says how it is built where it is missing.
    pub fn binary(&self, name: &str) -> anyhow::Result<PathBuf> {
        Self::exists(self.binaries.join(name))
    }

    fn exists(path: PathBuf) -> anyhow::Result<PathBuf> {
        ensure!(path.exists(), "{} is not there: run `make build`", path.display());
        Ok(path)
    }
}

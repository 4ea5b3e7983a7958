//! Where the CLI's answers come from: a running server, or the store's file itself.

use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::de::DeserializeOwned;

use crate::{query::id, store::Sqlite};

/// Where to ask.
pub(crate) enum Source {
    /// A running server's base URL.
    Server(String),
    /// A store's folder.
    Data(PathBuf),
}

impl Source {
    /// Opens the store, unless a server is to be asked.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Sqlite>> {
        match self {
            Self::Server(_) => Ok(None),
            Self::Data(folder) if folder.is_dir() => {
                Sqlite::open(folder).map(Some).map_err(|error| {
                    anyhow::anyhow!("cannot open the store in {}: {error}", folder.display())
                })
            }
            Self::Data(folder) => bail!("there is no store in {}", folder.display()),
        }
    }

    /// Asks the server for `/api/v1/traces/{id}{what}`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, id: &str, what: &str) -> anyhow::Result<T> {
        let Self::Server(base) = self else { bail!("there is no server to ask") };
        // A path must hold the id as one segment; its trace id always fits.
        let id = id::resolve(id).map(|id| id.to_string()).map_err(anyhow::Error::msg)?;
        let url = format!("{}/api/v1/traces/{id}{what}", base.trim_end_matches('/'));
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let uri = url.parse().with_context(|| format!("--server is not a URL: {base}"))?;
        let answer = client.get(uri).await.with_context(|| {
            format!(
                "no server answers at {base}; start `tracebaton serve`, or name one by --server"
            )
        })?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{base} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).context("the answer is not what this version understands")
    }
}

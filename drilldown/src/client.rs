//! Where the CLI's answers come from: a running server, or the store's file itself.

use std::{fmt::Write, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{query::id, store::Sqlite};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
            Self::Data(folder) => Sqlite::look(folder).map(Some).map_err(|error| {
                anyhow::anyhow!("cannot read the store in {}: {error}", folder.display())
            }),
        }
    }

    /// Asks the server for `/api/v1/traces/{id}{what}`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, id: &str, what: &str) -> anyhow::Result<T> {
        let Self::Server(base) = self else { bail!("there is no server to ask") };
        id::resolve(id).map_err(anyhow::Error::msg)?;
        let id = segment(id.trim());
        let base = base.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        ensure!(base.starts_with("http://"), "--server: only http:// is spoken, not {base}");
        let uri = format!("{base}/api/v1/traces/{id}{what}");
        let uri = uri.parse().with_context(|| format!("--server is not a URL: {base}"))?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = async {
            let answer = client.get(uri).await?;
            let (head, body) = answer.into_parts();
            anyhow::Ok((head.status, body.collect().await?.to_bytes()))
        };
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.with_context(|| format!("{base} has not answered for {PATIENCE:?}"))?;
        let (status, body) = answer.with_context(|| {
            format!(
                "no server answers at {base}; start `tracebaton serve`, or name one by --server"
            )
        })?;
        if !status.is_success() {
            bail!("{base} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("the answer of {base} is not what this version understands"))
    }
}

/// Writes a text as one segment of a path (RFC 3986, section 3.3).
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'~' | b'.' => segment.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => segment.push(char::from(byte)),
            _ => {
                let _ = write!(segment, "%{byte:02X}");
            }
        }
    }
    segment
}

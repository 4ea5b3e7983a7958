//! A live OTLP endpoint in a process of its own, whose time does not count. It counts what it is sent.

use std::{
    cell::RefCell,
    collections::HashMap,
    convert::Infallible,
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// How long what is on its way may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The endpoint; it ends with this value.
pub(crate) struct Sink {
    child: Child,
    url: String,
}

impl Sink {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child =
            Command::new(env::current_exe()?).arg("sink").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { child, url: line.trim().to_owned() })
    }

    /// Returns where `who` is to send to, and is counted by itself.
    pub(crate) fn of(&self, who: &str) -> Inlet {
        Inlet { url: format!("{}/{who}", self.url) }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One sender's part of the endpoint.
#[derive(Clone)]
pub(crate) struct Inlet {
    pub(crate) url: String,
}

impl Inlet {
    /// Returns how many spans have arrived, and how many log records.
    pub(crate) fn arrived(&self) -> anyhow::Result<[u64; 2]> {
        Ok([self.ask("v1/traces")?, self.ask("v1/logs")?])
    }

    /// Waits until so many of each have arrived since `before`.
    pub(crate) fn await_arrival(&self, before: [u64; 2], made: [u64; 2]) -> anyhow::Result<()> {
        let expected = [before[0] + made[0], before[1] + made[1]];
        let start = Instant::now();
        loop {
            let arrived = self.arrived()?;
            if arrived == expected {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "{}: {expected:?} spans and log records were made, {arrived:?} came",
                    self.url
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, path: &str) -> anyhow::Result<u64> {
        let (host, who) =
            self.url.trim_start_matches("http://").split_once('/').context("no path")?;
        let mut stream = TcpStream::connect(host)?;
        write!(stream, "GET /{who}/{path} HTTP/1.1\r\nhost: sink\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, count) = answer.rsplit_once("\r\n").context("no body")?;
        Ok(count.parse()?)
    }
}

/// How many items were sent to each path.
type Counts = Rc<RefCell<HashMap<String, u64>>>;

/// Takes requests until the process is ended.
pub(crate) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let counts = Counts::default();
        loop {
            let (stream, _) = listener.accept().await?;
            let counts = counts.clone();
            let service = service_fn(move |request| take(request, counts.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::task::spawn_local(async move { drop(connection.await) });
        }
    })
}

/// Counts what is posted, and tells whoever asks.
async fn take(
    request: Request<Incoming>,
    counts: Counts,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET {
        let count = counts.borrow().get(&path).copied().unwrap_or_default();
        return Ok(Response::new(count.to_string().into()));
    }
    let mut content = Vec::new();
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        content.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    *counts.borrow_mut().entry(path).or_default() += items(&content, &ITEMS).unwrap_or_default();
    Ok(Response::new(Full::default()))
}

/// Where the items of a request stand: resource, scope, and the span or log record (opentelemetry-proto).
const ITEMS: [u64; 3] = [1, 2, 2];

/// Counts the messages at the end of a path of field numbers.
fn items(mut message: &[u8], path: &[u64]) -> Option<u64> {
    let Some((field, rest)) = path.split_first() else { return Some(1) };
    let mut count = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            5 => 4,
            _ => usize::try_from(varint(&mut message)?).ok()?,
        };
        let (value, after) = message.split_at_checked(length)?;
        if tag == field << 3 | 2 {
            count += items(value, rest)?;
        }
        message = after;
    }
    Some(count)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

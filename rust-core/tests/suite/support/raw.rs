//! An HTTP/1.1 endpoint that writes whatever bytes a test wants.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// An answer that says that all is well.
pub(crate) const WELL: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// What is done with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Writes bytes and keeps the connection.
    Keep(Vec<u8>),
    /// Writes bytes and closes.
    Close(Vec<u8>),
    /// Writes the first bytes, and then the second again and again, as long as anyone reads.
    Endless(Vec<u8>, Vec<u8>),
    /// Writes the first bytes, then the second one by one with a pause after each, and keeps the
    /// connection.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

type Plan = dyn Fn(usize) -> Reply + Send + Sync;

pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Raw {
    /// Starts an endpoint; `plan` says what is done with the first request, the second, …
    pub(crate) fn start(plan: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let raw = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            is_over: Arc::default(),
        };
        let (requests, connections) = (raw.requests.clone(), raw.connections.clone());
        let is_over = raw.is_over.clone();
        let plan: Arc<Plan> = Arc::new(plan);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, plan) = (requests.clone(), plan.clone());
                // A client that goes away is part of what is tested.
                std::thread::spawn(move || serve(stream, &requests, &*plan).ok());
            }
        });
        raw
    }

    /// Returns how many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Returns how many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // So that the thread looks.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, requests: &AtomicUsize, plan: &Plan) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        match plan(requests.fetch_add(1, Ordering::SeqCst)) {
            Reply::Keep(bytes) => stream.write_all(&bytes)?,
            Reply::Close(bytes) => return stream.write_all(&bytes),
            Reply::Endless(first, rest) => {
                stream.write_all(&first)?;
                loop {
                    stream.write_all(&rest)?;
                }
            }
            Reply::Drip(first, rest, pause) => {
                stream.write_all(&first)?;
                for byte in rest {
                    stream.write_all(&[byte])?;
                    std::thread::sleep(pause);
                }
            }
        }
    }
}

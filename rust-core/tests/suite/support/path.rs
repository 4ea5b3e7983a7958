//! A way to an endpoint that connections lose while they are open.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Passes bytes on between a port of its own and an endpoint.
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    /// Connections before this one lead nowhere.
    first_alive: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Path {
    pub(crate) fn to(endpoint: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = Self {
            address: listener.local_addr().unwrap(),
            first_alive: Arc::default(),
            made: Arc::default(),
        };
        let (first_alive, made) = (path.first_alive.clone(), path.made.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let index = made.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(endpoint) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let first_alive = first_alive.clone();
                    std::thread::spawn(move || {
                        pass(from, to, || first_alive.load(Ordering::SeqCst) <= index)
                    });
                }
            }
        });
        path
    }

    /// Swallows all that comes on the connections there are, and keeps them open, as a machine does
    /// that is gone from the network. New ones are as good as before.
    pub(crate) fn swallow(&self) {
        self.first_alive.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_alive: impl Fn() -> bool) {
    let mut bytes = [0; 1 << 14];
    while let Ok(length) = from.read(&mut bytes)
        && length > 0
    {
        if is_alive() && to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
    if is_alive() {
        let _ = to.shutdown(std::net::Shutdown::Write);
    }
}

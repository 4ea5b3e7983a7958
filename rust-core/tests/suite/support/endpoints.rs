//! Endpoints in every state.

use std::{net::TcpListener, time::Duration};

use super::sink::{Answer, Sink};

/// How an endpoint is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Well,
    /// Nobody listens.
    Refused,
    /// Connections are made, and nothing ever comes back.
    BlackHoled,
    Busy,
    Slow,
}

pub(crate) const ALL: [State; 5] =
    [State::Well, State::Refused, State::BlackHoled, State::Busy, State::Slow];

/// An endpoint in some state, as long as this lives.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    _sink: Option<Sink>,
    _listener: Option<TcpListener>,
}

impl Endpoint {
    pub(crate) fn new(state: State) -> Self {
        let answer = match state {
            State::Well => Answer::Take,
            State::Busy => Answer::Status(503),
            State::Slow => Answer::Slowly(Duration::from_millis(100)),
            State::Refused | State::BlackHoled => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let port = listener.local_addr().unwrap().port();
                let listener = matches!(state, State::BlackHoled).then_some(listener);
                return Self { port, _sink: None, _listener: listener };
            }
        };
        let sink = Sink::reading_at(0, drop);
        sink.answer(move |_| answer);
        Self { port: sink.address.port(), _sink: Some(sink), _listener: None }
    }
}

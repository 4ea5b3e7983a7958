//! The headers of a request that came in, looked at once.

use std::cell::Cell;

use http::{HeaderMap, HeaderValue, header};

use crate::{
    carrier::{Carrier, Medium, Search},
    wire,
};

/// Headers that are searched for a baton, and on the way for what a span says of them.
pub(super) struct Headers<'h> {
    headers: &'h HeaderMap,
    host: Cell<Option<&'h HeaderValue>>,
    user_agent: Cell<Option<&'h HeaderValue>>,
}

impl<'h> Headers<'h> {
    pub(super) fn new(headers: &'h HeaderMap) -> Self {
        Self { headers, host: Cell::new(None), user_agent: Cell::new(None) }
    }

    /// Returns what the search has seen of `Host`.
    pub(super) fn host(&self) -> Option<&'h str> {
        text(self.host.get()?)
    }

    /// Returns what the search has seen of `User-Agent`.
    pub(super) fn user_agent(&self) -> Option<&'h str> {
        text(self.user_agent.get()?)
    }
}

/// Returns a value as text, if it is ASCII.
fn text(value: &HeaderValue) -> Option<&str> {
    wire::text(value.as_bytes()).filter(|text| text.is_ascii())
}

impl Carrier for Headers<'_> {
    fn medium(&self) -> Medium {
        Medium::Http
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for (name, value) in self.headers {
            // Of several values the first counts.
            if *name == header::HOST {
                self.host.set(self.host.get().or(Some(value)));
            } else if *name == header::USER_AGENT {
                self.user_agent.set(self.user_agent.get().or(Some(value)));
            }
            search.offer(name.as_str().as_bytes(), Some(value.as_bytes()));
        }
    }
}

//! The headers of a request that came in, looked at once.

use http::{HeaderMap, HeaderValue};

use crate::{
    http::ReadHeaders,
    otel::usual,
    propagate::{Baton, Propagation},
    wire::{self, TraceContext},
};

/// Headers that are searched for a baton, and on the way for what a span says of them.
pub(super) struct Headers<'h> {
    all: &'h HeaderMap,
    read: ReadHeaders<'h>,
    host: Option<&'h HeaderValue>,
    user_agent: Option<&'h HeaderValue>,
}

impl<'h> Headers<'h> {
    pub(super) fn new(all: &'h HeaderMap) -> Self {
        let (mut host, mut user_agent) = (None, None);
        let read = ReadHeaders::looking(all, |name, value| {
            let place = match name {
                b"host" => &mut host,
                b"user-agent" => &mut user_agent,
                _ => return,
            };
            // Of several values the first counts.
            place.get_or_insert(value);
        });
        Self { all, read, host, user_agent }
    }

    /// Reads the baton, and a context that is not carried on but is to be linked to.
    pub(super) fn receive(&self, rules: &Rules) -> (Baton, Option<TraceContext>) {
        if !rules.is_usual {
            return rules.propagation.receive(self.all);
        }
        if self.read.is_empty() {
            return (Baton::default(), None);
        }
        if let Some(parent) = self.read.parent()
            && let Some(context) = rules.propagation.read_parent(parent)
        {
            return (Baton { context: Some(context), ..Baton::default() }, None);
        }
        let single = self.read.single();
        match single.and_then(|single| rules.propagation.read_single(&single)) {
            Some(baton) => (baton, None),
            None => rules.propagation.receive(self.all),
        }
    }

    /// Returns the first `Host`, if that is ASCII.
    pub(super) fn host(&self) -> Option<&'h str> {
        wire::ascii(self.host?.as_bytes())
    }

    /// Returns the first `User-Agent`, if that is ASCII.
    pub(super) fn user_agent(&self) -> Option<&'h str> {
        wire::ascii(self.user_agent?.as_bytes())
    }
}

/// How a listener reads what comes in.
#[derive(Debug)]
pub(super) struct Rules {
    propagation: Propagation,
    /// Whether nothing but the usual names is read.
    is_usual: bool,
}

impl Rules {
    pub(super) fn new(propagation: Propagation) -> Self {
        Self { is_usual: propagation.reads_only(&usual::NAMES, usual::PREFIX), propagation }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(Propagation::default())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::propagate::{LegacyNames, Trust};

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_what_the_map_says() {
        let names = LegacyNames::default().with_trace_ids(["X-Request-Id"]);
        let rules = [
            Propagation::default(),
            Propagation::default().with_legacy_names(names),
            Propagation::default().with_trust(Trust::Restart),
            Propagation::default().with_trust(Trust::Ignore),
            Propagation::default().with_baggage_keys(["b".to_owned()]),
        ];
        let rules = rules.map(Rules::new);
        let values: [&[u8]; 8] = [
            TEXT.as_bytes(),
            b"00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01",
            b"0af7651916cd43dd8448eb211c80319c",
            b"a=1",
            b"order-1",
            b"\xff",
            b"",
            b" a=1 ",
        ];
        let names = usual::NAMES.into_iter().chain(["x-baggage-a", "x-request-id", "host"]);
        let names: Vec<_> = names.map(HeaderName::from_static).collect();
        // Every pair of headers, the same name and value twice included.
        let headers: Vec<(&HeaderName, &[u8])> =
            names.iter().flat_map(|name| values.map(|value| (name, value))).collect();
        for one in &headers {
            for other in &headers {
                let mut map = HeaderMap::new();
                for (name, value) in [one, other] {
                    map.append(*name, HeaderValue::from_bytes(value).unwrap());
                }
                for rules in &rules {
                    let read = Headers::new(&map).receive(rules);
                    assert_eq!(read, rules.propagation.receive(&map), "{map:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_hosts_counts() {
        let mut map = HeaderMap::new();
        for (name, value) in [("host", "a"), ("host", "b"), ("user-agent", "c"), ("hosts", "d")] {
            map.append(name, HeaderValue::from_static(value));
        }
        let headers = Headers::new(&map);
        assert_eq!((headers.host(), headers.user_agent()), (Some("a"), Some("c")));
        map.insert("host", HeaderValue::from_bytes(b"\xe9").unwrap());
        assert_eq!(Headers::new(&map).host(), None);
    }
}

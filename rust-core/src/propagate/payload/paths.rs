//! Where a payload is searched: dotted paths, worked out once.

use std::borrow::Cow;

/// The members of an object that holds a baton, by the names of the headers.
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const BAGGAGE: &str = "baggage";
pub(super) const TRACE_ID: &str = "trace_id";

/// The paths at which payloads are searched, in the order they count.
#[derive(Clone, Debug)]
pub(in crate::propagate) struct Paths {
    /// Every path that is looked up, each once.
    lookups: Vec<Cow<'static, str>>,
    spots: Vec<Spot>,
}

/// A configured path, and what belongs to it; indices of lookups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) id: usize,
    /// Where the path ends in one of our own names: the members beside it.
    pub(super) object: Option<Members>,
}

/// The members of an object that holds a baton; indices of lookups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members {
    pub(super) traceparent: usize,
    pub(super) tracestate: usize,
    pub(super) baggage: usize,
    pub(super) trace_id: usize,
}

impl Paths {
    pub(in crate::propagate) fn new(paths: impl IntoIterator<Item = Cow<'static, str>>) -> Self {
        let mut built = Self { lookups: Vec::new(), spots: Vec::new() };
        for path in paths {
            built.push(path);
        }
        built
    }

    /// Adds the object at `target`: its `traceparent` goes before all, its `trace_id` after all.
    pub(in crate::propagate) fn with_target(&self, target: &str) -> Self {
        let own = self.spots.iter().filter_map(|spot| self.lookups.get(spot.id).cloned());
        let first = join(target, TRACEPARENT);
        let last = join(target, TRACE_ID);
        Self::new([first.into()].into_iter().chain(own).chain([last.into()]))
    }

    pub(super) fn lookups(&self) -> &[Cow<'static, str>] {
        &self.lookups
    }

    pub(super) fn spots(&self) -> &[Spot] {
        &self.spots
    }

    /// Returns the path of a lookup.
    pub(super) fn name(&self, lookup: usize) -> Cow<'static, str> {
        self.lookups.get(lookup).cloned().unwrap_or_default()
    }

    fn push(&mut self, path: Cow<'static, str>) {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let is_ours = name == TRACEPARENT || name == TRACE_ID;
        let object = is_ours.then(|| Members {
            traceparent: self.lookup(join(parent, TRACEPARENT).into()),
            tracestate: self.lookup(join(parent, TRACESTATE).into()),
            baggage: self.lookup(join(parent, BAGGAGE).into()),
            trace_id: self.lookup(join(parent, TRACE_ID).into()),
        });
        let id = self.lookup(path);
        if self.spots.iter().all(|spot| spot.id != id) {
            self.spots.push(Spot { id, object });
        }
    }

    fn lookup(&mut self, path: Cow<'static, str>) -> usize {
        self.lookups.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.lookups.push(path);
            self.lookups.len() - 1
        })
    }
}

/// Returns the path of a member of the object at `parent`.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

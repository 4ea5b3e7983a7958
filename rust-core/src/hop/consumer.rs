//! Where messages are read and where they go: named once, so that a hop costs little.

use std::{cell::RefCell, fmt, sync::Arc, thread::LocalKey};

use super::{fate::HopKind, record::Hop, recorder::Recorder, template::Template};
use crate::propagate::Baton;

/// A topic and the consumer group that reads it.
///
/// A loop that reads messages makes one and starts each message's hop by it: what all these hops
/// have in common is encoded here, once. Clones are cheap and speak of the same.
///
/// # Examples
///
/// ```
/// use tracebaton::hop::{Consumer, Destination, Recorder};
/// use tracebaton::propagate::Baton;
///
/// let orders = Consumer::new("orders", Some("billing"));
/// let invoices = Destination::new("invoices");
/// for offset in 42..45 {
///     let hop = orders.process(Recorder::global(), 0, offset, &Baton::default());
///     hop.output_to(&invoices).delivered(0, 7);
///     hop.end();
/// }
/// assert_eq!((orders.topic(), orders.group()), ("orders", Some("billing")));
/// ```
#[derive(Clone)]
pub struct Consumer(Arc<Template>);

impl Consumer {
    /// Names a topic and the group that reads it.
    #[must_use]
    pub fn new(topic: &str, group: Option<&str>) -> Self {
        Self(Arc::new(Template::of_input((HopKind::Process, topic), topic, group)))
    }

    /// Finds a topic and its group among those this thread has used of late.
    #[must_use]
    pub fn of(topic: &str, group: Option<&str>) -> Self {
        find(
            &CONSUMERS,
            |known| known.topic() == topic && known.group() == group,
            || Self::new(topic, group),
        )
    }

    /// Returns the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// Returns the consumer group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.0.group.as_deref()
    }

    /// Starts the hop of one message that a transform processes.
    #[must_use]
    pub fn process(&self, recorder: &Recorder, partition: i32, offset: i64, baton: &Baton) -> Hop {
        Hop::start(recorder, self.0.clone().into(), Some((partition, offset)), baton, None)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Consumer");
        shown.field("topic", &self.topic()).field("group", &self.group()).finish()
    }
}

/// A topic that outputs go to; see [`Consumer`].
#[derive(Clone)]
pub struct Destination(Arc<Template>);

impl Destination {
    /// Names a topic.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        Self(Arc::new(Template::of_output(topic)))
    }

    /// Finds a topic among those this thread has used of late.
    pub(super) fn of(topic: &str) -> Self {
        find(&DESTINATIONS, |known| known.topic() == topic, || Self::new(topic))
    }

    /// Returns the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    pub(super) fn template(&self) -> &Template {
        &self.0
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.topic()).finish()
    }
}

/// A thread remembers so many of each; few have to do with more topics at a time.
const MAX_KNOWN: usize = 32;

type Known<T> = RefCell<Vec<T>>;

thread_local! {
    static CONSUMERS: Known<Consumer> = const { RefCell::new(Vec::new()) };
    static DESTINATIONS: Known<Destination> = const { RefCell::new(Vec::new()) };
}

/// Finds what `is` the one among the known, the last used first, or makes it.
fn find<T: Clone>(
    known: &'static LocalKey<Known<T>>,
    is: impl Fn(&T) -> bool,
    make: impl FnOnce() -> T,
) -> T {
    let found = known.try_with(|known| {
        let mut known = known.try_borrow_mut().ok()?;
        let at = known.iter().position(is)?;
        known.get_mut(..=at)?.rotate_right(1);
        known.first().cloned()
    });
    // A thread that is ending remembers nothing.
    if let Some(found) = found.ok().flatten() {
        return found;
    }
    let made = make();
    let _ = known.try_with(|known| {
        if let Ok(mut known) = known.try_borrow_mut() {
            known.truncate(MAX_KNOWN - 1);
            known.insert(0, made.clone());
        }
    });
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_used_are_remembered_and_no_more_than_so_many() {
        let first = Destination::of("topic 0");
        for n in 0..3 * MAX_KNOWN {
            let _ = Destination::of(&format!("topic {n}"));
            assert!(Arc::ptr_eq(&Destination::of("topic 0").0, &first.0), "in use all the time");
        }
        assert_eq!(DESTINATIONS.with_borrow(Vec::len), MAX_KNOWN);
        let unused = Destination::of("topic 1");
        assert_eq!(unused.topic(), "topic 1");
    }

    #[test]
    fn groups_are_told_apart() {
        for group in [None, Some("a"), Some("b"), None, Some("a")] {
            assert_eq!(Consumer::of("orders", group).group(), group);
        }
    }
}

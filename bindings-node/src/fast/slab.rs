//! The hops that are open in this thread, and their outputs, by number.

use std::cell::RefCell;

use tracebaton::hop::{self, Coordinates};

/// The lower bits of a hop's number are its place; the others tell apart who had that place before.
const PLACE_BITS: u32 = 20;
/// Topics are given numbers up to here.
const MAX_TOPICS: usize = 1 << 16;

struct Open {
    hop: hop::Hop,
    outputs: Vec<Option<hop::Output>>,
}

#[derive(Default)]
struct Place {
    turn: u32,
    open: Option<Open>,
}

#[derive(Default)]
struct Slab {
    places: Vec<Place>,
    free: Vec<u32>,
    topics: Vec<Coordinates>,
}

impl Slab {
    fn open(&mut self, number: u32) -> Option<&mut Open> {
        let place = self.places.get_mut((number & ((1 << PLACE_BITS) - 1)) as usize)?;
        place.open.as_mut().filter(|_| place.turn == number >> PLACE_BITS)
    }
}

thread_local! {
    static SLAB: RefCell<Slab> = RefCell::default();
}

/// Gives a topic, with the group that reads it, a number; 0 where there are too many.
pub(crate) fn topic(topic: &str, group: Option<&str>) -> u32 {
    SLAB.with_borrow_mut(|slab| {
        let known = |at: &Coordinates| at.topic == topic && at.group.as_deref() == group;
        let at = slab.topics.iter().position(known).unwrap_or_else(|| {
            if slab.topics.len() < MAX_TOPICS {
                let (topic, group) = (topic.to_owned(), group.map(str::to_owned));
                slab.topics.push(Coordinates { topic, partition: 0, offset: 0, group });
            }
            slab.topics.len() - 1
        });
        u32::try_from(at + 1).unwrap_or_default()
    })
}

/// Calls `each` with the coordinates of an input of a topic.
pub(crate) fn with_input<T>(
    topic: u32,
    partition: i32,
    offset: i64,
    each: impl FnOnce(&Coordinates) -> T,
) -> Option<T> {
    SLAB.with_borrow_mut(|slab| {
        let input = slab.topics.get_mut((topic as usize).checked_sub(1)?)?;
        (input.partition, input.offset) = (partition, offset);
        Some(each(input))
    })
}

/// Keeps a hop until it is closed, and returns its number; 0 where there is no place.
pub(crate) fn put(hop: hop::Hop) -> u32 {
    SLAB.with_borrow_mut(|slab| {
        let open = Some(Open { hop, outputs: Vec::new() });
        let at = slab.free.pop().or_else(|| {
            let at = u32::try_from(slab.places.len()).ok().filter(|at| *at < 1 << PLACE_BITS)?;
            // The first turn is 1, so that no number is 0.
            slab.places.push(Place { turn: 1, open: None });
            Some(at)
        });
        let Some((at, place)) = at.and_then(|at| Some((at, slab.places.get_mut(at as usize)?)))
        else {
            return 0;
        };
        place.open = open;
        place.turn << PLACE_BITS | at
    })
}

/// Returns a hop that is open.
pub(crate) fn hop_of(number: u32) -> Option<hop::Hop> {
    SLAB.with_borrow_mut(|slab| slab.open(number).map(|open| open.hop.clone()))
}

/// Calls `each` with a hop that is open.
pub(super) fn with_hop<T>(number: u32, each: impl FnOnce(&hop::Hop) -> T) -> Option<T> {
    SLAB.with_borrow_mut(|slab| slab.open(number).map(|open| each(&open.hop)))
}

/// Keeps an output that `start` makes of a hop and the topics, and returns its number in the hop and
/// what `each` makes of it.
pub(crate) fn put_output<T>(
    hop: u32,
    start: impl FnOnce(&hop::Hop, &[Coordinates]) -> Option<hop::Output>,
    each: impl FnOnce(&hop::Output) -> T,
) -> Option<(u32, T)> {
    SLAB.with_borrow_mut(|slab| {
        let topics = std::mem::take(&mut slab.topics);
        let made = slab.open(hop).and_then(|open| {
            let output = start(&open.hop, &topics)?;
            let result = each(&output);
            open.outputs.push(Some(output));
            Some((u32::try_from(open.outputs.len() - 1).ok()?, result))
        });
        slab.topics = topics;
        made
    })
}

/// Calls `each` with an output that is still on its way.
pub(crate) fn with_output<T>(
    hop: u32,
    output: u32,
    each: impl FnOnce(&hop::Output) -> T,
) -> Option<T> {
    SLAB.with_borrow_mut(|slab| slab.open(hop)?.outputs.get(output as usize)?.as_ref().map(each))
}

/// Takes an output whose delivery is known.
pub(crate) fn take_output(hop: u32, output: u32) -> Option<hop::Output> {
    SLAB.with_borrow_mut(|slab| slab.open(hop)?.outputs.get_mut(output as usize)?.take())
}

/// Gives a hop up: what is still on its way is unconfirmed.
pub(crate) fn close(number: u32) {
    let closed = SLAB.with_borrow_mut(|slab| {
        let at = number & ((1 << PLACE_BITS) - 1);
        slab.open(number)?;
        let place = slab.places.get_mut(at as usize)?;
        place.turn = place.turn % ((1 << (32 - PLACE_BITS)) - 1) + 1;
        slab.free.push(at);
        place.open.take()
    });
    // Ended and dropped outside of the borrow.
    if let Some(Open { hop, outputs }) = closed {
        hop.end();
        drop(outputs);
    }
}

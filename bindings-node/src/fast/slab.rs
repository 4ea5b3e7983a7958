//! The hops that are open in this thread, and their outputs, by number.

use std::{cell::RefCell, collections::VecDeque};

use tracebaton::{
    hop::{self, Coordinates, Recorder},
    propagate::Baton,
};

/// The lower bits of a hop's number are its place; the others tell apart who had that place before.
const PLACE_BITS: u32 = 20;
/// So many places rest before the first of them is given away again: a number comes back only after millions
/// of hops, and whoever kept one that is over does not reach somebody else's.
const RESTING: usize = 1 << 10;
/// Topics are given numbers up to here.
const MAX_TOPICS: usize = 1 << 16;

struct Open {
    hop: hop::Hop,
    outputs: Vec<Option<hop::Output>>,
    /// Whose hop it is, where that is a whole batch's.
    batch: Option<Box<hop::Batch>>,
}

#[derive(Default)]
struct Place {
    turn: u32,
    open: Option<Open>,
}

#[derive(Default)]
struct Slab {
    places: Vec<Place>,
    /// Those that have rested longest come first.
    free: VecDeque<u32>,
    topics: Vec<Coordinates>,
}

impl Slab {
    fn open(&mut self, number: u32) -> Option<&mut Open> {
        open(&mut self.places, number)
    }

    /// Keeps what is open; one for which there is no place comes back.
    fn put(&mut self, new: Open) -> Result<u32, Open> {
        let is_full = self.places.len() >= 1 << PLACE_BITS;
        let at = if is_full || self.free.len() > RESTING {
            self.free.pop_front()
        } else {
            // The first turn is 1, so that no number is 0.
            self.places.push(Place { turn: 1, open: None });
            u32::try_from(self.places.len() - 1).ok()
        };
        let Some((at, place)) = at.and_then(|at| Some((at, self.places.get_mut(at as usize)?)))
        else {
            return Err(new);
        };
        place.open = Some(new);
        Ok(place.turn << PLACE_BITS | at)
    }

    /// Takes what is open at a place, which is free from then on.
    fn take(&mut self, at: u32) -> Option<Open> {
        let place = self.places.get_mut(at as usize)?;
        let open = place.open.take()?;
        place.turn = place.turn % ((1 << (32 - PLACE_BITS)) - 1) + 1;
        self.free.push_back(at);
        Some(open)
    }
}

/// Keeps what is open and returns its number; 0 where there is no place: nothing more can be said of it.
fn keep(new: Open) -> u32 {
    SLAB.with_borrow_mut(|slab| slab.put(new)).unwrap_or_else(|refused| {
        refused.leave_pending();
        0
    })
}

impl Open {
    fn leave_pending(self) {
        match self.batch {
            Some(batch) => batch.leave_pending(),
            None => self.hop.leave_pending(),
        }
    }
}

fn open(places: &mut [Place], number: u32) -> Option<&mut Open> {
    let place = places.get_mut((number & ((1 << PLACE_BITS) - 1)) as usize)?;
    place.open.as_mut().filter(|_| place.turn == number >> PLACE_BITS)
}

thread_local! {
    static SLAB: RefCell<Slab> = RefCell::default();
    /// The batch whose messages are being added.
    static POLLED: RefCell<Option<hop::Batch>> = const { RefCell::new(None) };
}

/// Gives a topic, with the group that reads it, a number; 0 where there are too many.
pub(crate) fn topic(topic: &str, group: Option<&str>) -> u32 {
    SLAB.with_borrow_mut(|slab| {
        let known = |at: &Coordinates| at.topic == topic && at.group.as_deref() == group;
        if let Some(at) = slab.topics.iter().position(known) {
            return u32::try_from(at + 1).unwrap_or_default();
        }
        if slab.topics.len() >= MAX_TOPICS {
            return 0;
        }
        let (topic, group) = (topic.to_owned(), group.map(str::to_owned));
        slab.topics.push(Coordinates { topic, partition: 0, offset: 0, group });
        u32::try_from(slab.topics.len()).unwrap_or_default()
    })
}

/// Where a message stood, with its topic as a number.
#[derive(Clone, Copy)]
pub(crate) struct Stood {
    pub(crate) topic: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Stood {
    fn input<'t>(&self, topics: &'t mut [Coordinates]) -> Option<&'t Coordinates> {
        let input = topics.get_mut((self.topic as usize).checked_sub(1)?)?;
        (input.partition, input.offset) = (self.partition, self.offset);
        Some(input)
    }
}

/// Starts the hop of a message, which leaves `batch` where that is the number of a batch's; nothing
/// where there is no such topic.
pub(crate) fn start(at: Stood, batch: u32, baton: &Baton) -> Option<hop::Hop> {
    SLAB.with_borrow_mut(|slab| {
        let input = at.input(&mut slab.topics)?;
        let batch = open(&mut slab.places, batch).and_then(|open| open.batch.as_mut());
        Some(match batch {
            Some(batch) => batch.take_out(input, baton),
            None => hop::Hop::process(Recorder::global(), input, baton),
        })
    })
}

/// Calls `each` with where a message stood; nothing where there is no such topic.
pub(crate) fn with_input<T>(at: Stood, each: impl FnOnce(&Coordinates) -> T) -> Option<T> {
    SLAB.with_borrow_mut(|slab| at.input(&mut slab.topics).map(each))
}

/// Adds a message to the batch that is being polled; tells whether there is such a topic.
pub(crate) fn add(at: Stood, baton: &Baton) -> bool {
    POLLED.with_borrow_mut(|polled| {
        let batch = polled.get_or_insert_with(|| hop::Batch::poll(Recorder::global()));
        with_input(at, |input| batch.add(input, baton)).is_some()
    })
}

/// Starts the hop of all messages that were added, and returns it with its number.
pub(crate) fn put_polled() -> (u32, hop::Hop) {
    let polled = POLLED.with_borrow_mut(Option::take);
    let mut batch = polled.unwrap_or_else(|| hop::Batch::poll(Recorder::global()));
    let hop = batch.hop().clone();
    let new = Open { hop: hop.clone(), outputs: Vec::new(), batch: Some(Box::new(batch)) };
    (keep(new), hop)
}

/// Keeps a hop until it is closed, and returns its number; 0 where there is no place: it is pending then.
pub(crate) fn put(hop: hop::Hop) -> u32 {
    keep(Open { hop, outputs: Vec::new(), batch: None })
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
        slab.take(at)
    });
    // Ended and dropped outside of the borrow.
    if let Some(Open { hop, outputs, batch }) = closed {
        match batch {
            Some(batch) => batch.passed(),
            None => hop.end(),
        }
        drop(outputs);
    }
}

/// Leaves every hop of this thread that is still open: the thread ends in the middle of it.
pub(crate) fn leave_all() {
    let open: Vec<Open> = SLAB.with_borrow_mut(|slab| {
        let places = (0..).take(slab.places.len());
        places.filter_map(|at| slab.take(at)).collect()
    });
    open.into_iter().for_each(Open::leave_pending);
}

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
    outputs: Vec<Option<OnItsWay>>,
    /// How many outputs will be reported even after the work is done.
    awaited: u32,
    /// Whether the work is done: it stays for what is awaited alone.
    is_closed: bool,
    /// Whose hop it is, where that is a whole batch's.
    batch: Option<Box<hop::Batch>>,
}

/// An output of which nobody has told yet.
struct OnItsWay {
    output: hop::Output,
    /// Whether a client has been given what reports its delivery.
    is_awaited: bool,
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
        open(&mut self.places, number).filter(|open| !open.is_closed)
    }

    /// Takes an output whose delivery is known; with the last that is awaited goes its hop.
    fn take_output(&mut self, hop: u32, output: u32) -> (Option<hop::Output>, Option<Open>) {
        let Some(open) = open(&mut self.places, hop) else { return (None, None) };
        let taken = open.outputs.get_mut(output as usize).and_then(Option::take);
        open.awaited -= u32::from(taken.as_ref().is_some_and(|taken| taken.is_awaited));
        let is_over = open.is_closed && open.awaited == 0;
        let over = is_over.then(|| self.take(place_of(hop))).flatten();
        (taken.map(|taken| taken.output), over)
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
    fn new(hop: hop::Hop, batch: Option<Box<hop::Batch>>) -> Self {
        Self { hop, outputs: Vec::new(), awaited: 0, is_closed: false, batch }
    }

    fn leave_pending(self) {
        if self.is_closed {
            // Its outputs are unconfirmed with their last handle.
            return;
        }
        match self.batch {
            Some(batch) => batch.leave_pending(),
            None => self.hop.leave_pending(),
        }
    }
}

const fn place_of(number: u32) -> u32 {
    number & ((1 << PLACE_BITS) - 1)
}

fn open(places: &mut [Place], number: u32) -> Option<&mut Open> {
    let place = places.get_mut(place_of(number) as usize)?;
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
    (keep(Open::new(hop.clone(), Some(Box::new(batch)))), hop)
}

/// Keeps a hop until it is closed, and returns its number; 0 where there is no place: it is pending then.
pub(crate) fn put(hop: hop::Hop) -> u32 {
    keep(Open::new(hop, None))
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
            open.outputs.push(Some(OnItsWay { output, is_awaited: false }));
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
    SLAB.with_borrow_mut(|slab| {
        let outputs = &open(&mut slab.places, hop)?.outputs;
        outputs.get(output as usize)?.as_ref().map(|on| each(&on.output))
    })
}

/// Takes an output whose delivery is known.
pub(crate) fn take_output(hop: u32, output: u32) -> Option<hop::Output> {
    let (output, over) = SLAB.with_borrow_mut(|slab| slab.take_output(hop, output));
    // Outside of the borrow: the last handle of a hop may be among it.
    drop(over);
    output
}

/// Takes note that a client will report the delivery of an output: its hop waits for it.
pub(crate) fn await_delivery(hop: u32, output: u32) {
    SLAB.with_borrow_mut(|slab| {
        let open = slab.open(hop)?;
        let on = open.outputs.get_mut(output as usize)?.as_mut()?;
        open.awaited += u32::from(!std::mem::replace(&mut on.is_awaited, true));
        Some(())
    });
}

/// Ends a hop: it waits for the outputs that are awaited; what else is still on its way is unconfirmed.
pub(crate) fn close(number: u32) {
    leave(number, hop::Hop::end);
}

/// Ends a hop whose record no output can save: it settles at once. What is told of an output that is awaited
/// still has its own event.
pub(crate) fn close_failed(number: u32) {
    leave(number, hop::Hop::close);
}

fn leave(number: u32, end: impl FnOnce(&hop::Hop)) {
    let closed = SLAB.with_borrow_mut(|slab| {
        let open = slab.open(number)?;
        if open.awaited == 0 {
            return slab.take(place_of(number));
        }
        open.is_closed = true;
        let others = |on: &mut Option<OnItsWay>| on.take_if(|on| !on.is_awaited);
        let outputs = open.outputs.iter_mut().map(others).collect();
        Some(Open { outputs, ..Open::new(open.hop.clone(), open.batch.take()) })
    });
    // Ended and dropped outside of the borrow.
    if let Some(Open { hop, outputs, batch, .. }) = closed {
        match batch {
            Some(batch) => batch.passed(),
            None => end(&hop),
        }
        drop(outputs);
    }
}

/// Says of the outputs that nobody will report that they were not sent.
pub(crate) fn refuse_all(number: u32, error_type: &str, message: &str) {
    let outputs: Vec<_> = SLAB.with_borrow_mut(|slab| {
        let outputs = slab.open(number).map(|open| open.outputs.iter_mut()).into_iter().flatten();
        outputs.filter_map(|on| on.take_if(|on| !on.is_awaited)).collect()
    });
    outputs.into_iter().for_each(|on| on.output.undelivered(error_type, message));
}

/// Leaves a hop that is open: nobody will say more of it.
pub(crate) fn leave_pending(number: u32) {
    let left = SLAB.with_borrow_mut(|slab| {
        slab.open(number)?;
        slab.take(place_of(number))
    });
    if let Some(open) = left {
        open.leave_pending();
    }
}

/// Tells whether any hop of this thread is still open.
pub(crate) fn has_open() -> bool {
    SLAB.with_borrow(|slab| slab.places.iter().any(|place| place.open.is_some()))
}

/// Leaves every hop of this thread that is still open: the thread ends in the middle of it.
pub(crate) fn leave_all() {
    let open: Vec<Open> = SLAB.with_borrow_mut(|slab| {
        let places = (0..).take(slab.places.len());
        places.filter_map(|at| slab.take(at)).collect()
    });
    open.into_iter().for_each(Open::leave_pending);
}

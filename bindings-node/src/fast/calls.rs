//! The calls themselves. Most find their arguments on the desk, and leave there what they return.

use std::cell::RefCell;

use napi::{Env, bindgen_prelude::Object, sys};
use napi_derive::napi;
use tracebaton::{
    hop::{self, Hop},
    propagate::Baton,
};

use super::{
    call::{Call, Function, ascii, define, run, run_at_desk, share, with_desk},
    carrier::{Usual, is_plain},
    desk::Desk,
    slab::{self, add, close, put, put_output, put_polled, start, take_output},
};
use crate::log;

/// What a call returns: mostly nothing, since the answer stands on the desk.
type Answer = Option<sys::napi_value>;

const NANOS_PER_MS: u64 = 1_000_000;

/// `extract()`: texts → ids and time, where they are all there is to say.
fn extract(_: sys::napi_env, desk: &mut Desk) -> Answer {
    let context = usual(desk).plain()?;
    desk.tell_context(context);
    desk.tell_time((hop::now() / NANOS_PER_MS) as f64);
    desk.is_done();
    None
}

fn usual(desk: &Desk) -> Usual<'_> {
    Usual { traceparent: desk.text(0), trace_id: desk.text(1) }
}

/// `begin()`: texts, topic, partition, offset, batch → the hop's number, whether it is plain, its ids.
fn begin(_: sys::napi_env, desk: &mut Desk) -> Answer {
    let (baton, linked) = usual(desk).baton();
    let hop = start(desk.stood(), desk.batch(), &baton)?;
    if let Some(linked) = linked {
        hop.link(linked);
    }
    tell_hop(desk, hop);
    None
}

/// `add()`: texts, topic, partition, offset: one more message of the batch that is being polled.
fn add_polled(_: sys::napi_env, desk: &mut Desk) -> Answer {
    let (baton, _) = usual(desk).baton();
    if add(desk.stood(), &baton) {
        desk.is_done();
    }
    None
}

/// `insert()`: texts, topic, partition, offset, batch: one more record on its way into a table.
fn insert(_: sys::napi_env, desk: &mut Desk) -> Answer {
    let (baton, _) = usual(desk).baton();
    if crate::insert::add(desk.batch(), desk.stood(), &baton) {
        desk.is_done();
    }
    None
}

/// `polled()` → the hop of all messages that were added, as `begin` returns one.
fn polled(_: sys::napi_env, desk: &mut Desk) -> Answer {
    let (number, hop) = put_polled();
    tell(desk, number, &hop);
    None
}

fn tell_hop(desk: &mut Desk, hop: Hop) {
    let kept = hop.clone();
    tell(desk, put(hop), &kept);
}

/// Leaves on the desk what JavaScript keeps of a hop.
fn tell(desk: &mut Desk, number: u32, hop: &Hop) {
    if let Some(context) = hop.baton().context {
        desk.tell_context(context);
    }
    desk.tell(number, is_plain(hop.baton()));
}

/// Keeps a hop that was started, and leaves on the desk what JavaScript keeps of it.
pub(crate) fn tell_started(hop: Hop) {
    with_desk(|desk| tell_hop(desk, hop));
}

/// `text()`: ids → their `traceparent`.
fn text(env: sys::napi_env, desk: &mut Desk) -> Answer {
    ascii(env, &desk.context()?.to_traceparent()?)
}

/// `emit()`: hop, topic → the output's `traceparent`; its number and whether it is plain.
fn emit(env: sys::napi_env, desk: &mut Desk) -> Answer {
    let topic = usize::try_from(desk.place()).ok()?.checked_sub(1)?;
    let start = |hop: &Hop, topics: &[tracebaton::hop::Coordinates]| {
        Some(hop.output(&topics.get(topic)?.topic))
    };
    let (number, (traceparent, is_plain)) = put_output(desk.subject(), start, |output| {
        let traceparent = output.baton().context.and_then(|context| context.to_traceparent());
        (traceparent, is_plain(output.baton()))
    })?;
    desk.tell(number, is_plain);
    ascii(env, &traceparent?)
}

/// `delivered()`: hop, output, partition, offset.
fn delivered(_: sys::napi_env, desk: &mut Desk) -> Answer {
    take_output(desk.subject(), desk.output())?.delivered(desk.place(), desk.offset());
    None
}

/// `deliveredAll(list)`: how many, partition, first offset; the list has hop and output of each.
fn delivered_all(call: &Call<1>) -> Answer {
    let (count, partition, first) =
        with_desk(|desk| (desk.subject(), desk.place(), desk.offset()))?;
    call.with_list(0, |list| {
        let (pairs, _) = list.as_chunks();
        let offsets = (0..).map(|at| first.saturating_add(at));
        for ([hop, output], offset) in pairs.iter().take(count as usize).zip(offsets) {
            if let Some(output) = take_output(hop.cast_unsigned(), output.cast_unsigned()) {
                output.delivered(partition, offset);
            }
        }
    });
    None
}

/// `closeAll(list)`: how many; the list has the hops.
fn close_all(call: &Call<1>) -> Answer {
    let count = with_desk(|desk| desk.subject())?;
    call.with_list(0, |list| {
        for hop in list.iter().take(count as usize) {
            close(hop.cast_unsigned());
        }
    });
    None
}

/// `stop()`: the work of a hop is done, outputs may be on their way.
fn stop(_: sys::napi_env, desk: &mut Desk) -> Answer {
    slab::hop_of(desk.subject())?.end();
    None
}

/// `close()`: what of a hop is still on its way is unconfirmed.
fn close_hop(_: sys::napi_env, desk: &mut Desk) -> Answer {
    close(desk.subject());
    None
}

thread_local! {
    /// The texts of one line: message and fields, one after the other.
    static TEXTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// `log(logger, level, message, fields, hop)` → 0; undefined where the hop is closed.
fn log(call: &Call<5>) -> Answer {
    TEXTS.with_borrow_mut(|texts| {
        texts.clear();
        let is_text = call.append(2, texts);
        let end = texts.len();
        let has_fields = call.append(3, texts);
        let (message, fields) = texts.split_at_checked(end).filter(|_| is_text)?;
        let message = String::from_utf8_lossy(message);
        let fields = has_fields.then_some(fields);
        let (logger, level) = (call.number(0), call.number(1));
        let write = |baton: Option<&Baton>| log::write(logger, level, &message, fields, baton);
        match call.number(4) {
            0 => write(None),
            hop => slab::with_hop(hop, |hop| write(Some(hop.baton())))?,
        }?;
        Some(call.zero())
    })
}

/// `share(buffer)` → the `ArrayBuffer` that is the desk.
fn share_desk(call: &Call<1>) -> Answer {
    share(call)
}

/// Makes a function as N-API calls it.
macro_rules! function {
    ($body:path) => {{
        extern "C" fn called(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
            run(env, info, $body)
        }
        called as Function
    }};
}

/// The same for one whose arguments stand on the desk.
macro_rules! at_desk {
    ($body:path) => {{
        extern "C" fn called(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
            run_at_desk(env, $body)
        }
        called as Function
    }};
}

#[napi(module_exports)]
pub fn register(exports: Object<'_>, env: Env) -> napi::Result<()> {
    use napi::JsValue;
    let functions = [
        (c"fastExtract", at_desk!(extract)),
        (c"fastText", at_desk!(text)),
        (c"fastBegin", at_desk!(begin)),
        (c"fastAdd", at_desk!(add_polled)),
        (c"fastInsert", at_desk!(insert)),
        (c"fastPolled", at_desk!(polled)),
        (c"fastEmit", at_desk!(emit)),
        (c"fastDelivered", at_desk!(delivered)),
        (c"fastLog", function!(log)),
        (c"fastStop", at_desk!(stop)),
        (c"fastClose", at_desk!(close_hop)),
        (c"fastDeliveredAll", function!(delivered_all)),
        (c"fastCloseAll", function!(close_all)),
        (c"fastShare", function!(share_desk)),
    ];
    define(env.raw(), exports.raw(), &functions);
    Ok(())
}

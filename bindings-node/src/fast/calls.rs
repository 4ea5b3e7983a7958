//! The calls themselves.

use std::cell::RefCell;

use napi::{Env, bindgen_prelude::Object, sys};
use napi_derive::napi;
use tracebaton::{
    hop::{Hop, Recorder},
    propagate::Baton,
};

use super::{
    call::{Call, Function, Given, MAX_TEXT, define, reply, run, share},
    carrier::{Usual, is_plain},
    slab::{self, close, put, put_output, take_output, with_input},
};
use crate::log;

/// Reads the two usual headers and hands what was found to `each`; nothing where they have to be
/// read in the general way.
fn with_usual<const N: usize, T>(
    call: &Call<N>,
    each: impl FnOnce(&Usual<'_>) -> Option<T>,
) -> Option<T> {
    let (mut room, mut other_room) = ([0; MAX_TEXT], [0; MAX_TEXT]);
    let value = |given| match given {
        Given::Absent => Some(None),
        Given::Bytes(bytes) => Some(Some(bytes)),
        Given::Other => None,
    };
    let traceparent = value(call.given(0, &mut room))?;
    let trace_id = value(call.given(1, &mut other_room))?;
    each(&Usual { traceparent, trace_id })
}

/// `extract(traceparent, traceId)` → the `traceparent` that is carried on, where that is all there is
/// to say; undefined asks for the general way.
fn extract(call: &Call<2>) -> Option<sys::napi_value> {
    with_usual(call, |usual| usual.with_plain_text(|text| call.ascii(text)))
}

/// `begin(traceparent, traceId, topic, partition, offset)` → the hop's `traceparent`; its number and
/// whether it is plain are replied.
fn begin(call: &Call<5>) -> Option<sys::napi_value> {
    with_usual(call, |usual| {
        let offset = call.offset(4)?;
        let (baton, linked) = usual.baton();
        let recorder = Recorder::global();
        let hop = with_input(call.number(2), call.signed(3), offset, |input| {
            Hop::process(recorder, input, &baton)
        })?;
        if let Some(linked) = linked {
            hop.link(linked);
        }
        started(call, hop)
    })
}

fn started<const N: usize>(call: &Call<N>, hop: Hop) -> Option<sys::napi_value> {
    let traceparent = hop.baton().context?.to_traceparent()?;
    let plain = u32::from(is_plain(hop.baton()));
    reply([put(hop), plain]);
    Some(call.ascii(&traceparent))
}

/// `emit(hop, topic)` → the output's `traceparent`; its number and whether it is plain are replied.
fn emit(call: &Call<2>) -> Option<sys::napi_value> {
    let topic = (call.number(1) as usize).checked_sub(1)?;
    let start = |hop: &Hop, topics: &[tracebaton::hop::Coordinates]| {
        Some(hop.output(&topics.get(topic)?.topic))
    };
    let (number, (traceparent, plain)) = put_output(call.number(0), start, |output| {
        let traceparent = output.baton().context.and_then(|context| context.to_traceparent());
        (traceparent, u32::from(is_plain(output.baton())))
    })?;
    reply([number, plain]);
    Some(call.ascii(&traceparent?))
}

/// `delivered(hop, output, partition, offset)` → 0; undefined where the offset has to be looked at.
fn delivered(call: &Call<4>) -> Option<sys::napi_value> {
    let offset = call.offset(3)?;
    if let Some(output) = take_output(call.number(0), call.number(1)) {
        output.delivered(call.signed(2), offset);
    }
    Some(call.zero())
}

/// `stop(hop)`: the work is done, outputs may be on their way.
fn stop(call: &Call<1>) -> Option<sys::napi_value> {
    slab::hop_of(call.number(0))?.end();
    None
}

/// `close(hop)`: what is still on its way is unconfirmed.
fn close_hop(call: &Call<1>) -> Option<sys::napi_value> {
    close(call.number(0));
    None
}

thread_local! {
    /// The texts of one line: message and fields, one after the other.
    static TEXTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// `log(logger, level, message, fields, hop)` → 0; undefined where the hop is closed.
fn log(call: &Call<5>) -> Option<sys::napi_value> {
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

/// `share(array)` → the `Uint32Array` for what is replied.
fn share_replies(call: &Call<1>) -> Option<sys::napi_value> {
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

#[napi(module_exports)]
pub fn register(exports: Object<'_>, env: Env) -> napi::Result<()> {
    use napi::JsValue;
    let functions = [
        (c"fastExtract", function!(extract)),
        (c"fastBegin", function!(begin)),
        (c"fastEmit", function!(emit)),
        (c"fastDelivered", function!(delivered)),
        (c"fastLog", function!(log)),
        (c"fastStop", function!(stop)),
        (c"fastClose", function!(close_hop)),
        (c"fastShare", function!(share_replies)),
    ];
    define(env.raw(), exports.raw(), &functions);
    Ok(())
}

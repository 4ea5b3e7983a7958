//! Header carriers for rdkafka.
//!
//! rdkafka panics when headers are iterated of which one has a key that is not UTF-8, so that
//! whoever may write to a topic could stop its consumers. Headers are therefore read through
//! librdkafka's own calls, as bytes.

#![allow(unsafe_code, reason = "librdkafka's header calls are the way around rdkafka's panic")]

use std::{
    ffi::{CStr, CString, c_char, c_void},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};

use opentelemetry::propagation::{Extractor, Injector};
use rdkafka::{
    bindings::{
        rd_kafka_header_add, rd_kafka_header_cnt, rd_kafka_header_get_all,
        rd_kafka_header_get_last, rd_kafka_header_remove, rd_kafka_headers_t, rd_kafka_resp_err_t,
    },
    message::{BorrowedHeaders, OwnedHeaders},
};

use crate::{
    carrier::{Carrier, CarrierMut, Medium, Search},
    otel::{
        stale, texts,
        usual::{self, Answer, Usual},
    },
    wire::text,
};

/// The usual names, by their number, as librdkafka takes them.
const NAMES: [&CStr; usual::NAMES.len()] =
    [c"traceparent", c"tracestate", c"baggage", c"x-trace-id", c"trace_id", c"x-span-id"];

/// The number of `traceparent`.
const PARENT: usize = 0;

/// Names up to this length are given to librdkafka without being copied to the heap.
const MAX_SHORT: usize = 63;

/// The headers of a consumed message, or of one that is to be sent; none is an empty list.
#[derive(Clone, Copy)]
pub struct ReadHeaders<'h>(pub Option<&'h BorrowedHeaders>);

impl<'h> ReadHeaders<'h> {
    /// Returns the names and values in order, as bytes.
    pub fn iter(self) -> impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> {
        self.found().map(|header| (header.name(), header.value()))
    }

    fn found(self) -> impl Iterator<Item = Found<'h>> {
        (0..).map_while(move |index| self.0.and_then(|headers| Found::at(headers, index)))
    }

    /// Returns which of the usual names there are, and the value of the last `traceparent`.
    #[inline]
    fn usual(self) -> Answer<'h> {
        let mut all = Answer { medium: Medium::Kafka, usual: Usual::default(), parent: &[] };
        let Some(headers) = self.0 else { return all };
        for place in 0..count(headers) {
            let Some(header) = Found::at(headers, place) else { break };
            // Most names are told by their first bytes, and need not be measured.
            if header.may_be_usual() && all.usual.note(header.name()) == Some(PARENT) {
                all.parent = header.value().unwrap_or_default();
            }
        }
        all
    }
}

/// A header whose name was not measured yet.
struct Found<'h> {
    name: NonNull<c_char>,
    value: *const c_void,
    size: usize,
    list: PhantomData<&'h BorrowedHeaders>,
}

impl<'h> Found<'h> {
    /// Returns the header at `index`, unless there are fewer.
    #[inline]
    fn at(headers: &'h BorrowedHeaders, index: usize) -> Option<Self> {
        let list = native(headers);
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `list` is the live list that `headers` borrows; librdkafka only reads it, checks
        // the index, and sets the three places, which are ours.
        let error =
            unsafe { rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size) };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let name = NonNull::new(name.cast_mut())?;
        Some(Self { name, value, size, list: PhantomData })
    }

    /// Tells by the start of the name, which most need not be measured for, if it may be a usual one.
    #[inline]
    fn may_be_usual(&self) -> bool {
        let (first, second) = self.start();
        usual::may_start_with(first, || second)
    }

    /// Returns the first two bytes of the name; after the only one of a name there is zero.
    #[inline]
    fn start(&self) -> (u8, u8) {
        let name = self.name.cast::<u8>();
        // SAFETY: librdkafka keeps every name with a NUL after it, inside the list that is borrowed; so
        // there is a second byte where the first is another.
        unsafe {
            let first = name.read();
            (first, if first == 0 { 0 } else { name.add(1).read() })
        }
    }

    fn name(&self) -> &'h [u8] {
        // SAFETY: as in `start`; the list is borrowed for as long as the returned slice lives.
        unsafe { CStr::from_ptr(self.name.as_ptr()) }.to_bytes()
    }

    fn value(&self) -> Option<&'h [u8]> {
        // SAFETY: a value that is not null has `size` bytes inside the same list.
        (!self.value.is_null())
            .then(|| unsafe { slice::from_raw_parts(self.value.cast::<u8>(), self.size) })
    }
}

/// Returns the value of the last header of a name.
fn last<'h>(headers: &'h BorrowedHeaders, name: &CStr) -> Option<&'h [u8]> {
    let (mut value, mut size) = (ptr::null(), 0);
    // SAFETY: the list is the live one that `headers` borrows and the name ends with NUL; librdkafka
    // only reads them, and sets the two places, which are ours.
    let error =
        unsafe { rd_kafka_header_get_last(native(headers), name.as_ptr(), &mut value, &mut size) };
    if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || value.is_null() {
        return None;
    }
    // SAFETY: a value that is not null has `size` bytes inside that list.
    Some(unsafe { slice::from_raw_parts(value.cast::<u8>(), size) })
}

/// Returns how many headers there are.
fn count(headers: &BorrowedHeaders) -> usize {
    // SAFETY: the list is the live one that `headers` borrows; librdkafka only reads it.
    unsafe { rd_kafka_header_cnt(native(headers)) }
}

/// Returns librdkafka's list: a `BorrowedHeaders` is the address of one, and nothing else.
fn native(headers: &BorrowedHeaders) -> *mut rd_kafka_headers_t {
    ptr::from_ref(headers).cast_mut().cast()
}

impl Carrier for ReadHeaders<'_> {
    fn medium(&self) -> Medium {
        Medium::Kafka
    }

    fn search<'a>(&'a self, search: &mut Search<'_, 'a>) {
        for header in self.found() {
            let (first, second) = header.start();
            if search.may_start_with(first, second) {
                search.offer(header.name(), header.value());
            }
        }
    }
}

/// Reads for OpenTelemetry propagators, ours or others: the last of a name counts, and what is not
/// UTF-8 is absent.
///
/// An extractor around this one that gives other values under some names must do so in `get_all` too,
/// or leave `get_all` to the trait: what it hands on unchanged tells our propagator which headers there
/// are.
impl Extractor for ReadHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if let Some(name) = usual::number(key.as_bytes()).and_then(|number| NAMES.get(number)) {
            return text(last(self.0?, name)?);
        }
        let (_, value) = self.iter().filter(|(name, _)| *name == key.as_bytes()).last()?;
        text(value?)
    }

    fn keys(&self) -> Vec<&str> {
        self.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        if usual::answer(self, key, || self.usual()) {
            return None;
        }
        self.get(key).map(|value| vec![value])
    }
}

/// Headers of a message that is to be sent, in which a baton can be put.
pub struct OwnedBaton(pub OwnedHeaders);

impl CarrierMut for OwnedBaton {
    fn medium(&self) -> Medium {
        Medium::Kafka
    }

    fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    fn write(&mut self, fields: &[(&str, &str)]) {
        // Most often none of them is there: one look at the list spares a search for each.
        let mut there = 0_u64;
        for (name, _) in ReadHeaders(Some(self.0.as_borrowed())).iter() {
            let known = fields.iter().position(|(known, _)| known.as_bytes() == name);
            there |= known.map_or(0, bit);
        }
        for (number, (name, value)) in fields.iter().enumerate() {
            if there & bit(number) != 0 {
                self.remove(name);
            }
            if !value.is_empty() {
                self.add(name, value);
            }
        }
    }

    fn remove(&mut self, name: &str) {
        if self.count() == 0 {
            return;
        }
        if let Some(name) = usual::number(name.as_bytes()).and_then(|number| NAMES.get(number)) {
            return self.remove_all(name);
        }
        let mut short = [0; MAX_SHORT + 1];
        let long;
        let name = match short.get_mut(..name.len()).filter(|_| name.len() <= MAX_SHORT) {
            Some(place) => {
                place.copy_from_slice(name.as_bytes());
                CStr::from_bytes_with_nul(short.get(..=name.len()).unwrap_or_default()).ok()
            }
            None => {
                long = CString::new(name);
                long.as_deref().ok()
            }
        };
        // No header's name has a NUL inside.
        if let Some(name) = name {
            self.remove_all(name);
        }
    }
}

impl OwnedBaton {
    fn count(&self) -> usize {
        count(self.0.as_borrowed())
    }

    fn remove_all(&mut self, name: &CStr) {
        let list = native(self.0.as_borrowed());
        let (mut value, mut size) = (ptr::null(), 0);
        // SAFETY: as in `last`. This look compares lengths first; to remove is to compare all names.
        let found = unsafe { rd_kafka_header_get_last(list, name.as_ptr(), &mut value, &mut size) };
        if found == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // SAFETY: the list is ours alone, as `self` is borrowed mutably, and the name ends with
            // NUL.
            let _ = unsafe { rd_kafka_header_remove(list, name.as_ptr()) };
        }
    }
}

impl OwnedBaton {
    fn add(&mut self, name: &str, value: &str) {
        let (Ok(name_size), Ok(value_size)) =
            (isize::try_from(name.len()), isize::try_from(value.len()))
        else {
            return;
        };
        // SAFETY: the list is ours alone, as `self` is borrowed mutably; librdkafka copies the name
        // and the value, whose pointers and sizes belong together.
        let _ = unsafe {
            rd_kafka_header_add(
                native(self.0.as_borrowed()),
                name.as_ptr().cast(),
                name_size,
                value.as_ptr().cast::<c_void>(),
                value_size,
            )
        };
    }
}

/// The last bit stands for all numbers from there on.
fn bit(number: usize) -> u64 {
    1 << number.min(63)
}

/// Writes for OpenTelemetry propagators, in place of what stood there. A propagator is not told what
/// it writes to: the legacy id comes by its name in HTTP and gets the one that it has in Kafka.
///
/// A `traceparent` that [`BatonPropagator`](crate::otel::BatonPropagator) writes also replaces `tracestate`
/// and `baggage`, so that headers which were copied from a message that came in do not go on beside another
/// trace. Of other propagators what they do not write stays.
impl Injector for OwnedBaton {
    fn set(&mut self, key: &str, value: String) {
        let is_next = stale::is_next(key);
        let key = match key {
            usual::LEGACY => Medium::Kafka.legacy_name(),
            key => key,
        };
        match self.count() {
            0 => {}
            // What was written just now is all there is.
            1 if is_next => {}
            _ => {
                stale::besides(key).iter().for_each(|name| self.remove(name));
                self.remove(key);
            }
        }
        self.add(key, &value);
        texts::give_back(value);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::propagation::TextMapPropagator;
    use rdkafka::message::{Header, Headers};

    use super::*;
    use crate::{
        otel::{BatonPropagator, baton_of},
        propagate::{Baton, Propagation},
    };

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn header<'a>(key: &'a str, value: Option<&'a [u8]>) -> Header<'a, &'a [u8]> {
        Header { key, value }
    }

    #[test]
    fn a_propagator_writes_the_legacy_id_by_its_name_in_kafka() {
        let headers = OwnedHeaders::new().insert(header("traceparent", Some(TEXT.as_bytes())));
        let cx = BatonPropagator::default().extract(&ReadHeaders(Some(headers.as_borrowed())));
        let mut written = OwnedBaton(OwnedHeaders::new());
        BatonPropagator::default().inject_context(&cx, &mut written);
        let baton = baton_of(&cx).unwrap();
        let mut direct = OwnedBaton(OwnedHeaders::new());
        Propagation::default().inject(&baton, &mut direct);
        let names = |headers: &OwnedHeaders| -> Vec<String> {
            headers.iter().map(|header| header.key.to_owned()).collect()
        };
        assert_eq!(names(&written.0), ["traceparent", "trace_id"]);
        assert_eq!(names(&written.0), names(&direct.0));
    }

    #[test]
    fn a_propagator_replaces_whatever_stood_there() {
        let parent = OwnedHeaders::new().insert(header("traceparent", Some(TEXT.as_bytes())));
        let cx = BatonPropagator::default().extract(&ReadHeaders(Some(parent.as_borrowed())));
        let baton = baton_of(&cx).unwrap();
        let names = ["traceparent", "trace_id", "x-trace-id", "source"];
        let pairs = names.iter().flat_map(|one| names.map(|other| vec![*one, other]));
        let single = names.map(|one| vec![one]);
        for before in pairs.chain(single) {
            let list = || {
                let headers = OwnedHeaders::new();
                before.iter().fold(headers, |list, name| list.insert(header(name, Some(b"old"))))
            };
            let (mut written, mut direct) = (OwnedBaton(list()), OwnedBaton(list()));
            BatonPropagator::default().inject_context(&cx, &mut written);
            Propagation::default().inject(&baton, &mut direct);
            let all = |headers: &OwnedBaton| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
                let list = ReadHeaders(Some(headers.0.as_borrowed()));
                list.iter()
                    .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
                    .collect()
            };
            assert_eq!(all(&written), all(&direct), "{before:?}");
        }
    }

    #[test]
    fn what_belongs_to_another_trace_does_not_stay() {
        let headers = OwnedHeaders::new().insert(header("traceparent", Some(TEXT.as_bytes())));
        let cx = BatonPropagator::default().extract(&ReadHeaders(Some(headers.as_borrowed())));
        let mut copied = OwnedHeaders::new();
        for name in ["tracestate", "baggage", "shop", "tracestate"] {
            copied = copied.insert(header(name, Some(b"a=1")));
        }
        let mut written = OwnedBaton(copied);
        BatonPropagator::default().inject_context(&cx, &mut written);
        let names: Vec<&str> = written.0.iter().map(|header| header.key).collect();
        assert_eq!(names, ["shop", "traceparent", "trace_id"]);
    }

    #[test]
    fn the_last_of_a_name_counts_and_null_is_absent() {
        let headers = OwnedHeaders::new()
            .insert(header("traceparent", Some(b"junk")))
            .insert(header("traceparent", Some(TEXT.as_bytes())))
            .insert(header("trace_id", None));
        let extracted = Propagation::default().extract(&ReadHeaders(Some(headers.as_borrowed())));
        let context = extracted.baton.context.unwrap();
        assert_eq!(context.to_traceparent().unwrap(), TEXT);
        assert_eq!(extracted.refused[0].name, "trace_id");
    }

    #[test]
    fn writing_replaces_every_header_of_the_name() {
        let headers = OwnedHeaders::new()
            .insert(header("trace_id", Some(b"one")))
            .insert(header("keep", Some(b"\xff")))
            .insert(header("trace_id", Some(b"two")));
        let mut headers = OwnedBaton(headers);
        CarrierMut::set(&mut headers, "trace_id", "three");
        let names: Vec<&str> = headers.0.iter().map(|header| header.key).collect();
        assert_eq!(names, ["keep", "trace_id"]);
        let read: Vec<_> = ReadHeaders(Some(headers.0.as_borrowed())).iter().collect();
        assert_eq!(read[1], (&b"trace_id"[..], Some(&b"three"[..])));
    }

    /// Adds a header whose name may be no text.
    fn add(headers: &OwnedHeaders, name: &[u8], value: Option<&[u8]>) {
        let (value, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        let (name, length) = (name.as_ptr().cast(), name.len().cast_signed());
        // SAFETY: the list is owned by `headers`; librdkafka copies the bytes it is shown.
        unsafe {
            rd_kafka_header_add(
                native(headers.as_borrowed()),
                name,
                length,
                value.cast::<c_void>(),
                size.cast_signed(),
            )
        };
    }

    #[test]
    fn what_is_read_through_opentelemetry_is_what_the_message_says() {
        let names = usual::NAMES.into_iter().map(str::as_bytes);
        let names = names.chain([
            &b"Traceparent"[..],
            b"X-Trace-Id",
            b"x-baggage-a",
            b"X-Baggage-B",
            b"x-baggage-\xff",
            b"\xff",
            b"",
            b"t",
            b"x",
            b"tenant",
        ]);
        let values: [Option<&[u8]>; 7] = [
            Some(TEXT.as_bytes()),
            Some(b"00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-03"),
            Some(b"a=1"),
            Some(b"order-1"),
            Some(b"\xff"),
            Some(b""),
            None,
        ];
        // Every pair of headers, the same name and value twice included.
        let headers: Vec<_> = names.flat_map(|name| values.map(|value| (name, value))).collect();
        for one in &headers {
            // Of several headers of one pair OpenTelemetry gives the last, be it right or not.
            let is_pair = |other: &(&[u8], _)| one.0 == other.0 && one.0.starts_with(b"x-baggage-");
            for other in headers.iter().filter(|other| !is_pair(other)) {
                let list = OwnedHeaders::new();
                for (name, value) in [one, other] {
                    add(&list, name, *value);
                }
                let carrier = ReadHeaders(Some(list.as_borrowed()));
                let direct = Propagation::default().extract(&carrier).baton;
                let nothing = direct.context.is_none() && direct.baggage.is_empty();
                let direct = if nothing { Baton::default() } else { direct };
                let cx = BatonPropagator::default().extract(&carrier);
                assert_eq!(baton_of(&cx).unwrap_or_default(), direct, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_the_propagator_writes_is_what_stands_there() {
        let list = OwnedHeaders::new()
            .insert(header("traceparent", Some(TEXT.as_bytes())))
            .insert(header("tracestate", Some(b"a=1")));
        let cx = BatonPropagator::default().extract(&ReadHeaders(Some(list.as_borrowed())));
        // Twice, as the memory of the first texts serves the second.
        for _ in 0..2 {
            let mut written = OwnedBaton(OwnedHeaders::new());
            BatonPropagator::default().inject_context(&cx, &mut written);
            let read: Vec<_> = ReadHeaders(Some(written.0.as_borrowed())).iter().collect();
            let id = &TEXT.as_bytes()[3..35];
            assert_eq!(
                read,
                [
                    (&b"traceparent"[..], Some(TEXT.as_bytes())),
                    (b"tracestate", Some(b"a=1")),
                    (b"trace_id", Some(id)),
                ]
            );
        }
    }

    #[test]
    fn names_that_are_not_utf_8_are_read_as_bytes() {
        let headers = OwnedHeaders::new().insert(header("ok", Some(b"1")));
        add(&headers, b"\xff\xfe", None);
        let read: Vec<_> = ReadHeaders(Some(headers.as_borrowed())).iter().collect();
        assert_eq!(read, [(&b"ok"[..], Some(&b"1"[..])), (&b"\xff\xfe"[..], None)]);
    }

    #[test]
    fn what_is_written_at_once_replaces_every_header_of_its_names() {
        let headers = OwnedHeaders::new()
            .insert(header("trace_id", Some(b"one")))
            .insert(header("tracestate", Some(b"a=1")))
            .insert(header("keep", Some(b"\xff")))
            .insert(header("trace_id", Some(b"two")));
        let mut headers = OwnedBaton(headers);
        headers.write(&[("traceparent", TEXT), ("tracestate", ""), ("trace_id", "three")]);
        let read: Vec<_> = ReadHeaders(Some(headers.0.as_borrowed())).iter().collect();
        let expected: [(&[u8], Option<&[u8]>); 3] = [
            (b"keep", Some(b"\xff")),
            (b"traceparent", Some(TEXT.as_bytes())),
            (b"trace_id", Some(b"three")),
        ];
        assert_eq!(read, expected);
    }
}

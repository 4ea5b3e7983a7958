//! Header carriers for rdkafka.
//!
//! rdkafka panics when headers are iterated of which one has a key that is not UTF-8, so that
//! whoever may write to a topic could stop its consumers. Headers are therefore read through
//! librdkafka's own calls, as bytes.

#![allow(unsafe_code, reason = "librdkafka's header calls are the way around rdkafka's panic")]

use std::{
    ffi::{CStr, CString, c_void},
    ptr, slice,
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
    otel::usual::{self, Usual},
    wire::text,
};

/// The usual names, by their number, as librdkafka takes them.
const NAMES: [&CStr; usual::NAMES.len()] =
    [c"traceparent", c"tracestate", c"baggage", c"x-trace-id", c"trace_id", c"x-span-id"];

/// Names up to this length are given to librdkafka without being copied to the heap.
const MAX_SHORT: usize = 63;

/// The headers of a consumed message, or of one that is to be sent; none is an empty list.
#[derive(Clone, Copy)]
pub struct ReadHeaders<'h>(pub Option<&'h BorrowedHeaders>);

impl<'h> ReadHeaders<'h> {
    /// Returns the names and values in order, as bytes.
    pub fn iter(self) -> impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> {
        (0..).map_while(move |index| self.0.and_then(|headers| at(headers, index)))
    }
}

/// Returns the header at `index`, unless there are fewer.
fn at(headers: &BorrowedHeaders, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
    let list = native(headers);
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: `list` is the live list that `headers` borrows; librdkafka only reads it, checks the
    // index, and sets the three places, which are ours.
    let error = unsafe { rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size) };
    if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
        return None;
    }
    // SAFETY: librdkafka keeps every name with a NUL after it, inside the list that is borrowed for
    // as long as the returned slice lives.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    // SAFETY: a value that is not null has `size` bytes inside the same list.
    let value =
        (!value.is_null()).then(|| unsafe { slice::from_raw_parts(value.cast::<u8>(), size) });
    Some((name, value))
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
    // SAFETY: as in `at`.
    Some(unsafe { slice::from_raw_parts(value.cast::<u8>(), size) })
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
        for (name, value) in self.iter() {
            search.offer(name, value);
        }
    }
}

/// Reads for OpenTelemetry propagators, ours or others: the last of a name counts, and what is not
/// UTF-8 is absent.
impl Extractor for ReadHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if usual::is_asked(key) {
            let mut usual = Usual::default();
            for (name, _) in self.iter() {
                let _ = usual.note(name);
            }
            return usual.answer::<Self>();
        }
        if let Some(name) = usual::number(key.as_bytes()).and_then(|number| NAMES.get(number)) {
            return text(last(self.0?, name)?);
        }
        let (_, value) = self.iter().filter(|(name, _)| *name == key.as_bytes()).last()?;
        text(value?)
    }

    fn keys(&self) -> Vec<&str> {
        self.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok()).collect()
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
        let list = native(self.0.as_borrowed());
        // SAFETY: the list is live; librdkafka only reads how many headers it has.
        if unsafe { rd_kafka_header_cnt(list) } == 0 {
            return;
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
        let Some(name) = name else { return };
        // SAFETY: the list is ours alone, as `self` is borrowed mutably, and the name ends with NUL.
        // That no header has the name is not an error here.
        let _ = unsafe { rd_kafka_header_remove(list, name.as_ptr()) };
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

/// Writes for OpenTelemetry propagators, in place of what stood there.
impl Injector for OwnedBaton {
    fn set(&mut self, key: &str, value: String) {
        CarrierMut::set(self, key, &value);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, Headers};

    use super::*;
    use crate::propagate::Propagation;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn header<'a>(key: &'a str, value: Option<&'a [u8]>) -> Header<'a, &'a [u8]> {
        Header { key, value }
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

    #[test]
    fn names_that_are_not_utf_8_are_read_as_bytes() {
        let headers = OwnedHeaders::new().insert(header("ok", Some(b"1")));
        let bad = CString::new(b"\xff\xfe".to_vec()).unwrap();
        // SAFETY: the list is owned by `headers`, the name ends with NUL and has two bytes.
        unsafe {
            rd_kafka_header_add(native(headers.as_borrowed()), bad.as_ptr(), 2, ptr::null(), 0)
        };
        let read: Vec<_> = ReadHeaders(Some(headers.as_borrowed())).iter().collect();
        assert_eq!(read, [(&b"ok"[..], Some(&b"1"[..])), (&b"\xff\xfe"[..], None)]);
    }
}

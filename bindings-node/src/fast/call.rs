//! One call from JavaScript: its arguments, and what it returns. All that is unsafe in this crate stands here.

#![expect(unsafe_code, reason = "the bare N-API is a C interface")]

use std::{cell::Cell, panic::catch_unwind, ptr};

use napi::sys;

/// A text that is longer goes another way.
pub(super) const MAX_TEXT: usize = 128;

/// Whole numbers up to here are exact in JavaScript.
pub(crate) const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The arguments of one call.
pub(super) struct Call<const N: usize> {
    env: sys::napi_env,
    arguments: [sys::napi_value; N],
}

/// A header's value as JavaScript gives it.
pub(super) enum Given<'a> {
    /// There is none.
    Absent,
    /// The bytes.
    Bytes(&'a [u8]),
    /// Something that only the general way can read.
    Other,
}

impl<const N: usize> Call<N> {
    fn new(env: sys::napi_env, info: sys::napi_callback_info) -> Option<Self> {
        let (mut arguments, mut count) = ([ptr::null_mut(); N], N);
        // SAFETY: `arguments` has room for `count` values; what is missing is filled with undefined.
        let status = unsafe {
            let (this, data) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), this, data)
        };
        (status == sys::Status::napi_ok).then_some(Self { env, arguments })
    }

    fn argument(&self, at: usize) -> sys::napi_value {
        self.arguments.get(at).copied().unwrap_or(ptr::null_mut())
    }

    fn type_of(&self, at: usize) -> i32 {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: the argument is a live handle of this call; a null is refused by status.
        unsafe { sys::napi_typeof(self.env, self.argument(at), &mut kind) };
        kind
    }

    /// Reads a whole number that fits.
    pub(super) fn number(&self, at: usize) -> u32 {
        let mut number = 0;
        // SAFETY: as above; another type leaves the 0.
        unsafe { sys::napi_get_value_uint32(self.env, self.argument(at), &mut number) };
        number
    }

    /// Reads a whole number that may be negative.
    pub(super) fn signed(&self, at: usize) -> i32 {
        let mut number = 0;
        // SAFETY: as above.
        unsafe { sys::napi_get_value_int32(self.env, self.argument(at), &mut number) };
        number
    }

    /// Reads an offset: a whole number as a text, a number or a bigint.
    pub(super) fn offset(&self, at: usize) -> Option<i64> {
        match self.type_of(at) {
            sys::ValueType::napi_string => {
                let mut room = [0; MAX_TEXT];
                std::str::from_utf8(self.text(at, &mut room)?).ok()?.parse().ok()
            }
            sys::ValueType::napi_number => {
                let mut number = 0.0;
                // SAFETY: as above.
                unsafe { sys::napi_get_value_double(self.env, self.argument(at), &mut number) };
                let is_whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE;
                is_whole.then_some(number as i64)
            }
            sys::ValueType::napi_bigint => {
                let (mut number, mut is_lossless) = (0, false);
                // SAFETY: as above.
                unsafe {
                    let value = self.argument(at);
                    sys::napi_get_value_bigint_int64(self.env, value, &mut number, &mut is_lossless)
                };
                is_lossless.then_some(number)
            }
            _ => None,
        }
    }

    /// Reads a text that is not too long into `room`.
    fn text<'a>(&self, at: usize, room: &'a mut [u8; MAX_TEXT]) -> Option<&'a [u8]> {
        let mut length = 0;
        // SAFETY: at most `MAX_TEXT` bytes are written, the last of them a NUL.
        let status = unsafe {
            let (value, start) = (self.argument(at), room.as_mut_ptr().cast());
            sys::napi_get_value_string_utf8(self.env, value, start, MAX_TEXT, &mut length)
        };
        // A text that fills the room may have been cut.
        let is_whole = status == sys::Status::napi_ok && length < MAX_TEXT - 4;
        room.get(..length).filter(|_| is_whole)
    }

    /// Reads a text of any length into the end of `buffer`, and tells whether it was one.
    pub(super) fn append(&self, at: usize, buffer: &mut Vec<u8>) -> bool {
        let (mut length, start) = (0, buffer.len());
        let value = self.argument(at);
        // SAFETY: without a buffer only the length is told; then there is room for that and a NUL.
        unsafe {
            let (none, room) = (ptr::null_mut(), 0);
            if sys::napi_get_value_string_utf8(self.env, value, none, room, &mut length)
                != sys::Status::napi_ok
            {
                return false;
            }
            buffer.resize(start + length + 1, 0);
            let place = buffer.as_mut_ptr().add(start).cast();
            sys::napi_get_value_string_utf8(self.env, value, place, length + 1, &mut length);
        }
        buffer.truncate(start + length);
        true
    }

    /// Reads a header's value, a Buffer or a text, into `room`.
    pub(super) fn given<'a>(&self, at: usize, room: &'a mut [u8; MAX_TEXT]) -> Given<'a> {
        match self.type_of(at) {
            sys::ValueType::napi_undefined => Given::Absent,
            sys::ValueType::napi_string => self.text(at, room).map_or(Given::Other, Given::Bytes),
            sys::ValueType::napi_object => {
                let (mut start, mut length) = (ptr::null_mut(), 0);
                // SAFETY: anything but a Buffer is refused by status.
                let status = unsafe {
                    let value = self.argument(at);
                    sys::napi_get_buffer_info(self.env, value, &mut start, &mut length)
                };
                let Some(room) = room.get_mut(..length).filter(|_| status == sys::Status::napi_ok)
                else {
                    return Given::Other;
                };
                if length > 0 {
                    // SAFETY: `length` bytes start there, and nothing here goes back to JavaScript.
                    // They are copied because another thread may share them.
                    unsafe { ptr::copy_nonoverlapping(start.cast(), room.as_mut_ptr(), length) };
                }
                Given::Bytes(room)
            }
            _ => Given::Other,
        }
    }

    /// Makes the number 0.
    pub(super) fn zero(&self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: what is made is null where it fails, which JavaScript sees as undefined.
        unsafe { sys::napi_create_uint32(self.env, 0, &mut value) };
        value
    }

    /// Makes a text of ASCII.
    pub(super) fn ascii(&self, text: &str) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: start and length are those of `text`; what is made is checked by status.
        unsafe {
            let length = text.len() as isize;
            sys::napi_create_string_latin1(self.env, text.as_ptr().cast(), length, &mut value);
        }
        value
    }
}

/// How many numbers a call can return beside its value.
pub(super) const REPLIES: usize = 2;

thread_local! {
    /// Where the array of this thread's JavaScript lies, and what keeps it; null until it asked for one.
    static REPLY: Cell<(*mut u32, sys::napi_ref)> =
        const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

/// Returns numbers beside the value of a call.
pub(super) fn reply(numbers: [u32; REPLIES]) {
    let (start, _) = REPLY.get();
    if !start.is_null() {
        // SAFETY: the array is of this thread, has `REPLIES` places and is never given up while its
        // environment lives: `share` keeps a reference to it.
        unsafe { start.cast::<[u32; REPLIES]>().write_unaligned(numbers) };
    }
}

/// Takes the `Uint32Array` through which numbers are returned, and returns the one that is used: this
/// package may be loaded several times in one thread, and all must look at the same.
pub(super) fn share(call: &Call<1>) -> Option<sys::napi_value> {
    let (mut length, mut start) = (0, ptr::null_mut());
    let (_, known) = REPLY.get();
    // SAFETY: everything is checked by status before it is used, and the reference keeps the array.
    unsafe {
        if !known.is_null() {
            let mut value = ptr::null_mut();
            let status = sys::napi_get_reference_value(call.env, known, &mut value);
            return (status == sys::Status::napi_ok).then_some(value);
        }
        let (mut kind, mut buffer, mut at) = (0, ptr::null_mut(), 0);
        let value = call.argument(0);
        let status = sys::napi_get_typedarray_info(
            call.env,
            value,
            &mut kind,
            &mut length,
            &mut start,
            &mut buffer,
            &mut at,
        );
        let mut kept = ptr::null_mut();
        let is_kept = status == sys::Status::napi_ok
            && kind == sys::TypedarrayType::uint32_array
            && length >= REPLIES
            && sys::napi_create_reference(call.env, value, 1, &mut kept) == sys::Status::napi_ok;
        is_kept.then(|| {
            REPLY.set((start.cast(), kept));
            value
        })
    }
}

/// Runs a call. A panic in it is no crash of the process: it returns undefined then.
pub(super) fn run<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: fn(&Call<N>) -> Option<sys::napi_value>,
) -> sys::napi_value {
    let result = catch_unwind(|| Call::new(env, info).and_then(|call| body(&call)));
    result.ok().flatten().unwrap_or(ptr::null_mut())
}

/// A function as N-API calls it.
pub(super) type Function =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// Adds functions to an object.
pub(super) fn define(
    env: sys::napi_env,
    object: sys::napi_value,
    functions: &[(&'static std::ffi::CStr, Function)],
) {
    for (name, function) in functions {
        let mut value = ptr::null_mut();
        // SAFETY: names are NUL-terminated and live for ever, and so do the functions.
        unsafe {
            let length = name.to_bytes().len() as isize;
            let data = ptr::null_mut();
            sys::napi_create_function(
                env,
                name.as_ptr(),
                length,
                Some(*function),
                data,
                &mut value,
            );
            sys::napi_set_named_property(env, object, name.as_ptr(), value);
        }
    }
}

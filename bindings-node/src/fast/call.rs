//! One call from JavaScript: its arguments, and what it returns. All that is unsafe in this crate stands here.

#![expect(unsafe_code, reason = "the bare N-API is a C interface")]

use std::{cell::RefCell, panic::catch_unwind, ptr};

use napi::sys;

use super::desk::Desk;

/// Whole numbers up to here are exact in JavaScript.
pub(crate) const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The arguments of one call.
pub(super) struct Call<const N: usize> {
    env: sys::napi_env,
    arguments: [sys::napi_value; N],
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

    /// Reads a whole number that fits.
    pub(super) fn number(&self, at: usize) -> u32 {
        let mut number = 0;
        // SAFETY: as above; another type leaves the 0.
        unsafe { sys::napi_get_value_uint32(self.env, self.argument(at), &mut number) };
        number
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

    /// Calls `each` with the numbers of an `Int32Array`.
    pub(super) fn with_list<T>(&self, at: usize, each: impl FnOnce(&[i32]) -> T) -> Option<T> {
        let (mut kind, mut length, mut start) = (0, 0, ptr::null_mut());
        let (mut buffer, mut offset) = (ptr::null_mut(), 0);
        // SAFETY: everything is checked by status before it is used.
        let status = unsafe {
            let value = self.argument(at);
            let place = &mut start;
            sys::napi_get_typedarray_info(
                self.env,
                value,
                &mut kind,
                &mut length,
                place,
                &mut buffer,
                &mut offset,
            )
        };
        let is_list = status == sys::Status::napi_ok && kind == sys::TypedarrayType::int32_array;
        let start = ptr::NonNull::new(start.cast::<i32>()).filter(|start| start.is_aligned());
        let start = start.filter(|_| is_list)?;
        // SAFETY: so many numbers start there. The array is this package's own, which shares it with
        // no other thread, and JavaScript does not run before `each` has returned.
        Some(each(unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }))
    }

    /// Makes the number 0.
    pub(super) fn zero(&self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: what is made is null where it fails, which JavaScript sees as undefined.
        unsafe { sys::napi_create_uint32(self.env, 0, &mut value) };
        value
    }
}

/// Makes a text of ASCII.
pub(super) fn ascii(env: sys::napi_env, text: &str) -> Option<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: start and length are those of `text`; what is made is used only where it succeeded.
    let status = unsafe {
        let length = text.len() as isize;
        sys::napi_create_string_latin1(env, text.as_ptr().cast(), length, &mut value)
    };
    (status == sys::Status::napi_ok).then_some(value)
}

/// The desk of a thread's JavaScript, and what keeps it.
struct Shared {
    start: ptr::NonNull<Desk>,
    kept: sys::napi_ref,
}

thread_local! {
    static DESK: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Takes the `ArrayBuffer` that is the desk, and returns the one that is used: this package may be
/// loaded several times in one thread, and all must look at the same.
pub(super) fn share(call: &Call<1>) -> Option<sys::napi_value> {
    let (mut value, mut start, mut length) = (call.argument(0), ptr::null_mut(), 0);
    let mut kept = ptr::null_mut();
    DESK.with_borrow_mut(|desk| {
        // SAFETY: everything is checked by status before it is used, and the reference keeps the
        // memory: the buffer is this package's own, nobody else can give it up.
        unsafe {
            if let Some(known) = desk {
                let status = sys::napi_get_reference_value(call.env, known.kept, &mut value);
                return (status == sys::Status::napi_ok).then_some(value);
            }
            let status = sys::napi_get_arraybuffer_info(call.env, value, &mut start, &mut length);
            let start = ptr::NonNull::new(start.cast::<Desk>()).filter(|start| {
                status == sys::Status::napi_ok && length >= size_of::<Desk>() && start.is_aligned()
            })?;
            let status = sys::napi_create_reference(call.env, value, 1, &mut kept);
            (status == sys::Status::napi_ok).then(|| {
                *desk = Some(Shared { start, kept });
                value
            })
        }
    })
}

/// Calls `each` with this thread's desk; nothing where JavaScript has not brought one.
pub(super) fn with_desk<T>(each: impl FnOnce(&mut Desk) -> T) -> Option<T> {
    DESK.with_borrow_mut(|desk| {
        // SAFETY: the memory has the size of a desk, is aligned for it and lives as long as its
        // environment. It is this thread's alone, JavaScript does not run meanwhile, and the borrow
        // keeps it from being found twice. Any bytes are a desk.
        desk.as_mut().map(|desk| each(unsafe { desk.start.as_mut() }))
    })
}

/// Runs a call whose arguments stand on the desk, and where it leaves its answer. A panic in it is no
/// crash of the process: it returns undefined then.
pub(super) fn run_at_desk(
    env: sys::napi_env,
    body: fn(sys::napi_env, &mut Desk) -> Option<sys::napi_value>,
) -> sys::napi_value {
    let result = catch_unwind(|| with_desk(|desk| body(env, desk)).flatten());
    result.ok().flatten().unwrap_or(ptr::null_mut())
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

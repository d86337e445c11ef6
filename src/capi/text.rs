//! Text into and out of C.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, CString, c_char};

use uuid::Uuid;

use crate::status::{Error, Status};

/// Size of a uuid as text, NUL included.
pub(super) const UUID_SIZE: usize = 37;
/// Size of the buffer for the text of an error, NUL included.
const LAST_ERROR_BYTES: usize = 1024;

thread_local! {
    // A place that never moves and is not freed while its thread lives, so that a pointer
    // that was kept too long shows a newer text and not freed memory.
    static LAST_ERROR: UnsafeCell<[c_char; LAST_ERROR_BYTES]> = const { UnsafeCell::new([0; LAST_ERROR_BYTES]) };
    static LAST_HTTP_STATUS: Cell<u16> = const { Cell::new(0) };
}

/// Remembers what was wrong with the last call that failed on this thread.
#[cold]
pub(super) fn set_last_error(error: &Error) {
    set_last_text(&error.message);
    let _ = LAST_HTTP_STATUS.try_with(|last| last.set(error.http_status));
}

/// The same for what is wrong by itself, without an error of the library.
#[cold]
pub(super) fn set_last_text(text: &str) {
    let _ = LAST_HTTP_STATUS.try_with(|last| last.set(0));
    // SAFETY: the place is this thread's own and has this many bytes; C reads it only
    // between calls.
    let _ = LAST_ERROR.try_with(|place| unsafe { copy_out(text, place.get().cast(), LAST_ERROR_BYTES) });
}

/// The text of the last call that failed on this thread.
pub(super) fn last_error() -> *const c_char {
    LAST_ERROR.try_with(|place| place.get().cast_const().cast()).unwrap_or(c"".as_ptr())
}

/// The HTTP status of the last call that failed on this thread.
pub(super) fn last_http_status() -> u16 {
    LAST_HTTP_STATUS.try_with(Cell::get).unwrap_or(0)
}

/// Text for C; it ends at the first NUL in it.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(before_nul(text)).unwrap_or_default()
}

fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// The error about an argument with this name.
#[cold]
pub(super) fn bad_argument(name: &str, what_it_is: &str) -> Error {
    Error::new(Status::INVALID_ARGUMENT, format_args!("{name} is {what_it_is}"))
}

/// A NUL-terminated argument; `None` if it is NULL.
///
/// # Safety
/// The pointer is NULL or points to bytes that end in NUL and do not change while the slice
/// lives.
pub(super) unsafe fn optional<'a>(pointer: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller passes NULL or NUL-terminated text.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// A NUL-terminated argument that must not be NULL.
///
/// # Safety
/// As for [`optional`].
pub(super) unsafe fn required<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a [u8], Error> {
    // SAFETY: the caller passes NULL or NUL-terminated text.
    unsafe { optional(pointer) }.ok_or_else(|| bad_argument(what, "NULL"))
}

/// The length of a NUL-terminated argument; 0 if it is NULL.
///
/// # Safety
/// As for [`optional`].
pub(super) unsafe fn length(pointer: *const c_char) -> usize {
    // SAFETY: the caller passes NULL or NUL-terminated text.
    unsafe { optional(pointer) }.map_or(0, <[u8]>::len)
}

/// An argument with its length that must not be NULL.
///
/// # Safety
/// The pointer is NULL or valid for `len` bytes that do not change while the slice lives.
pub(super) unsafe fn sized<'a>(
    pointer: *const c_char,
    len: usize,
    what: &'static str,
) -> Result<&'a [u8], Error> {
    if pointer.is_null() || len > isize::MAX as usize {
        let wrong = if pointer.is_null() { "NULL" } else { "too long" };
        return Err(bad_argument(what, wrong));
    }
    // SAFETY: the caller passes a text of `len` bytes.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}

/// UTF-8 text of a setting or a name.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| bad_argument(what, "not valid UTF-8"))
}

/// Writes text and a NUL into a buffer of `len` bytes, cut off at a character where it does
/// not fit. Returns the length of the whole text, like snprintf.
///
/// # Safety
/// The buffer is NULL or valid for writes of `len` bytes.
pub(super) unsafe fn copy_out(text: &str, buffer: *mut c_char, len: usize) -> usize {
    let text = before_nul(text);
    if !buffer.is_null() && len > 0 {
        let mut cut = text.len().min(len - 1);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        // SAFETY: `cut` bytes and the NUL fit, and the text is not in the buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, cut);
            buffer.add(cut).write(0);
        }
    }
    text.len()
}

/// The 36 characters of a uuid and a NUL.
pub(super) fn uuid_text(uuid: Uuid) -> [u8; UUID_SIZE] {
    let mut text = [0; UUID_SIZE];
    uuid.hyphenated().encode_lower(&mut text);
    text
}

/// Writes a uuid's text. NULL is not written to.
///
/// # Safety
/// The pointer is NULL or valid for writes of [`UUID_SIZE`] bytes.
pub(super) unsafe fn write_uuid(uuid: Uuid, out: *mut c_char) {
    if !out.is_null() {
        let text = uuid_text(uuid);
        // SAFETY: the caller passes a buffer for so many bytes.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len()) };
    }
}

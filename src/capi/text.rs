//! Text in and out of C.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char};

use uuid::Uuid;

use crate::status::{Error, Status};

/// Room for the text of an error, NUL included.
const LAST_ERROR_BYTES: usize = 1024;

thread_local! {
    // A place that never moves and is never freed while its thread lives, so
    // that a pointer that was kept too long shows a newer text, no garbage.
    static LAST_ERROR: UnsafeCell<[c_char; LAST_ERROR_BYTES]> = const { UnsafeCell::new([0; LAST_ERROR_BYTES]) };
}

/// Remembers what went wrong on this thread.
pub fn set_last_error(text: &str) {
    let text = c_string(text);
    let text = text.to_str().unwrap_or_default();
    // SAFETY: the place is this thread's alone and has so many bytes; C reads
    // it between calls only.
    let _ = LAST_ERROR.try_with(|place| unsafe { copy_out(text, place.get().cast(), LAST_ERROR_BYTES) });
}

/// The text of the last call that failed on this thread.
pub fn last_error() -> *const c_char {
    LAST_ERROR.try_with(|place| place.get().cast_const().cast()).unwrap_or(c"".as_ptr())
}

/// Text for C; it ends at a NUL inside it.
pub fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(text.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// A NUL-terminated argument; none when it is NULL.
///
/// # Safety
/// The pointer is NULL or points to bytes that end in NUL and do not change
/// while the slice lives.
pub unsafe fn optional<'a>(pointer: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: as the caller says.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// A NUL-terminated argument that must be there.
///
/// # Safety
/// As for [`optional`].
pub unsafe fn required<'a>(pointer: *const c_char, what: &str) -> Result<&'a [u8], Error> {
    // SAFETY: as the caller says.
    unsafe { optional(pointer) }
        .ok_or_else(|| Error::new(Status::INVALID_ARGUMENT, format!("{what} is NULL")))
}

/// An argument with its length.
///
/// # Safety
/// The pointer is NULL or valid for `len` bytes that do not change while the
/// slice lives.
pub unsafe fn sized<'a>(pointer: *const c_char, len: usize, what: &str) -> Result<&'a [u8], Error> {
    if pointer.is_null() || len > isize::MAX as usize {
        return Err(Error::new(Status::INVALID_ARGUMENT, format!("{what} is NULL or too long")));
    }
    // SAFETY: as the caller says.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}

/// UTF-8 text of a setting or a name.
pub fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes)
        .map_err(|_| Error::new(Status::INVALID_ARGUMENT, format!("{what} is not valid UTF-8")))
}

/// Writes text and a NUL into a buffer of `len` bytes, cut off where it does not
/// fit; answers the length of the whole text, like snprintf.
///
/// # Safety
/// The buffer is NULL or valid for writes of `len` bytes.
pub unsafe fn copy_out(text: &str, buffer: *mut c_char, len: usize) -> usize {
    if !buffer.is_null() && len > 0 {
        let mut cut = text.len().min(len - 1);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        // SAFETY: `cut` bytes and the NUL fit; the text is not in the buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, cut);
            buffer.add(cut).write(0);
        }
    }
    text.len()
}

/// Writes a uuid's 36 characters and a NUL. NULL takes nothing.
///
/// # Safety
/// The pointer is NULL or valid for writes of 37 bytes.
pub unsafe fn write_uuid(uuid: Uuid, out: *mut c_char) {
    if !out.is_null() {
        let mut text = [0; 37];
        uuid.hyphenated().encode_lower(&mut text);
        // SAFETY: as the caller says.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len()) };
    }
}

//! What is behind the pointers that C holds. Freeing one kind as the other does not
//! compile.

use std::sync::Arc;

use super::text::bad_argument;
use crate::status::Error;

/// A C type that is a `Box` of its own value.
pub(super) trait Boxed: Sized {
    /// Gives the value to C.
    fn into_raw(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }
}

/// A C type that stands for an `Arc` of another.
pub(super) trait Counted {
    /// What is counted.
    type Target;

    /// Gives one reference to C.
    fn into_raw(target: Arc<Self::Target>) -> *mut Self;

    /// The pointer as the `Arc`'s own.
    fn target(pointer: *const Self) -> *const Self::Target;
}

/// Borrows what C holds.
///
/// # Safety
/// The pointer is NULL or came from [`Boxed::into_raw`] and is neither freed nor mutated
/// while the reference lives.
pub(super) unsafe fn borrow<'a, T: Boxed>(pointer: *const T, what: &'static str) -> Result<&'a T, Error> {
    // SAFETY: the caller passes NULL or a live `Box`'s pointer (see above).
    unsafe { pointer.as_ref() }.ok_or_else(|| bad_argument(what, "NULL"))
}

/// Borrows what C holds, to change it.
///
/// # Safety
/// As for [`borrow`], and no other thread uses it at the same time.
pub(super) unsafe fn borrow_mut<'a, T: Boxed>(
    pointer: *mut T,
    what: &'static str,
) -> Result<&'a mut T, Error> {
    // SAFETY: the caller passes NULL or a live `Box`'s pointer that only it uses.
    unsafe { pointer.as_mut() }.ok_or_else(|| bad_argument(what, "NULL"))
}

/// Takes back what C held. NULL gives `None`.
///
/// # Safety
/// The pointer is NULL or came from [`Boxed::into_raw`] and is never used again.
pub(super) unsafe fn take<T: Boxed>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: the pointer came from `Box::into_raw`, and this is its only use from now on.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Borrows the target of a counted handle.
///
/// # Safety
/// The pointer is NULL or came from [`Counted::into_raw`], and its reference is not given
/// back while the borrow lives.
pub(super) unsafe fn share<'a, T: Counted>(
    pointer: *const T,
    what: &'static str,
) -> Result<&'a T::Target, Error>
where
    T::Target: 'a,
{
    if pointer.is_null() {
        return Err(bad_argument(what, "NULL"));
    }
    // SAFETY: an `Arc`'s pointer is that of its target, which lives while the reference
    // that C holds is not given back.
    Ok(unsafe { &*T::target(pointer) })
}

/// Takes back one reference. NULL gives `None`.
///
/// # Safety
/// The pointer is NULL or came from [`Counted::into_raw`] and is never used again.
pub(super) unsafe fn take_count<T: Counted>(pointer: *mut T) -> Option<Arc<T::Target>> {
    // SAFETY: the pointer came from `Arc::into_raw`, and C gives up its one reference.
    (!pointer.is_null()).then(|| unsafe { Arc::from_raw(T::target(pointer)) })
}

/// Writes a result into a place of the caller's.
///
/// # Safety
/// The pointer is NULL or valid for a write of `T`.
pub(super) unsafe fn write<T>(pointer: *mut T, value: T, what: &'static str) -> Result<(), Error> {
    if pointer.is_null() {
        return Err(bad_argument(what, "NULL"));
    }
    // SAFETY: the caller passes a place for a `T`.
    unsafe { pointer.write(value) };
    Ok(())
}

/// A C struct of which every byte is initialised: it has no padding.
///
/// # Safety
/// `Self` is `repr(C)` and has no padding bytes.
pub(super) unsafe trait Plain {}

/// Fills a caller's struct of `size` bytes: a struct only ever grows at its end, so the caller
/// may know of less than the library, or of more, which becomes zero. NULL is not written to.
///
/// # Safety
/// The pointer is NULL or valid for writes of `size` bytes.
pub(super) unsafe fn fill<T: Plain>(pointer: *mut T, value: &T, size: usize) {
    if !pointer.is_null() {
        let known = size.min(size_of::<T>());
        // SAFETY: both sides are valid for `known` bytes, all of them initialised
        // (`Plain`), and do not overlap. The caller's struct has `size` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::from_ref(value).cast::<u8>(),
                pointer.cast::<u8>(),
                known,
            );
            pointer.cast::<u8>().add(known).write_bytes(0, size - known);
        };
    }
}

//! What is behind the pointers that C holds. Freeing one kind as the other does
//! not compile.

use std::sync::Arc;

use crate::status::{Error, Status};

/// A C type that is a `Box` of its own value.
pub trait Boxed: Sized {
    /// Gives the value to C.
    fn into_raw(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }
}

/// A C type that stands for an `Arc` of another.
pub trait Counted {
    /// What is counted.
    type Target;

    /// Gives one count to C.
    fn into_raw(target: Arc<Self::Target>) -> *mut Self;

    /// The pointer as the `Arc`'s own.
    fn target(pointer: *const Self) -> *const Self::Target;
}

fn null(what: &str) -> Error {
    Error::new(Status::INVALID_ARGUMENT, format!("{what} is NULL"))
}

/// Borrows what C holds.
///
/// # Safety
/// The pointer is NULL or came from [`Boxed::into_raw`] and is not freed or
/// mutated while the reference lives.
pub unsafe fn borrow<'a, T: Boxed>(pointer: *const T, what: &str) -> Result<&'a T, Error> {
    // SAFETY: as the caller says.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// Borrows what C holds, to change it.
///
/// # Safety
/// As for [`borrow`], and no other thread uses it meanwhile.
pub unsafe fn borrow_mut<'a, T: Boxed>(pointer: *mut T, what: &str) -> Result<&'a mut T, Error> {
    // SAFETY: as the caller says.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(what))
}

/// Takes back what C held. NULL is nothing.
///
/// # Safety
/// The pointer is NULL or came from [`Boxed::into_raw`] and is never used again.
pub unsafe fn take<T: Boxed>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: as the caller says.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Borrows the target of a counted handle.
///
/// # Safety
/// The pointer is NULL or came from [`Counted::into_raw`], and its count is not
/// given back while the reference lives.
pub unsafe fn share<'a, T: Counted>(pointer: *const T, what: &str) -> Result<&'a T::Target, Error>
where
    T::Target: 'a,
{
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: as the caller says; an `Arc`'s pointer is that of its target.
    Ok(unsafe { &*T::target(pointer) })
}

/// Takes back one count. NULL is nothing.
///
/// # Safety
/// The pointer is NULL or came from [`Counted::into_raw`] and is never used again.
pub unsafe fn take_count<T: Counted>(pointer: *mut T) -> Option<Arc<T::Target>> {
    // SAFETY: as the caller says.
    (!pointer.is_null()).then(|| unsafe { Arc::from_raw(T::target(pointer)) })
}

/// Where a function writes a result of its own.
///
/// # Safety
/// The pointer is NULL or valid for a write of `T`.
pub unsafe fn write<T>(pointer: *mut T, value: T, what: &str) -> Result<(), Error> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: as the caller says.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Fills as much of a caller's struct as the caller knows of: the struct only
/// ever grows at its end. NULL takes nothing.
///
/// # Safety
/// The pointer is NULL or valid for writes of `size` bytes; `T` is a C struct
/// without padding that must not be copied.
pub unsafe fn fill<T>(pointer: *mut T, value: &T, size: usize) {
    if !pointer.is_null() {
        let known = size.min(size_of::<T>());
        // SAFETY: both sides are valid for `known` bytes and do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::from_ref(value).cast::<u8>(),
                pointer.cast::<u8>(),
                known,
            );
        };
    }
}

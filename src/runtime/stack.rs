//! The stack of the calling thread.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use super::system;

// What unwinds panics can walk a stack as well. std links it.
unsafe extern "C" {
    fn _Unwind_Backtrace(visit: extern "C" fn(*mut c_void, *mut c_void) -> c_int, data: *mut c_void)
    -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    fn _Unwind_GetCFA(context: *mut c_void) -> usize;
}

const GO_ON: c_int = 0;
const STOP: c_int = 5;

struct Walk<'a> {
    above: usize,
    skip: usize,
    addresses: std::slice::IterMut<'a, usize>,
}

/// Writes the addresses to which the functions on the stack will return, the innermost first; returns how many. The
/// walk begins at the caller of the function whose frame has the address `above` in it, `skip` frames further out.
/// There are none in a child that has inherited the loader's lock.
pub(crate) fn walk_stack(above: usize, skip: usize, addresses: &mut [usize]) -> usize {
    // Unwinders list the files that are loaded.
    if !system::can_list_images() {
        return 0;
    }
    let most = addresses.len();
    let mut walk = Walk { above, skip, addresses: addresses.iter_mut() };
    // SAFETY: the callback does not unwind, and gets the walk, which outlives the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
    most - walk.addresses.len()
}

extern "C" fn visit(context: *mut c_void, walk: *mut c_void) -> c_int {
    // SAFETY: the unwinder passes its context, which is valid during this call, and the walk of `walk_stack`.
    let (walk, address, frame) =
        unsafe { (&mut *walk.cast::<Walk<'_>>(), _Unwind_GetIP(context), _Unwind_GetCFA(context)) };
    // A function further in has its frame at a lower address; that with `above` in it begins below it.
    if frame <= walk.above {
        return GO_ON;
    }
    if walk.skip > 0 {
        walk.skip -= 1;
        return GO_ON;
    }
    if address == 0 {
        return STOP;
    }
    match walk.addresses.next() {
        Some(slot) => *slot = address,
        None => return STOP,
    }
    GO_ON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn innermost(skip: usize, addresses: &mut [usize]) -> usize {
        let marker = 0_u8;
        let count = walk_stack((&raw const marker) as usize, skip, addresses);
        // Not a tail call.
        std::hint::black_box(&marker);
        count
    }

    #[inline(never)]
    fn caller(skip: usize, addresses: &mut [usize]) -> usize {
        std::hint::black_box(innermost(skip, addresses))
    }

    #[test]
    fn the_walk_begins_at_the_caller_and_is_bounded() {
        let mut addresses = [0; 64];
        let count = caller(0, &mut addresses);
        assert!((3..64).contains(&count), "{count} frames");
        let start = caller as *const () as usize;
        assert!(addresses[0].wrapping_sub(start) < 200, "{:#x} is not in {start:#x}", addresses[0]);
        let mut skipped = [0; 64];
        assert_eq!(caller(1, &mut skipped), count - 1);
        assert_eq!(skipped[1], addresses[2]);
        let mut two = [0; 2];
        assert_eq!(caller(0, &mut two), 2);
        assert_eq!(caller(1000, &mut two), 0);
    }
}

//! Cache lines before they are written.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// The lines that the next event needs, as a common one is that long. The line in which the last one ended is there.
#[cfg(target_arch = "x86_64")]
const BYTES: usize = 576;

/// Fetches the first cache lines of this memory into the cache of this core, to be written soon. Lines that another
/// core has sent, or that nothing has touched for long, take longer to arrive than an event to encode: without this, the
/// unlock after a capture waits for all of them, a fifth of the whole call.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn expect_write(memory: &mut [MaybeUninit<u8>]) {
    let Some(first) = memory.get_mut(..BYTES) else { return };
    // SAFETY: the instruction changes nothing that a program can see, and does nothing where a processor does not have
    // it or the memory is not there.
    unsafe {
        std::arch::asm!(
            "prefetchw [{0} + 64]", "prefetchw [{0} + 128]", "prefetchw [{0} + 192]", "prefetchw [{0} + 256]",
            "prefetchw [{0} + 320]", "prefetchw [{0} + 384]", "prefetchw [{0} + 448]", "prefetchw [{0} + 512]",
            in(reg) first.as_mut_ptr(), options(nostack, preserves_flags),
        );
    }
}

/// Not measured on other processors.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn expect_write(_: &mut [MaybeUninit<u8>]) {}

//! Pages of memory before they are touched.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Has the system provide the pages of this memory now. That takes it half as long as to provide each of them when it
/// is touched, and the one call of many that meets it is chosen here. Where it cannot (before Linux 5.14), the pages
/// are provided as they are touched.
pub(crate) fn provide_pages<T>(memory: &mut [MaybeUninit<T>]) {
    // SAFETY: it reads a number of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    if !page.is_power_of_two() {
        return;
    }
    let range = memory.as_mut_ptr_range();
    let start = range.start.map_addr(|address| address & !(page - 1));
    let bytes = (range.end.addr() - start.addr()).next_multiple_of(page);
    // SAFETY: each of these pages has a byte of `memory` in it, so all of them belong to this process. This advice
    // changes no byte of them. An error means that the advice was not followed.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_POPULATE_WRITE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_memory_as_it_is() {
        let mut memory: Vec<u8> = Vec::with_capacity(1 << 20);
        memory.extend_from_slice(b"before");
        for bytes in [0, 1, 4095, 4096, 4097, 1 << 19] {
            provide_pages(&mut memory.spare_capacity_mut()[..bytes]);
        }
        assert_eq!(memory, b"before");
    }

    #[test]
    fn provides_the_pages() {
        let minor_faults = || {
            // SAFETY: zeros are a valid value, and it is valid for the write.
            unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
                usage.ru_minflt
            }
        };
        // SAFETY: the call looks at whether the kernel knows the advice.
        let known = unsafe { libc::madvise(std::ptr::null_mut(), 0, libc::MADV_POPULATE_WRITE) } == 0;
        let faults = || {
            let mut memory: Vec<u8> = Vec::with_capacity(1 << 22);
            provide_pages(memory.spare_capacity_mut());
            let before = minor_faults();
            memory.resize(1 << 22, 1);
            minor_faults() - before
        };
        // Where another test forks in between, the pages are shared with the child and fault once more.
        assert!(!known || (0..20).any(|_| faults() < 100));
    }
}

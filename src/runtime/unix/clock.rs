//! The system clock. The standard library's difference of two instants takes ten times as many instructions as this,
//! which is a fiftieth of a capture.
#![allow(unsafe_code, reason = "calls of the C library")]

/// Milliseconds since the Unix epoch by the system clock; 0 if that is before it.
#[inline]
#[allow(clippy::useless_conversion, reason = "the fields have 32 bits on some systems")]
pub(crate) fn unix_ms() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec to write to. It stays zero where there is no such clock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    (i64::from(time.tv_sec) * 1000 + i64::from(time.tv_nsec) / 1_000_000).max(0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_clock_is_that_of_the_standard_library() {
        let now = || i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        for _ in 0..1000 {
            let (before, read, after) = (now(), unix_ms(), now());
            assert!((before..=after).contains(&read), "{before} {read} {after}");
        }
    }
}

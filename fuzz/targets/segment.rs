//! Segments of the spool, whole and damaged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::segment::run(data));

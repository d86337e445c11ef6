//! Sequences of calls from three threads.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::calls::run(data));

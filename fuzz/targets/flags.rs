//! Feature flags through the C functions.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::flags::run(data));

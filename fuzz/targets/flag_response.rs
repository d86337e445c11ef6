//! The values of feature flags, as the server returns them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::flag_response::run(data));

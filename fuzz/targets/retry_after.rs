//! The `Retry-After` header.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::retry_after::run(data));

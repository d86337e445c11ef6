//! Responses of the server, through `decide`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::response::run(data));

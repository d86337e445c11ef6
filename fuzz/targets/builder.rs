#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::builder::run(data));

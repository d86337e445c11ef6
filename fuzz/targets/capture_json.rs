//! Events as JSON, through `phc_capture_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::capture_json::run(data));

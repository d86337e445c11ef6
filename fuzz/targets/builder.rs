//! Events that are built value by value, through the `phc_event_…` functions.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::builder::run(data));

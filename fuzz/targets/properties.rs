//! The properties of an event, through the encoder.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::properties::run(data));

//! Exceptions that are described call by call, through the `phc_exception_…` functions.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::exception::run(data));

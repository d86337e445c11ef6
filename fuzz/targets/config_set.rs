//! Settings, through `phc_config_set`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| phc_fuzz::config_set::run(data));

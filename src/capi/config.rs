//! phc_config: the settings of a client to be.

use std::ffi::{CString, c_char};

use super::guard::guard;
use super::handle::{Boxed, borrow, borrow_mut, take};
use super::status::{answer, phc_status};
use super::text::{c_string, optional, required, utf8};
use crate::config::Config;

/// Settings of a client to be. It belongs to one thread at a time, and can be
/// freed as soon as the client is made.
pub struct phc_config {
    pub(super) config: Config,
    error: CString,
}

impl Boxed for phc_config {}

/// Makes settings with all defaults for this project key (phc_…), which is
/// trimmed. An empty or NULL key makes a client that is disabled: its captures
/// answer PHC_DISABLED. To be freed by phc_config_free. Never NULL but for want
/// of memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_new(api_key: *const c_char) -> *mut phc_config {
    guard(|| {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let api_key = unsafe { optional(api_key) }.unwrap_or_default();
        let config = Config::new(&String::from_utf8_lossy(api_key));
        phc_config { config, error: CString::default() }.into_raw()
    })
}

/// Sets one setting, given as text: phc_config_set(config, "flush_at", "250").
/// docs/settings.md lists all keys. On PHC_INVALID_SETTING nothing has changed
/// and phc_config_error says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_set(
    config: *mut phc_config,
    key: *const c_char,
    value: *const c_char,
) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or pointers as the header asks for.
        let (config, key, value) =
            unsafe { (borrow_mut(config, "config"), required(key, "key"), required(value, "value")) };
        answer(config.and_then(|config| {
            let result = utf8(key?, "key").and_then(|key| config.config.set(key, utf8(value?, "value")?));
            if let Err(error) = &result {
                config.error = c_string(&error.message);
            }
            result
        }))
    })
}

/// What was wrong with the last phc_config_set that failed: the key, the value,
/// what would be accepted, the nearest key. Never NULL; empty when none failed.
/// The text belongs to the config and is good until the next set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_error(config: *const phc_config) -> *const c_char {
    // SAFETY: the caller passes NULL or a live config.
    guard(|| unsafe { borrow(config, "config") }.map_or(c"".as_ptr(), |config| config.error.as_ptr()))
}

/// Frees settings. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_free(config: *mut phc_config) {
    // SAFETY: the caller passes NULL or a config that is never used again.
    guard(|| drop(unsafe { take(config) }));
}

//! phc_config: the settings of a client to be; phc_setting: what settings there are.

use std::ffi::{CString, c_char};

use super::guard::guard;
use super::handle::{Boxed, Plain, borrow_mut, fill, take};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{c_string, optional, required, set_last_error, utf8};
use crate::config::{Config, SettingInfo};
use crate::runtime::PerProcess;
use crate::status::{Error, Status};

/// Settings of a client to be. It belongs to one thread at a time, and can be freed as soon
/// as the client is made.
pub struct phc_config {
    config: Config,
    /// What was refused, by key. A host that ignores a refusal of its `host` must not send
    /// its events to the default one.
    refused: Vec<(String, Error)>,
    value: CString,
}

impl Boxed for phc_config {}

impl phc_config {
    /// The settings, or the first refusal that still stands.
    pub(super) fn accepted(&self) -> Result<&Config, Error> {
        match self.refused.first() {
            Some((_, error)) => Err(error.clone()),
            None => Ok(&self.config),
        }
    }

    fn set(&mut self, key: Result<&str, Error>, value: Result<&str, Error>) -> Result<(), Error> {
        let name = key.clone().unwrap_or_default();
        let result = key.and_then(|key| self.config.set(key, value?));
        // The names of headers, and only those, have no case; another key in another case is an
        // unknown one, for which the right one stands in.
        self.refused.retain(|(refused, _)| !refused.eq_ignore_ascii_case(name));
        if let Err(error) = &result {
            self.refused.push((name.to_owned(), error.clone()));
        }
        result
    }
}

/// Makes settings with all defaults for this project key (phc_…), which is trimmed. With an
/// empty key or NULL the client is disabled: its captures return PHC_DISABLED. Free it with
/// phc_config_free. Returns NULL only after an internal error.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_new(api_key: *const c_char) -> *mut phc_config {
    guard(&rules::phc_config_new, || {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let api_key = unsafe { optional(api_key) }.unwrap_or_default();
        let config = Config::new(&String::from_utf8_lossy(api_key));
        phc_config { config, refused: Vec::new(), value: CString::default() }.into_raw()
    })
}

/// Sets one setting, given as text: phc_config_set(config, "flush_at", "250").
/// docs/settings.md lists all keys. On PHC_INVALID_SETTING the value has not changed, and
/// phc_last_error names the key, the value and what would be accepted. A refusal needs no check
/// here: phc_client_new fails with it, unless an accepted value for the same key follows.
/// phc_config_get returns NULL for a key that this libphc does not have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_set(
    config: *mut phc_config,
    key: *const c_char,
    value: *const c_char,
) -> phc_status {
    guard(&rules::phc_config_set, || {
        // SAFETY: the caller passes NULL or a config that it uses on this thread only, and
        // NULL or NUL-terminated texts.
        let (config, key, value) =
            unsafe { (borrow_mut(config, "config"), required(key, "key"), required(value, "value")) };
        let utf8 = |text: Result<_, _>, name| text.and_then(|text| utf8(text, name));
        status_of(config.and_then(|config| config.set(utf8(key, "key"), utf8(value, "value"))))
    })
}

/// Returns the present value of a setting as text, in the form that phc_config_set takes, or
/// NULL if there is no such setting. The text belongs to the config and is valid until the next
/// call with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_get(config: *mut phc_config, key: *const c_char) -> *const c_char {
    guard(&rules::phc_config_get, || {
        // SAFETY: the caller passes NULL or a config that it uses on this thread only, and
        // NULL or NUL-terminated text.
        let (config, key) = unsafe { (borrow_mut(config, "config"), required(key, "key")) };
        let get = || {
            let config = config?;
            config.value = c_string(&config.config.get(utf8(key?, "key")?)?);
            Ok(config.value.as_ptr())
        };
        get().unwrap_or_else(|error: Error| {
            set_last_error(&error);
            std::ptr::null()
        })
    })
}

/// Frees settings. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_config_free(config: *mut phc_config) {
    guard(&rules::phc_config_free, || {
        // SAFETY: the caller passes NULL or a config that it never uses again.
        drop(unsafe { take(config) });
    });
}

/// What a setting is. The texts are static. The struct only ever grows at its end.
#[repr(C)]
pub struct phc_setting {
    /// Its name in phc_config_set.
    pub key: *const c_char,
    /// "integer", "bool", "word" (one of a few), "list" or "text".
    pub kind: *const c_char,
    /// Its value if it is not set.
    pub default_value: *const c_char,
    /// What is accepted, such as "1 to 64" or "losses, warnings, all"; empty for any text.
    pub accepted: *const c_char,
}

// SAFETY: four pointers.
unsafe impl Plain for phc_setting {}

/// The texts behind [`phc_setting`], made once per process.
static SETTINGS: PerProcess<Vec<[CString; 4]>> = PerProcess::new();

fn settings() -> &'static [[CString; 4]] {
    SETTINGS.get_or_make(|| {
        let texts = |info: SettingInfo| [info.key, info.kind, info.default, &info.accepted].map(c_string);
        Config::settings().map(texts).collect()
    })
}

/// Returns how many settings there are, without "header.<Name>", which stands for many. Safe
/// from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_setting_count() -> usize {
    guard(&rules::phc_setting_count, || settings().len())
}

/// Fills out (size bytes; pass sizeof(phc_setting)) with the setting at this index. Returns
/// PHC_INVALID_ARGUMENT if the index is not below phc_setting_count. Safe from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_setting_at(index: usize, out: *mut phc_setting, size: usize) -> phc_status {
    guard(&rules::phc_setting_at, || {
        let Some(texts) = settings().get(index) else {
            let text = format!("index {index} is not below phc_setting_count");
            return status_of(Err(Error::new(Status::INVALID_ARGUMENT, text)));
        };
        let [key, kind, default_value, accepted] = texts.each_ref().map(|text| text.as_ptr());
        // SAFETY: the caller passes NULL or a struct of `size` bytes.
        unsafe { fill(out, &phc_setting { key, kind, default_value, accepted }, size) };
        status_of(Ok(()))
    })
}

//! phc_remote_config: what the server returns for the key of a remote config.

use std::ffi::c_char;
use std::time::Duration;

use super::client::phc_client;
use super::guard::{guard, guard_or};
use super::handle::{Boxed, borrow, share, take, write};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{required, set_last_error};
use crate::flags::remote::RemoteConfig;
use crate::json::repair;
use crate::status::Status;

/// A remote config of the project, as the server has returned it. It never changes; its functions are
/// safe from any thread, also at the same time, and its free must be the last call. It may outlive
/// its client, and a forked child may use and free what it has inherited.
pub struct phc_remote_config {
    /// With a NUL after it.
    payload: Option<Vec<u8>>,
}

impl Boxed for phc_remote_config {}

impl phc_remote_config {
    fn new(config: RemoteConfig) -> Self {
        let payload = match config {
            RemoteConfig::Payload(text) => {
                let mut bytes = text.into_bytes();
                bytes.push(0);
                Some(bytes)
            }
            RemoteConfig::Missing => None,
        };
        phc_remote_config { payload }
    }
}

/// Asks the server for the remote config with this key, decrypted if the client's setting secret_key is
/// a personal key that may read it, and writes it into out, to be freed with phc_remote_config_free.
/// Each call is one request, which PostHog limits to some hundreds a minute for a project: keep the
/// payload. It is waited for at most timeout_ms, and never longer than the setting flags_timeout_ms,
/// retries included (flags_max_retries; after no response, a 502 or a 504). While the server is down,
/// most calls return PHC_UNAVAILABLE at once. A close ends calls that wait.
///
/// Returns PHC_OK if the server has responded, also if the project has no remote config with this key:
/// phc_remote_config_payload then returns NULL. With every other status out is NULL:
/// - PHC_UNAVAILABLE: no response, a refused key (HTTP 401, 403), used-up or too many requests (402,
///   429), another error of the server, a response that is not JSON or has more than 8 MiB, a close
///   meanwhile; or the client has no secret_key, or is in test_mode. phc_last_error says which, and
///   phc_last_http_status has the HTTP status
/// - PHC_TIMEOUT: the time limit passed first
/// - PHC_WOULD_WAIT: timeout_ms is 0; only the server has remote configs
/// - PHC_INVALID_ARGUMENT: a NULL, or a key that is empty, "." or ".."
/// - PHC_CLOSED, PHC_DISABLED, and PHC_OUT_OF_RESOURCES if the I/O thread could not be started
///
/// The server treats a key that consists of digits as the id of a flag, not as its key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_remote_config_fetch(
    client: *const phc_client,
    key: *const c_char,
    timeout_ms: u32,
    out: *mut *mut phc_remote_config,
) -> phc_status {
    // SAFETY: the caller passes NULL, which is not written to, or a place for a pointer.
    let empty = || unsafe { write(out, std::ptr::null_mut(), "out") };
    let failed = |status: Status| {
        let _ = empty();
        status.number()
    };
    guard_or(&rules::phc_remote_config_fetch, failed, || {
        let fetch = || {
            empty()?;
            // SAFETY: the caller passes NULL or a live client, and NULL or NUL-terminated text.
            let (client, key) = unsafe { (share(client, "client")?, required(key, "key")?) };
            let timeout = Duration::from_millis(timeout_ms.into());
            let config = phc_remote_config::new(client.fetch_remote_config(&repair(key), timeout)?);
            // SAFETY: the caller passes a place for a pointer.
            unsafe { write(out, config.into_raw(), "out") }
        };
        status_of(fetch())
    })
}

/// Returns the payload as the project has it: JSON text, unless it was set by other means than
/// PostHog's web application. Empty if the remote config has none; NULL if the project has no remote
/// config with this key, or if config is NULL. len (NULL is accepted) gets its length in bytes, 0
/// with NULL. The text ends in NUL, and lives as long as config does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_remote_config_payload(
    config: *const phc_remote_config,
    len: *mut usize,
) -> *const c_char {
    let failed = |_| std::ptr::null();
    guard_or(&rules::phc_remote_config_payload, failed, || {
        // SAFETY: the caller passes NULL or a live remote config.
        let payload = match unsafe { borrow(config, "config") } {
            Ok(config) => config.payload.as_ref(),
            Err(error) => {
                set_last_error(&error);
                None
            }
        };
        if !len.is_null() {
            // SAFETY: the caller passes a place for a length.
            unsafe { len.write(payload.map_or(0, |payload| payload.len().saturating_sub(1))) };
        }
        payload.map_or(std::ptr::null(), |payload| payload.as_ptr().cast())
    })
}

/// Frees a remote config, and with it the text that its function returned. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_remote_config_free(config: *mut phc_remote_config) {
    guard(&rules::phc_remote_config_free, || {
        // SAFETY: the caller passes NULL or a remote config that it never uses again.
        drop(unsafe { take(config) });
    });
}

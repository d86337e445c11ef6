//! phc_client: making, closing, freeing.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use super::config::phc_config;
use super::guard::{free_later, guard, guard_or};
use super::handle::{Counted, borrow, share, take_count, write};
use super::rules;
use super::status::{PHC_NO_LIMIT, phc_status, status_of};
use super::text::{required, set_last_error, utf8};
use crate::client::{Client, Inside, inside, registry};
use crate::status::{Error, Status};

/// A client: one destination with its own queue. All calls are safe from any thread, except
/// for phc_client_free, which must be the last call with its handle.
pub struct phc_client {
    _opaque: [u8; 0],
}

impl Counted for phc_client {
    type Target = Client;

    fn into_raw(client: Arc<Client>) -> *mut Self {
        Arc::into_raw(client).cast_mut().cast()
    }

    fn target(pointer: *const Self) -> *const Client {
        pointer.cast()
    }
}

/// Makes a client with these settings, which are copied. Starts no thread and opens no
/// connection: that happens at the first capture. Returns NULL if a setting is not accepted or
/// a phc_config_set was refused (PHC_INVALID_SETTING), or if config is NULL; the reason is then
/// in status, which may be NULL, and in phc_last_error. Free it with phc_client_free.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_new(
    config: *const phc_config,
    status: *mut phc_status,
) -> *mut phc_client {
    // SAFETY: the caller passes NULL or a place for a status.
    let failed = |reason| unsafe { constructed(Err(reason), status) };
    guard_or(&rules::phc_client_new, failed, || {
        // SAFETY: the caller passes NULL or a live config.
        let config = unsafe { borrow(config, "config") };
        let client = config.and_then(|config| Client::new(config.accepted()?.clone())).map(Client::shared);
        // SAFETY: the caller passes NULL or a place for a status.
        unsafe { constructed(client.map_err(|error| keep_text(&error)), status) }
    })
}

/// Returns the client of this process with this name: a new one if there is none, the
/// existing one if its settings are the same. For hosts that lose their pointers, as PHP does
/// at the end of each request. Returns NULL like phc_client_new, and with PHC_CONFLICT if a
/// client of this name has different settings. Each success needs one phc_client_free; the
/// last of them ends the client. Callbacks belong to the client, not to the handle: one that
/// is set through one handle replaces one that was set through another.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_open(
    name: *const c_char,
    config: *const phc_config,
    status: *mut phc_status,
) -> *mut phc_client {
    // SAFETY: the caller passes NULL or a place for a status.
    let failed = |reason| unsafe { constructed(Err(reason), status) };
    guard_or(&rules::phc_client_open, failed, || {
        // SAFETY: the caller passes NULL or NUL-terminated text, and NULL or a live config.
        let (name, config) = unsafe { (required(name, "name"), borrow(config, "config")) };
        let open = || {
            let config = config?.accepted()?;
            config.check()?;
            registry::open(utf8(name?, "name")?, config)
        };
        // SAFETY: the caller passes NULL or a place for a status.
        unsafe { constructed(open().map_err(|error| keep_text(&error)), status) }
    })
}

/// Keeps the text of an error for phc_last_error.
fn keep_text(error: &Error) -> Status {
    set_last_error(error);
    error.status
}

/// Returns a new client to C, or NULL, and writes the status.
///
/// # Safety
/// `out` is NULL or valid for a write of a status.
unsafe fn constructed(client: Result<Arc<Client>, Status>, out: *mut phc_status) -> *mut phc_client {
    let (client, status) = match client {
        Ok(client) => (phc_client::into_raw(client), Status::OK),
        Err(status) => (std::ptr::null_mut(), status),
    };
    // SAFETY: the caller passes NULL, which is not written to, or a place for a status.
    let _ = unsafe { write(out, status.number(), "status") };
    client
}

/// Takes no more events, waits like phc_flush for at most timeout_ms, then cancels what is in
/// flight and counts what is left as lost (PHC_LOSS_CLOSED). Returns within timeout_ms plus
/// 50 ms, whatever the server does, and nothing is sent after it. With the setting spool_dir,
/// what is left is kept on disk for a later client, which may take 250 ms more; what the disk
/// does not take is lost. Returns PHC_OK if every event that this process captured with the
/// client was delivered or kept, or if the client was closed before; PHC_LOST_EVENTS if any of
/// them was lost. Reports and stats can be read until the free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_close(client: *mut phc_client, timeout_ms: u32) -> phc_status {
    guard(&rules::phc_client_close, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(client.and_then(|client| client.close(timeout(timeout_ms))))
    })
}

/// Closes the client with the setting shutdown_timeout_ms, unless it is closed, and frees it.
/// The reports and log lines that wait still go to the callbacks, which takes at most another
/// shutdown_timeout_ms, or one second if that is longer; a callback that runs is waited for
/// without a limit. After it no callback runs and all user data is freed. NULL does nothing. It
/// must be the last call with this handle, as free(3) is. From inside a callback the free happens
/// once the callback has returned. In a forked child nothing of the parent's is sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_free(client: *mut phc_client) {
    guard(&rules::phc_client_free, || {
        // SAFETY: the caller passes NULL or a client that it never uses again.
        let Some(client) = (unsafe { take_count(client) }) else { return };
        if inside() == Inside::Nothing { client.release() } else { free_later(client) }
    });
}

/// Milliseconds of the C API as a time limit; `None` is without a limit.
pub(super) fn timeout(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != PHC_NO_LIMIT).then(|| Duration::from_millis(timeout_ms.into()))
}

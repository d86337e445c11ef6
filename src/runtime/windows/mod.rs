//! What Windows does in its own way. `unix/` has the same items; [`super`] chooses.
//!
//! Much of `unix/` has no counterpart here. There is no fork, no signal that a thread could
//! receive, and no request to cancel a thread. A new thread inherits neither priority nor
//! affinity. Handles have no lowest free number, so none of ours takes the place of a standard
//! one.

mod certificates;
mod module;
mod sockets;

use std::fs::Metadata;
use std::os::windows::fs::MetadataExt;

use super::Shortage;
use crate::status::{Error, Status};

pub(crate) use certificates::certificate_store;
pub(super) use module::stay_loaded;
pub(super) use sockets::{Socket, number_of, receive, socket_pair};

/// The system provides pages as they are touched.
pub(crate) fn provide_pages<T>(_: &mut [std::mem::MaybeUninit<T>]) {}

/// Milliseconds since the Unix epoch by the system clock; 0 if that is before it.
#[inline]
pub(crate) fn unix_ms() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The file of machine code that has this address, and the name of a function: Windows has other interfaces for
/// them, which are not used yet. Native frames have their addresses only.
pub(crate) fn loaded_image(_: usize) -> Option<super::LoadedImage> {
    None
}

/// See [`loaded_image`].
pub(crate) fn with_symbol<T>(_: usize, _: impl FnOnce(&[u8], usize) -> T) -> Option<T> {
    None
}

/// Where libraries of the system are.
pub(super) const SYSTEM_FOLDERS: &[&str] = &["C:\\Windows\\"];

/// The default of the setting `resolver`.
pub(crate) const DEFAULT_RESOLVER: &str = "system";
/// Why this system cannot have `resolver` = `builtin`, if it cannot.
pub(crate) const NO_BUILTIN_RESOLVER: Option<&str> = Some(
    "the built-in resolver needs a resolv.conf, which Windows does not have; use system, the default here",
);

/// There are none: certificates are in a store.
pub(crate) const CERTIFICATE_FILES: &[&str] = &[];

/// The system's errors that are a shortage when a connection is made. Those from 10000 on are
/// of Windows Sockets. WSAEADDRNOTAVAIL is not among them: here it says that the address of the
/// host cannot be one.
pub(crate) const SHORTAGES: &[Shortage] = &[
    Shortage::of_descriptors(10024, "WSAEMFILE", "the process has no sockets left"),
    Shortage::of_descriptors(4, "ERROR_TOO_MANY_OPEN_FILES", "the process has no handles left"),
    Shortage::new(8, "ERROR_NOT_ENOUGH_MEMORY", "the machine has no memory left for connections"),
    Shortage::new(14, "ERROR_OUTOFMEMORY", "the machine has no memory left for connections"),
    Shortage::new(1450, "ERROR_NO_SYSTEM_RESOURCES", "the machine has no kernel memory left for connections"),
    Shortage::new(1455, "ERROR_COMMITMENT_LIMIT", "the machine has no memory left; enlarge its paging file"),
    Shortage::new(10055, "WSAENOBUFS", "the machine has no buffers or local ports left for connections"),
    Shortage::new(10048, "WSAEADDRINUSE", "the machine has no local port left for connections to the host"),
];

/// Nothing cancels a thread here.
#[derive(Debug)]
#[must_use = "as on other systems"]
pub(crate) struct DeferredCancellation;

impl DeferredCancellation {
    /// Does nothing.
    #[inline]
    pub(crate) fn begin() -> Self {
        DeferredCancellation
    }
}

impl Drop for DeferredCancellation {
    #[inline]
    fn drop(&mut self) {}
}

/// A new thread has ordinary scheduling already.
pub(super) fn become_ordinary() {}

/// No thread receives signals here.
pub(super) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}

/// None of our handles becomes a standard one.
#[allow(clippy::unnecessary_wraps, reason = "on other systems it can fail")]
pub(super) fn occupy_standard_descriptors() -> std::io::Result<()> {
    Ok(())
}

/// There are no children that inherit locks.
pub(super) fn can_list_images() -> bool {
    true
}

/// There are no children that inherit memory.
#[allow(clippy::unnecessary_wraps, reason = "on other systems it can fail")]
pub(super) fn empty_in_children<T: Sync>(_: &'static T, _: extern "C" fn()) -> Result<(), Error> {
    Ok(())
}

/// Refuses: what a DLL registers with `atexit` runs when Windows has ended the other threads of
/// the process, `phc-io` among them, perhaps inside a lock.
pub(super) fn at_exit(_: extern "C" fn()) -> Result<(), Error> {
    let text = "exit_flush_ms is not available on Windows, which ends the threads of a process before a DLL can wait \
                for them; set it to 0, and close the client before the process ends";
    Err(Error::new(Status::INVALID_SETTING, text))
}

/// Numbers that differ when a path has come to stand for another file, or the file has changed.
pub(crate) fn state_of_file(metadata: &Metadata) -> [i64; 7] {
    let numbers = [metadata.last_write_time(), metadata.creation_time(), metadata.file_size()];
    let [written, made, size] = numbers.map(u64::cast_signed);
    [written, made, size, metadata.file_attributes().into(), 0, 0, 0]
}

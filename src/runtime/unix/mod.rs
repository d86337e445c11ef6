//! What Linux and its relatives do in their own way. `windows/` has the same items; [`super`] chooses.

mod cancellation;
mod children;
mod clock;
#[cfg(feature = "spool")]
mod descriptors;
#[cfg(target_os = "linux")]
mod images;
#[cfg(target_os = "linux")]
mod loader;
#[cfg(target_os = "linux")]
mod pages;
#[cfg(target_os = "linux")]
mod scheduling;
mod signals;
mod standard_descriptors;
mod symbols;

use std::fs::Metadata;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::Shortage;
use crate::status::Error;

pub(crate) use cancellation::DeferredCancellation;
pub(super) use children::{at_exit, empty_in_children};
pub(crate) use clock::unix_ms;
#[cfg(feature = "spool")]
pub(crate) use descriptors::{OwnDescriptor, apart_from_forks, close_in_children};
#[cfg(target_os = "linux")]
pub(crate) use images::loaded_image;
#[cfg(target_os = "linux")]
pub(super) use loader::can_list_images;
#[cfg(target_os = "linux")]
pub(crate) use pages::provide_pages;
#[cfg(target_os = "linux")]
pub(super) use scheduling::become_ordinary;
pub(super) use signals::with_signals_blocked;
pub(super) use standard_descriptors::occupy as occupy_standard_descriptors;
pub(crate) use symbols::with_symbol;

/// Gives the calling thread ordinary scheduling. On macOS it has that already, as far as it matters:
/// niceness belongs to the process, and threads are not bound to CPUs.
#[cfg(not(target_os = "linux"))]
pub(super) fn become_ordinary() {}

/// The file of machine code that has this address. macOS has another interface for it, which is not used yet: native
/// frames have their addresses and names there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn loaded_image(_: usize) -> Option<super::LoadedImage> {
    None
}

/// The loader's locks are made anew in a child.
#[cfg(not(target_os = "linux"))]
pub(super) fn can_list_images() -> bool {
    true
}

/// The system provides pages as they are touched.
#[cfg(not(target_os = "linux"))]
pub(crate) fn provide_pages<T>(_: &mut [std::mem::MaybeUninit<T>]) {}

/// Where libraries of the system are. The one that the kernel provides has no folder.
pub(super) const SYSTEM_FOLDERS: &[&str] = &["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "linux-vdso"];

/// The default of the setting `resolver`.
pub(crate) const DEFAULT_RESOLVER: &str = "builtin";
/// Why this system cannot have `resolver` = `builtin`, if it cannot.
pub(crate) const NO_BUILTIN_RESOLVER: Option<&str> = None;

/// The files in which these systems keep the certificates of authorities, in the order in which
/// they are tried.
pub(crate) const CERTIFICATE_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// The certificates of authorities in a store other than a file: these systems have none.
pub(crate) fn certificate_store() -> Option<std::io::Result<super::CertificateStore>> {
    None
}

/// The system's errors that are a shortage when a connection is made.
pub(crate) const SHORTAGES: &[Shortage] = &[
    Shortage::of_descriptors(
        libc::EMFILE,
        "EMFILE",
        "the process has no descriptors left; raise its limit (ulimit -n)",
    ),
    Shortage::of_descriptors(
        libc::ENFILE,
        "ENFILE",
        "the machine has no descriptors left; raise fs.file-max",
    ),
    Shortage::new(libc::ENOMEM, "ENOMEM", "the machine has no memory left for connections"),
    Shortage::new(libc::ENOBUFS, "ENOBUFS", "the machine has no buffers left for connections"),
    Shortage::of_addresses(
        libc::EADDRNOTAVAIL,
        "EADDRNOTAVAIL",
        "the machine has no local port or address left for connections to the host",
    ),
    Shortage::new(libc::EAGAIN, "EAGAIN", "the machine has no thread or route entry left for connections"),
    Shortage::new(
        libc::ENOSPC,
        "ENOSPC",
        "no more descriptors can be watched; raise fs.epoll.max_user_watches",
    ),
];

/// One end of a pair of connected sockets.
pub(super) type Socket = std::os::unix::net::UnixStream;

/// A pair of connected sockets.
pub(super) fn socket_pair() -> std::io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// Takes what was written to the other end, if it is still there.
pub(super) fn receive(mut socket: &Socket) {
    let _ = socket.read(&mut [0; 8]);
}

/// The number under which the host knows a socket.
pub(super) fn number_of(socket: &Socket) -> isize {
    socket.as_raw_fd() as isize
}

/// Keeps the library loaded for the life of the process. The linker has seen to it: `-z nodelete`.
#[allow(clippy::unnecessary_wraps, reason = "on Windows it can fail")]
pub(super) fn stay_loaded() -> Result<(), Error> {
    Ok(())
}

/// Numbers that differ when a path has come to stand for another file, or the file has changed.
pub(crate) fn state_of_file(metadata: &Metadata) -> [i64; 7] {
    [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.dev().cast_signed(),
        metadata.ino().cast_signed(),
        metadata.size().cast_signed(),
    ]
}

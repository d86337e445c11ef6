//! What the process provides: the one I/O thread, the identity of the process, signal
//! masks, scheduling, thread cancellation, the descriptors 0 to 2, the exit handler, the
//! readiness descriptor. It knows nothing of clients.
//!
//! What each system does in its own way is in `unix/` and `windows/`, which have the same
//! items; nothing else in the library asks which system it is. `unsafe` is confined to
//! these two, one call of the system each, and to [`fork`] and `stack`.

pub(crate) mod exit;
pub(crate) mod fork;
mod io_thread;
mod prefetch;
mod randomness;
mod readiness;
mod stack;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use fork::{PerProcess, fork_epoch};
pub(crate) use io_thread::{IoThreadGuard, spawn};
pub(crate) use prefetch::expect_write;
pub(crate) use readiness::ReadinessFd;
pub(crate) use stack::walk_stack;
pub(crate) use system::{
    CERTIFICATE_FILES, DEFAULT_RESOLVER, DeferredCancellation, NO_BUILTIN_RESOLVER, SHORTAGES,
    certificate_store, loaded_image, provide_pages, state_of_file, unix_ms, with_symbol,
};

#[cfg(all(unix, feature = "spool"))]
pub(crate) use system::{OwnDescriptor, apart_from_forks, close_in_children};

use crate::status::Error;

/// What must be so before there is a client: the library stays loaded, and every fork is
/// recognised.
pub(crate) fn prepare() -> Result<(), Error> {
    system::stay_loaded()?;
    fork::watch_forks()
}

/// An error of the system that is a shortage on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortage {
    /// Its number, as `std::io::Error` has it.
    pub(crate) number: i32,
    /// Its name in the manual of the system.
    pub(crate) name: &'static str,
    /// What it means, for people.
    pub(crate) meaning: &'static str,
    /// Whether connections that are closed help.
    pub(crate) of_descriptors: bool,
    /// Whether it may also mean that the machine has no address at all to reach the host from, which is not a
    /// shortage.
    pub(crate) of_addresses: bool,
}

impl Shortage {
    const fn new(number: i32, name: &'static str, meaning: &'static str) -> Self {
        Shortage { number, name, meaning, of_descriptors: false, of_addresses: false }
    }

    const fn of_descriptors(number: i32, name: &'static str, meaning: &'static str) -> Self {
        Shortage { of_descriptors: true, ..Self::new(number, name, meaning) }
    }

    #[cfg(unix)]
    const fn of_addresses(number: i32, name: &'static str, meaning: &'static str) -> Self {
        Shortage { of_addresses: true, ..Self::new(number, name, meaning) }
    }
}

/// What a system's store of certificates holds, each certificate in DER form.
#[derive(Debug, Default)]
pub(crate) struct CertificateStore {
    /// What it is called, for the log.
    pub(crate) name: &'static str,
    /// The authorities that are trusted.
    pub(crate) trusted: Vec<Vec<u8>>,
    /// Those that must not be trusted, also where another source has them.
    pub(crate) distrusted: Vec<Vec<u8>>,
}

/// A file of machine code in the memory of the process: the program, or a library.
#[derive(Debug)]
pub(crate) struct LoadedImage {
    /// The address of its first byte.
    pub(crate) start: usize,
    /// How many bytes of addresses it has.
    pub(crate) size: usize,
    /// The address that the linker gave to its first byte.
    pub(crate) linked_at: usize,
    /// Where it was loaded from; empty if that is not known.
    pub(crate) path: Vec<u8>,
    /// The linker's id of this build; empty if the linker wrote none.
    pub(crate) build_id: Vec<u8>,
}

impl LoadedImage {
    pub(crate) fn contains(&self, address: usize) -> bool {
        address.checked_sub(self.start).is_some_and(|offset| offset < self.size)
    }

    /// Whether it came with the system and not with the application.
    pub(crate) fn is_of_system(&self) -> bool {
        system::SYSTEM_FOLDERS.iter().any(|folder| self.path.starts_with(folder.as_bytes()))
    }
}

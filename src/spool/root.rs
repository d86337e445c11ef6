//! The folder that a setting names, and the folders of the destinations in it.
//!
//! ```text
//! phc-spool                    "phc-spool 1\n": the folder is the spool's
//! d-<32 hex digits>/           a destination
//!     janitor                  a lock: its holder looks for dead instances
//!     i-<pid>-<16 hex digits>/ an instance: one client of one process
//!     bad/                     segments that could not be read
//! ```
//!
//! A folder that has other things in it is refused, and nothing in it is touched.

use std::path::Path;

use ring::digest::{Context, SHA256};

use super::disk::{Disk, DiskError, ErrorKind};

const MARKER: &str = "phc-spool";
const MARKER_TEXT: &[u8] = b"phc-spool 1\n";
const DESTINATION: &str = "d-";

/// Where events are to be sent, as files show it: neither the host nor the key can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination(pub(crate) [u8; 16]);

impl Destination {
    /// The destination of this URL and key.
    pub(crate) fn of(url: &str, key: &str) -> Self {
        let mut digest = Context::new(&SHA256);
        for part in [b"phc-spool-1\0", url.as_bytes(), b"\0", key.as_bytes()] {
            digest.update(part);
        }
        let digest = digest.finish();
        Destination(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The name of its folder.
    pub(crate) fn folder_name(self) -> String {
        format!("{DESTINATION}{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Whether a folder of this name is that of a destination.
pub(super) fn is_destination(name: &str) -> bool {
    name.strip_prefix(DESTINATION)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// Opens the folder that a setting names, and makes it if it is missing. The error says what is wrong with it.
pub(crate) fn open_root<D: Disk>(disk: &D, path: &Path) -> Result<D::Folder, DiskError> {
    let folder = disk.open_root(path)?;
    if !has_marker(&disk.list(&folder)?)? {
        match disk.create(&folder, MARKER) {
            Ok(file) => drop(disk.append(&file, MARKER_TEXT, &[])?),
            Err(error) if error.kind == ErrorKind::Exists => {}
            Err(error) => return Err(error),
        }
    }
    let text = disk.read(&folder, MARKER, 64)?;
    if text.is_empty() {
        let file = disk.open(&folder, MARKER)?;
        let _ = disk.append(&file, MARKER_TEXT, &[]);
        return Ok(folder);
    }
    check_marker(&text)?;
    Ok(folder)
}

/// Says what is wrong with a folder that should be a spool already, by the names in it. Nothing is made or written.
#[cfg(feature = "internals")]
pub(super) fn check_names(names: &[String]) -> Result<(), DiskError> {
    let text = match names.iter().find(|name| *name != MARKER && !is_destination(name)) {
        Some(other) if !names.iter().any(|name| name == MARKER) => {
            format!("it is not a spool: it has {other:?} in it, and no file {MARKER:?}")
        }
        None if names.is_empty() => "it is empty: no process has kept an event in it".to_owned(),
        _ => return Ok(()),
    };
    Err(DiskError::new(ErrorKind::Foreign, text))
}

/// Says what is wrong with the marker of a spool, which a power cut may have taken.
#[cfg(feature = "internals")]
pub(super) fn check_existing_marker<D: Disk>(disk: &D, folder: &D::Folder) -> Result<(), DiskError> {
    match disk.read(folder, MARKER, 64) {
        Ok(text) => check_marker(&text),
        Err(error) if error.kind == ErrorKind::Missing => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the marker is among the names of a folder. The error names what else is there.
fn has_marker(names: &[String]) -> Result<bool, DiskError> {
    if names.iter().any(|name| name == MARKER) {
        return Ok(true);
    }
    // After a power cut, the marker's name alone may be missing.
    match names.iter().find(|name| !is_destination(name)) {
        None => Ok(false),
        Some(other) => {
            let text =
                format!("it has {other:?} in it, and no file {MARKER:?}: name a folder that is empty or new");
            Err(DiskError::new(ErrorKind::Foreign, text))
        }
    }
}

/// Says whether the text of the marker is that of a version that is known.
fn check_marker(text: &[u8]) -> Result<(), DiskError> {
    // A power cut may have taken the end of it, and left zeros.
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let is_cut = text.get(..end).is_some_and(|begin| MARKER_TEXT.starts_with(begin));
    if !is_cut && !text.starts_with(MARKER_TEXT) {
        let text = format!("its file {MARKER:?} is not one that this version of libphc knows");
        return Err(DiskError::new(ErrorKind::Foreign, text));
    }
    Ok(())
}

/// Opens a folder, and makes it if it is missing.
pub(super) fn open_or_make<D: Disk>(
    disk: &D,
    parent: &D::Folder,
    name: &str,
) -> Result<D::Folder, DiskError> {
    match disk.open_folder(parent, name) {
        Err(error) if error.kind == ErrorKind::Missing => {}
        other => return other,
    }
    match disk.make_folder(parent, name) {
        Ok(()) => {}
        Err(error) if error.kind == ErrorKind::Exists => {}
        Err(error) => return Err(error),
    }
    disk.open_folder(parent, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What another version of the library has left is found by this name.
    #[test]
    fn a_destination_is_a_host_and_a_key_by_the_digest_of_the_page() {
        let name = |url, key| Destination::of(url, key).folder_name();
        let (url, key) = ("https://eu.i.posthog.com", "phc_key");
        // By sha256sum.
        assert_eq!(name(url, key), "d-c2aba6c670680f86d65036d4be92679b");
        for (url, key) in
            [(url, "phc_kez"), ("https://us.i.posthog.com", key), ("https://eu.i.posthog.co", "mphc_key")]
        {
            assert_ne!(name(url, key), "d-c2aba6c670680f86d65036d4be92679b", "{url} {key}");
        }
        assert!(is_destination(&name(url, key)));
    }
}

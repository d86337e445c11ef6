//! Reads the files of certificates and keys, as far as they can be such files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is read, in bytes. Bundles of a platform have some 200 kB.
const MAX_BYTES: u64 = 64 << 20;

/// Returns what is in a file.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file.is_dir() {
        let text = "it is a directory, and one file with all certificates is expected: `cat` writes those of a \
                    directory into one";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, text));
    }
    let mut content = Vec::new();
    File::open(file)?.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        let text = format!("it is larger than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(content)
}

//! `/etc/hosts`: names that need no name server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;

use super::error::{Reason, is_shortage};
use super::files::Watched;

const PATH: &str = "/etc/hosts";
/// What is read of the file, so that a broken one costs a bounded time.
const MAX_BYTES: u64 = 16 << 20;
/// The number of names that are remembered. A client has its host and its proxy.
const MAX_NAMES: usize = 8;

/// What the file says of the names that were looked up since it has changed. The file
/// may be long, so no more of it is kept.
#[derive(Default)]
pub(super) struct Hosts {
    known: Watched<Vec<(String, Vec<IpAddr>)>>,
}

impl Hosts {
    /// The addresses of the name in their order; none if it is not listed. A file that is
    /// not there or cannot be read lists nothing; but when this machine has no descriptor
    /// to read it with, no one knows what it lists.
    pub(super) fn look_up(&mut self, name: &str) -> Result<Vec<IpAddr>, Reason> {
        match self.read(name) {
            Err(error) if is_shortage(&error) => Err(Reason::File(PATH, error)),
            found => Ok(found.unwrap_or_default()),
        }
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<IpAddr>> {
        let known = self.known.current(PATH, |_| Ok(Vec::new()))?;
        if let Some((_, addresses)) = known.iter().find(|(known, _)| known == name) {
            return Ok(addresses.clone());
        }
        let addresses = listed(File::open(PATH)?.take(MAX_BYTES), name)?;
        known.truncate(MAX_NAMES - 1);
        known.insert(0, (name.to_owned(), addresses.clone()));
        Ok(addresses)
    }
}

/// The addresses of a name in such a text. What is not understood is passed over.
fn listed(text: impl Read, name: &str) -> io::Result<Vec<IpAddr>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut found = Vec::new();
    for line in BufReader::new(text).split(b'\n') {
        let line = line?;
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(address) = words.next() else { continue };
        if !words.any(|word| word.eq_ignore_ascii_case(name.as_bytes())) {
            continue;
        }
        let address = str::from_utf8(address).ok().and_then(|text| text.parse().ok());
        found.extend(address.filter(|address| !found.contains(address)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_found_in_every_form() {
        let text = b"# 10.0.0.9 host.test\n\n10.0.0.1\thost.test alias # other.test\r\n  fd00::1 HOST.test\n\
            10.0.0.1 host.test\nnonsense host.test\n10.0.0.300 host.test\n10.0.0.2 host.test.example\n\
            \xff\xfe broken\n10.0.0.3 last";
        let table: [(&str, &[&str]); 8] = [
            ("host.test", &["10.0.0.1", "fd00::1"]),
            ("Host.Test", &["10.0.0.1", "fd00::1"]),
            ("host.test.", &["10.0.0.1", "fd00::1"]),
            ("alias", &["10.0.0.1"]),
            ("other.test", &[]),
            ("host", &[]),
            ("broken", &[]),
            ("last", &["10.0.0.3"]),
        ];
        for (name, expected) in table {
            let found: Vec<String> =
                listed(&text[..], name).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

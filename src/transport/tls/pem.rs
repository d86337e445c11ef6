//! Reads PEM files as OpenSSL does, so that a file which works with curl works here.
//!
//! Text between the sections is passed over, in any encoding. A section that is damaged
//! is returned as such: whether it may be left out is the caller's to decide. What is
//! read here and not by OpenSSL: two sections whose lines were glued together because
//! the first file had no last line end, the line ends of old Macs, and damaged sections
//! of kinds that nothing is read from.

use std::borrow::Cow;
use std::fmt;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::der;

/// Where a section begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number among all sections of the file, from 1.
    section: usize,
    /// The number of its first line, from 1.
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "section {} (line {})", self.section, self.line)
    }
}

/// What is between a BEGIN line and an END line.
pub(super) struct Section<'a> {
    pub(super) place: Place,
    /// Its kind, such as `CERTIFICATE`.
    pub(super) label: Cow<'a, str>,
    /// The lines between, not yet decoded.
    body: Vec<u8>,
    /// What is wrong with its lines.
    fault: Option<&'static str>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Whether something looks like a section, although no line begins with it.
pub(super) fn has_misplaced_begin(file: &[u8]) -> bool {
    file.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// Returns all sections of a file.
pub(super) fn sections(file: &[u8]) -> Vec<Section<'_>> {
    let mut found: Vec<Section<'_>> = Vec::new();
    let mut is_open = false;
    for (index, line) in lines(file).enumerate() {
        let mut line = line;
        if is_open && let Some(rest) = line.strip_prefix(END) {
            let Some(section) = found.last_mut() else { continue };
            let (label, rest) = split_at_dashes(rest).unwrap_or((rest, &[]));
            if label != section.label.as_bytes() {
                section.fault = Some("its END line is of another kind than its BEGIN line");
            } else if !rest.is_empty() && !rest.starts_with(BEGIN) {
                section.fault = Some("there is text after its END line");
            }
            is_open = false;
            line = rest;
        }
        if let Some(label) = begin_label(line, is_open) {
            mark_unfinished(found.last_mut().filter(|_| is_open));
            let place = Place { section: found.len() + 1, line: index + 1 };
            found.push(Section {
                place,
                label: String::from_utf8_lossy(label),
                body: Vec::new(),
                fault: None,
            });
            is_open = true;
        } else if is_open && let Some(section) = found.last_mut() {
            section.body.extend_from_slice(line);
            section.body.push(b'\n');
        }
    }
    mark_unfinished(found.last_mut().filter(|_| is_open));
    found
}

fn mark_unfinished(section: Option<&mut Section<'_>>) {
    if let Some(section) = section {
        section.fault = Some("it has no END line");
    }
}

/// The lines of a file, with the line ends of Unix, Windows or old Macs, without the
/// white space at their ends.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = if file.contains(&b'\n') { b'\n' } else { b'\r' };
    file.split(move |byte| *byte == end).map(<[u8]>::trim_ascii_end)
}

/// The label of a BEGIN line, which may follow a byte order mark outside of a section.
fn begin_label(line: &[u8], is_open: bool) -> Option<&[u8]> {
    let line = if is_open { line } else { line.strip_prefix(BOM).unwrap_or(line) };
    let (label, rest) = split_at_dashes(line.strip_prefix(BEGIN)?)?;
    rest.is_empty().then_some(label)
}

/// Divides at the first five dashes.
fn split_at_dashes(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.windows(DASHES.len()).position(|window| window == DASHES)?;
    Some((text.get(..at)?, text.get(at + DASHES.len()..)?))
}

impl Section<'_> {
    /// Whether it holds a certificate, perhaps with OpenSSL's trust settings.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(&*self.label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
    }

    /// Whether it holds the private key of a certificate.
    pub(super) fn is_key(&self) -> bool {
        self.is_encrypted_key()
            || matches!(&*self.label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY")
    }

    /// Whether it holds a private key that a passphrase protects.
    pub(super) fn is_encrypted_key(&self) -> bool {
        let header = b"Proc-Type: 4,ENCRYPTED";
        self.label == "ENCRYPTED PRIVATE KEY"
            || self.label.ends_with("PRIVATE KEY")
                && self.body.split(|byte| *byte == b'\n').any(|line| line == header)
    }

    /// The certificate, and the trust settings after it.
    pub(super) fn certificate(&self) -> Result<(CertificateDer<'static>, Vec<u8>), &'static str> {
        let content: CertificateDer<'_> = self.decoded("CERTIFICATE")?;
        let (certificate, rest) = der::certificate(&content).ok_or("it is not a certificate")?;
        Ok((CertificateDer::from(certificate.to_vec()), rest.to_vec()))
    }

    /// The private key, which is not encrypted.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, &'static str> {
        self.decoded(&self.label)
    }

    fn decoded<T: PemObject>(&self, label: &str) -> Result<T, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("-----END {label}-----\n"));
        let text = [begin.as_bytes(), &self.body, end.as_bytes()].concat();
        T::from_pem_slice(&text).map_err(|_| "what is in it is not base64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sections of a text: place, label, body and fault.
    fn read(text: &str) -> Vec<(usize, usize, String, String, Option<&'static str>)> {
        let row = |section: Section<'_>| {
            let body = String::from_utf8_lossy(&section.body).replace('\n', "|");
            (section.place.section, section.place.line, section.label.into_owned(), body, section.fault)
        };
        sections(text.as_bytes()).into_iter().map(row).collect()
    }

    #[test]
    fn sections_are_found_with_their_places() {
        let row = |n, line, label: &str, body: &str| (n, line, label.to_owned(), body.to_owned(), None);
        let a = "-----BEGIN A-----\nYQ==\n-----END A-----\n";
        for (text, expected) in [
            (a.to_owned(), vec![row(1, 1, "A", "YQ==|")]),
            (format!("\u{feff}{a}\u{feff}{a}"), vec![row(1, 1, "A", "YQ==|"), row(2, 4, "A", "YQ==|")]),
            (format!("text: \u{e9}\n\n{a}more\n{a}"), vec![row(1, 3, "A", "YQ==|"), row(2, 7, "A", "YQ==|")]),
            (a.replace('\n', "\r\n"), vec![row(1, 1, "A", "YQ==|")]),
            (a.replace('\n', "\r"), vec![row(1, 1, "A", "YQ==|")]),
            (a.replace('\n', " \t\n"), vec![row(1, 1, "A", "YQ==|")]),
            (a.trim_end().to_owned(), vec![row(1, 1, "A", "YQ==|")]),
            (format!("{}{a}", a.trim_end()), vec![row(1, 1, "A", "YQ==|"), row(2, 3, "A", "YQ==|")]),
            (format!("  {a}"), vec![]),
            (format!("# {a}"), vec![]),
            (a.replace('\n', "\\n"), vec![]),
            (String::new(), vec![]),
        ] {
            assert_eq!(read(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_damaged_section_does_not_hide_the_next_one() {
        let a = "-----BEGIN A-----\nYQ==\n-----END A-----\n";
        for (damaged, fault) in [
            ("-----BEGIN A-----\nYQ\n", "no END line"),
            ("-----BEGIN A-----\nYQ\n-----END B-----\n", "another kind"),
            ("-----BEGIN A-----\nYQ\n-----END A----\n", "another kind"),
            ("-----BEGIN A-----\nYQ\n-----END A----- x\n", "text after its END line"),
            ("-----BEGIN A-----\nYQ==-----END A-----\n", "no END line"),
        ] {
            let rows = read(&format!("{damaged}{a}"));
            assert_eq!(rows.len(), 2, "{damaged}");
            assert!(rows[0].4.is_some_and(|text| text.contains(fault)), "{damaged}: {rows:?}");
            assert_eq!((rows[1].4, rows[1].3.as_str()), (None, "YQ==|"));
        }
        assert!(read(&format!("{a}-----BEGIN A-----\nYQ")).get(1).is_some_and(|row| row.4.is_some()));
    }
}

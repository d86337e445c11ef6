//! Which certificates are trusted: those of the `ca_file` setting, else those of the
//! platform, else the bundled Mozilla set.
//!
//! A damaged section of a file that the user names is an error, as it is for curl. In
//! the platform's file it costs that section, and a line in the log: nothing that the
//! platform trusts is replaced by something else without a word.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::pem::{Place, Section};
use super::{der, files, pem};
use crate::transport::shortage;

/// The files in which platforms keep their roots, in the order in which they are tried.
const PLATFORM_FILES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// What is trusted.
pub(super) struct Roots {
    pub(super) store: RootCertStore,
    /// Where it comes from.
    pub(super) source: String,
    /// What was left out, and why.
    pub(super) warnings: Vec<String>,
}

/// What one file holds.
#[derive(Default)]
struct Found {
    store: Option<RootCertStore>,
    sections: usize,
    /// Sections of certificates that cannot be read.
    damaged: Vec<(Place, &'static str)>,
    /// Certificates that can be read and not be used.
    unusable: Vec<(Place, String)>,
    /// Why it has no certificate, if it has none.
    hint: Option<String>,
}

impl Found {
    fn in_file(content: &[u8]) -> Self {
        let mut store = RootCertStore::empty();
        if let Some((certificate, b"")) = der::certificate(content) {
            let _ = store.add(CertificateDer::from(certificate));
            return Found {
                store: Some(store).filter(|store| !store.is_empty()),
                sections: 1,
                ..Found::default()
            };
        }
        let sections = pem::sections(content);
        let mut found = Found { sections: sections.len(), ..Found::default() };
        for section in sections.iter().filter(|section| section.is_certificate()) {
            let place = section.place;
            match section.certificate() {
                Err(fault) => found.damaged.push((place, fault)),
                Ok((_, settings)) if is_distrusted(section, &settings) => {
                    let reason = "its trust settings do not allow it for servers".to_owned();
                    found.unusable.push((place, reason));
                }
                Ok((certificate, _)) => {
                    if let Err(error) = store.add(certificate) {
                        found.unusable.push((place, error.to_string()));
                    }
                }
            }
        }
        found.hint = Some(without_certificate(content, &sections)).filter(|_| store.is_empty());
        found.store = Some(store).filter(|store| !store.is_empty());
        found
    }

    /// Says which sections were left out, if any were.
    fn left_out(&self, file: &str) -> Vec<String> {
        let line = |count: usize, what: &str, place: &Place, reason: &str| {
            format!(
                "{file}: of {} sections {count} {what}, the first of them {place}: {reason}",
                self.sections
            )
        };
        let damaged = self
            .damaged
            .first()
            .map(|(place, fault)| line(self.damaged.len(), "cannot be read and are left out", place, fault));
        let unusable = self.unusable.first().map(|(place, reason)| {
            line(self.unusable.len(), "cannot be used and are left out", place, reason)
        });
        damaged.into_iter().chain(unusable).collect()
    }
}

fn is_distrusted(section: &Section<'_>, settings: &[u8]) -> bool {
    section.label == "TRUSTED CERTIFICATE" && !der::is_trusted_for_servers(settings)
}

/// Says what a file holds in place of a certificate.
pub(super) fn without_certificate(content: &[u8], sections: &[Section<'_>]) -> String {
    let expected =
        "a PEM file is expected, which `openssl x509 -inform DER` makes of a certificate in DER form";
    match sections.first() {
        Some(section) if !section.is_certificate() => {
            format!("it contains no certificate, but a section {:?}; {expected}", section.label)
        }
        _ if pem::has_misplaced_begin(content) => {
            "it contains no certificate: each BEGIN line and END line must be a line of its own, without white space \
             before it"
                .to_owned()
        }
        _ if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") => {
            "it is text in UTF-16; save it as UTF-8".to_owned()
        }
        _ => format!("it contains no certificate; {expected}"),
    }
}

/// Returns the certificates of `ca_file`. The error names the file and what is wrong.
pub(super) fn of_setting(ca_file: &str) -> Result<Roots, String> {
    let file = format!("ca_file {ca_file:?}");
    let failed = |reason: String| format!("{file}: {reason}");
    let content = files::read(Path::new(ca_file)).map_err(|error| failed(error.to_string()))?;
    let found = Found::in_file(&content);
    if let Some((place, fault)) = found.damaged.first() {
        return Err(failed(format!("{place} cannot be read: {fault}; remove it or write it anew")));
    }
    let warnings = found.left_out(&file);
    match found.store {
        Some(store) => Ok(Roots { store, source: file, warnings }),
        None => Err(warnings.into_iter().next().or_else(|| found.hint.map(failed)).unwrap_or(file)),
    }
}

/// Returns the certificates of the first file of the platform that has any, else the
/// bundled ones.
///
/// Fails if this machine is short of what it takes to read a file that is there: other
/// certificates must not take their place because of that.
pub(super) fn of_platform() -> Result<Roots, String> {
    let mut warnings = Vec::new();
    for file in PLATFORM_FILES {
        let content = match files::read(Path::new(file)) {
            Ok(content) => content,
            Err(error) if is_absent(&error) => continue,
            Err(error) if shortage::of_error(&error).is_some() => return Err(format!("{file}: {error}")),
            Err(error) => {
                warnings.push(format!("{file}: {error}"));
                continue;
            }
        };
        let found = Found::in_file(&content);
        warnings.extend(found.left_out(file));
        match found.store {
            Some(store) => return Ok(Roots { store, source: file.to_owned(), warnings }),
            None => warnings.extend(found.hint.map(|hint| format!("{file}: {hint}"))),
        }
    }
    let store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if !warnings.is_empty() {
        warnings
            .push("no certificates of the platform could be read; set ca_file, or mend its file".to_owned());
    }
    Ok(Roots { store, source: "the bundled Mozilla roots".to_owned(), warnings })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_page_names_the_files_in_their_order() {
        let page = include_str!("../../../docs/settings.md");
        let places: Vec<_> = PLATFORM_FILES.iter().map(|file| page.find(&format!("`{file}`"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    }
}

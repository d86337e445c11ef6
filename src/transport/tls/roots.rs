//! Which certificates are trusted: those of the `ca_file` setting, else those of the
//! platform (its store, or the first of its files), else the bundled Mozilla set.
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
use crate::runtime::{CERTIFICATE_FILES, CertificateStore, certificate_store};
use crate::transport::shortage;

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

/// Returns the certificates of the platform's store if it has one, else those of the first
/// of its files that has any, else the bundled ones.
///
/// Fails if this machine is short of what it takes to read a file that is there: other
/// certificates must not take their place because of that.
pub(super) fn of_platform() -> Result<Roots, String> {
    let mut warnings = Vec::new();
    match certificate_store() {
        Some(Ok(found)) => return Ok(of_store(found)),
        Some(Err(error)) if shortage::of_error(&error).is_some() => {
            return Err(format!("the certificate store of the system: {error}"));
        }
        Some(Err(error)) => warnings.push(format!("the certificate store of the system: {error}")),
        None => {}
    }
    for file in CERTIFICATE_FILES {
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
            Some(store) => return Ok(Roots { store, source: (*file).to_owned(), warnings }),
            None => warnings.extend(found.hint.map(|hint| format!("{file}: {hint}"))),
        }
    }
    if !warnings.is_empty() {
        warnings
            .push("no certificates of the platform could be read; set ca_file, or mend its file".to_owned());
    }
    Ok(Roots { store: bundled(), source: "the bundled Mozilla roots".to_owned(), warnings })
}

/// Mozilla's set, as it was when the library was built.
fn bundled() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Returns the certificates of a store, and the bundled ones: a system that fetches its roots
/// when one of its own programs needs them has only some of them in its store. What the store
/// distrusts is trusted in neither.
fn of_store(found: CertificateStore) -> Roots {
    let parsed = |into: &mut RootCertStore, from: Vec<Vec<u8>>| {
        into.add_parsable_certificates(from.into_iter().map(CertificateDer::from)).1
    };
    let (mut store, mut distrusted) = (bundled(), RootCertStore::empty());
    let unusable = parsed(&mut store, found.trusted);
    parsed(&mut distrusted, found.distrusted);
    store.roots.retain(|root| {
        let key = &root.subject_public_key_info;
        distrusted.roots.iter().all(|other| other.subject_public_key_info != *key)
    });
    let warnings = (unusable > 0)
        .then(|| format!("{}: {unusable} certificates cannot be used and are left out", found.name));
    Roots {
        store,
        source: format!("{} and the bundled Mozilla roots", found.name),
        warnings: warnings.into_iter().collect(),
    }
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
        let places: Vec<_> = CERTIFICATE_FILES.iter().map(|file| page.find(&format!("`{file}`"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    }

    /// A certificate of an authority that signs itself, made for this test.
    const AUTHORITY: &str = "\
        3082017030820115a00302010202142da4f65d89a5d8480c40f2a017bb02e319dfc275300a06082a8648ce3d040302300c31 \
        0a300806035504030c01613020170d3236313132363036343430315a180f32313236313130323036343430315a300c310a30 \
        0806035504030c01613059301306072a8648ce3d020106082a8648ce3d03010703420004db9db137e2fafca0b856ea51c55d \
        4d0d33f22510639c51bd1df872902f919fd0cde5a3556b754aa89679b4233eff32e66e292fb29442fa00fcbaa3e0a8dc0594 \
        a3533051301d0603551d0e04160414e24212918f03848906fb312c6094d264e2d7285c301f0603551d23041830168014e242 \
        12918f03848906fb312c6094d264e2d7285c300f0603551d130101ff040530030101ff300a06082a8648ce3d040302034900 \
        3046022100d68e16202ec9668171c3261bdb2f815190aea5f933463a7f94a119c6013733bb022100899f9b5e003a98910313 \
        518d90da566cddf8b88a39a0429f8e287cfcea1c3e7c";

    fn authority() -> Vec<u8> {
        let digits = AUTHORITY.replace(' ', "");
        let pairs = digits.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn a_store_adds_to_the_bundled_certificates_and_takes_away_what_it_distrusts() {
        let bundled = bundled().len();
        let of = |trusted: &[Vec<u8>], distrusted: &[Vec<u8>]| {
            let (trusted, distrusted) = (trusted.to_vec(), distrusted.to_vec());
            of_store(CertificateStore { name: "the store", trusted, distrusted })
        };
        let added = of(&[authority()], &[]);
        assert_eq!((added.store.len(), added.warnings.len()), (bundled + 1, 0));
        assert_eq!(added.source, "the store and the bundled Mozilla roots");
        let distrusted = of(&[authority()], &[authority(), b"no certificate".to_vec()]);
        assert_eq!((distrusted.store.len(), distrusted.warnings.len()), (bundled, 0));
        let damaged = of(&[b"no certificate".to_vec()], &[]);
        assert_eq!(damaged.store.len(), bundled);
        assert_eq!(damaged.warnings, ["the store: 1 certificates cannot be used and are left out"]);
    }
}

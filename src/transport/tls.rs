//! Which certificates are trusted.
//!
//! There is one explicit crypto provider. Roots come from the `ca_file` setting, else
//! from the platform's files, else from the bundled Mozilla set. The common helper
//! crates read environment variables for this, which races with a host's setenv.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The files in which platforms keep their roots.
const PLATFORM_FILES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// Returns a TLS configuration and where its roots come from.
pub(super) fn config(ca_file: &str) -> Result<(ClientConfig, String), String> {
    let (roots, source) = if ca_file.is_empty() {
        platform_roots()
    } else {
        (roots_of(ca_file)?, format!("ca_file {ca_file:?}"))
    };
    Ok((with_roots(roots), source))
}

/// Returns a configuration without roots, for plain http.
pub(super) fn unused() -> ClientConfig {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS);
    match verifier {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        // The provider supports every version that rustls knows.
        Err(_) => ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
    }
}

/// Returns the certificates of a PEM file. The error names the file and what is wrong.
pub(super) fn roots_of(ca_file: &str) -> Result<RootCertStore, String> {
    let failed = |reason: String| format!("ca_file {ca_file:?}: {reason}");
    let roots = read(Path::new(ca_file)).map_err(failed)?;
    if roots.is_empty() {
        return Err(failed("it contains no certificate; a PEM file is expected".to_owned()));
    }
    Ok(roots)
}

fn platform_roots() -> (RootCertStore, String) {
    let mut files =
        PLATFORM_FILES.iter().filter_map(|file| Some((read(Path::new(file)).ok()?, (*file).to_owned())));
    files.find(|(roots, _)| !roots.is_empty()).unwrap_or_else(|| {
        let bundled = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        (bundled, "the bundled Mozilla roots".to_owned())
    })
}

fn read(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        // A certificate that cannot be used does not spoil the others.
        let _ = roots.add(certificate.map_err(|error| error.to_string())?);
    }
    Ok(roots)
}

//! The certificate that this client shows to a server that requires one, and its
//! private key, from the settings `client_cert_file` and `client_key_file`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

use super::roots::without_certificate;
use super::{files, pem};
use crate::config::Config;

/// Returns what shows the certificate; `None` if none is set. The error names the
/// setting, the file and what is wrong, and nothing of the key.
pub(super) fn of_settings(
    config: &Config,
    provider: &CryptoProvider,
) -> Result<Option<Arc<dyn ResolvesClientCert>>, String> {
    let (cert_file, key_file) = (&config.client_cert_file, &config.client_key_file);
    if cert_file.is_empty() {
        return Ok(None);
    }
    let at_cert = |reason: String| format!("client_cert_file {cert_file:?}: {reason}");
    let chain = chain(cert_file).map_err(at_cert)?;
    let (setting, key_file) =
        if key_file.is_empty() { ("client_cert_file", cert_file) } else { ("client_key_file", key_file) };
    let at_key = |reason: String| format!("{setting} {key_file:?}: {reason}");
    let key = key(key_file).map_err(at_key)?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(certified) => Ok(Some(Arc::new(SingleCertAndKey::from(certified)))),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(at_key(format!("the private key does not belong to the first certificate in {cert_file:?}")))
        }
        Err(Error::InvalidCertificate(error)) => {
            Err(at_cert(format!("the first certificate cannot be used ({error:?})")))
        }
        Err(_) => Err(at_key(
            "the private key cannot be used; keys of RSA with 2048 to 4096 bits, of ECDSA on P-256 and P-384, and of \
             Ed25519 can be"
                .to_owned(),
        )),
    }
}

/// The certificate of the client, and those between it and its authority.
fn chain(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = files::read(Path::new(file)).map_err(|error| error.to_string())?;
    let sections = pem::sections(&content);
    let mut chain = Vec::new();
    for section in sections.iter().filter(|section| section.is_certificate()) {
        let certificate = section.certificate();
        let (certificate, _) =
            certificate.map_err(|fault| format!("{} cannot be read: {fault}", section.place))?;
        chain.push(certificate);
    }
    if chain.is_empty() { Err(without_certificate(&content, &sections)) } else { Ok(chain) }
}

/// The first private key of a file.
fn key(file: &str) -> Result<PrivateKeyDer<'static>, String> {
    let content = files::read(Path::new(file)).map_err(|error| error.to_string())?;
    let sections = pem::sections(&content);
    let Some(section) = sections.iter().find(|section| section.is_key()) else {
        return Err("it contains no private key; a PEM file is expected, with a section \"PRIVATE KEY\", \"RSA PRIVATE \
                    KEY\" or \"EC PRIVATE KEY\""
            .to_owned());
    };
    if section.is_encrypted_key() {
        return Err(format!(
            "its private key is encrypted; `openssl pkey -in {file} -out plain.pem` writes it without a passphrase"
        ));
    }
    section.key().map_err(|fault| format!("{} cannot be read: {fault}", section.place))
}

//! The TLS configuration of a client: which certificates are trusted, which one the
//! client shows, and what an error of TLS means.
//!
//! There is one explicit crypto provider. The common helper crates read environment
//! variables for the roots, which races with a host's setenv.

mod client_certificate;
mod der;
mod files;
mod meaning;
mod pem;
mod roots;

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::config::Config;
pub(super) use meaning::{handshake_was_refused, meaning};

/// What requests over TLS need, and what the log says of it.
pub(super) struct Tls {
    pub(super) client: ClientConfig,
    /// Where the trusted certificates come from.
    pub(super) source: String,
    /// What is wrong with files, although it goes on.
    pub(super) warnings: Vec<String>,
}

/// Reads the certificates that the settings name.
pub(super) fn config(config: &Config) -> Result<Tls, String> {
    let roots =
        if config.ca_file.is_empty() { roots::of_platform() } else { roots::of_setting(&config.ca_file) }?;
    let client = with_roots(roots.store, config)?;
    Ok(Tls { client, source: roots.source, warnings: roots.warnings })
}

/// Reads the files that the settings name, as [`config`] does, and returns what is wrong
/// with them.
pub(super) fn check(config: &Config) -> Result<(), String> {
    if !config.ca_file.is_empty() {
        roots::of_setting(&config.ca_file)?;
    }
    if !config.client_cert_file.is_empty() {
        with_roots(RootCertStore::empty(), config)?;
    }
    Ok(())
}

/// Returns a configuration without certificates, for plain http.
pub(super) fn unused() -> Result<ClientConfig, String> {
    with_roots(RootCertStore::empty(), &Config::default())
}

fn with_roots(roots: RootCertStore, config: &Config) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    Ok(match client_certificate::of_settings(config, &provider)? {
        Some(resolver) => builder.with_client_cert_resolver(resolver),
        None => builder.with_no_client_auth(),
    })
}

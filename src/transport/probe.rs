//! Single steps of an attempt, for tools that say which one fails: name look-up and the TLS configuration, by the same
//! code as in an attempt.

use std::error::Error;
use std::net::IpAddr;

use reqwest::Url;
use reqwest::dns::{Name, Resolve};

use super::errors::error_chain;
use super::resolver::Resolver;
use super::tls;
use crate::config::{Config, host};

/// The URL that events are posted to.
pub(crate) fn endpoint(config: &Config) -> String {
    host::endpoint(&config.host)
}

/// The host and the port of a URL, as an attempt connects to them.
pub(crate) fn address(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, url.port_or_known_default()?))
}

/// Looks a name up as an attempt does, with the limits of the settings. The error is a text for people.
pub(crate) fn look_up(config: &Config, name: &str) -> Result<Vec<IpAddr>, String> {
    let parsed: Name = name.parse().map_err(|_| format!("{name:?} is not a name"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let resolver = Resolver::new(config);
    let found = runtime.block_on(resolver.lookups().resolve(parsed)).map_err(|error| error_chain(&*error))?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The TLS configuration of an attempt, where its certificates come from, and what is wrong with files although it
/// goes on.
pub(crate) fn tls_config(config: &Config) -> Result<(rustls::ClientConfig, String, Vec<String>), String> {
    tls::config(config).map(|tls| (tls.client, tls.source, tls.warnings))
}

/// What an error of TLS means, and what to do about it; `None` if it is not one, or not a known one.
pub(crate) fn tls_meaning(error: &(dyn Error + 'static)) -> Option<&'static str> {
    tls::meaning(error)
}

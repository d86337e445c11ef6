//! Why a name has no addresses, in words. A shortage of this machine stays visible as
//! the `io::Error` among the causes.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::transport::shortage;

/// A look-up that found no address.
#[derive(Debug)]
pub(super) struct LookupError {
    name: String,
    reason: Reason,
}

/// What was the matter.
#[derive(Debug)]
pub(super) enum Reason {
    /// The name server says that the name does not exist.
    NoSuchName(Authority),
    /// It exists, without an address.
    NoAddress(Authority),
    /// A name that never exists, by a standard.
    NeverExists,
    /// It is longer than a name may be, or has an empty part.
    NotAName,
    /// These name servers have not responded in this time.
    Silent(Vec<SocketAddr>, Duration),
    /// A name server responds, but not with a result.
    Failed(SocketAddr, String),
    /// A name server cannot be reached.
    Unreachable(SocketAddr, io::Error),
    /// resolv.conf names no server that can be used.
    BrokenConf(String),
    /// A file cannot be read.
    File(&'static str, io::Error),
    /// This machine has no socket or thread for it.
    Local(&'static str, io::Error),
    /// libc's resolver failed.
    System(io::Error),
    /// libc's resolver has not responded in this time.
    SystemSilent(Duration),
    /// The client was freed.
    Closed,
}

/// Who said that there is no address, and what could know one.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// The name server.
    pub(super) server: SocketAddr,
    /// Sources of names that libc's resolver would have tried, too.
    pub(super) other_sources: String,
}

impl LookupError {
    /// A failed look-up of this name.
    pub(super) fn new(name: &str, reason: Reason) -> Self {
        LookupError { name: name.to_owned(), reason }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.reason {
            Reason::NoSuchName(authority) => write!(f, "no such name: {name} ({authority})"),
            Reason::NoAddress(authority) => write!(f, "no address: {name} ({authority})"),
            Reason::NeverExists => write!(f, "no such name: {name}"),
            Reason::NotAName => write!(f, "no such name: {name} is not a valid host name"),
            other => write!(f, "look-up of {name}: {other}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoSuchName(authority) | Reason::NoAddress(authority) => write!(f, "{authority}"),
            Reason::NeverExists | Reason::NotAName => f.write_str("no such name"),
            Reason::Silent(servers, limit) => {
                let names: Vec<_> = servers.iter().map(server).collect();
                let (plural, have) = if names.len() == 1 { ("", "has") } else { ("s", "have") };
                let limit = limit.as_millis();
                write!(
                    f,
                    "the name server{plural} {} {have} not responded within {limit} ms",
                    names.join(", ")
                )
            }
            Reason::Failed(at, what) => write!(f, "the name server {} {what}", server(at)),
            Reason::Unreachable(at, error) => {
                write!(f, "the name server {} cannot be reached: {error}", server(at))
            }
            Reason::BrokenConf(text) => f.write_str(text),
            Reason::File(path, error) => write!(f, "{path} cannot be read: {error}"),
            Reason::Local(what, error) => write!(f, "no {what} for it: {error}"),
            Reason::System(error) => write!(f, "the system's resolver says: {error}"),
            Reason::SystemSilent(limit) => {
                write!(f, "the system's resolver has not responded within {} ms", limit.as_millis())
            }
            Reason::Closed => f.write_str("the client was freed"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name server {}", server(&self.server))?;
        if self.other_sources.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "; /etc/nsswitch.conf also names {}, which only the system's resolver knows: set resolver to system",
            self.other_sources
        )
    }
}

impl Error for LookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::File(_, error) | Reason::Local(_, error) | Reason::System(error) => Some(error),
            // That a server cannot be reached is not a shortage, whatever number the system gives
            // it: without IPv6, EADDRNOTAVAIL.
            _ => None,
        }
    }
}

/// Whether this machine is short of something. EADDRNOTAVAIL is not such a case here: it is
/// what the system says of a server of a kind of address that the machine does not have.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::AddrNotAvailable && shortage::of_error(error).is_some()
}

/// A name server as people write it.
fn server(at: &SocketAddr) -> String {
    if at.port() == 53 { at.ip().to_string() } else { at.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_stays_visible_among_the_causes() {
        let shortage = || io::Error::from_raw_os_error(libc::EMFILE);
        for reason in [
            Reason::Local("socket", shortage()),
            Reason::File("/etc/hosts", shortage()),
            Reason::System(shortage()),
        ] {
            let error = LookupError::new("host.test", reason);
            let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
            assert_eq!(cause.and_then(io::Error::raw_os_error), Some(libc::EMFILE), "{error}");
            assert!(error.to_string().starts_with("look-up of host.test: "), "{error}");
        }
        let no_ipv6 = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
        let error = LookupError::new("host.test", Reason::Unreachable(([10, 0, 0, 1], 53).into(), no_ipv6));
        assert!(error.source().is_none() && error.to_string().contains("cannot be reached"), "{error}");
    }

    #[test]
    fn name_servers_are_named() {
        let servers = vec![([10, 0, 0, 1], 53).into(), ([10, 0, 0, 2], 5353).into()];
        let silent = LookupError::new("host.test", Reason::Silent(servers, Duration::from_secs(1)));
        let text = "look-up of host.test: the name servers 10.0.0.1, 10.0.0.2:5353 have not responded within 1000 ms";
        assert_eq!(silent.to_string(), text);
    }
}

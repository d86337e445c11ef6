//! Name look-up: the name of a host or a proxy becomes addresses.
//!
//! The built-in resolver is a future inside the attempt that needs the name. It reads
//! `/etc/hosts` and `/etc/resolv.conf`, queries the name servers from sockets that it
//! opens for that, and keeps none of them. It starts no thread, and calls nothing of
//! libc's resolver, whose locks a fork in another thread could leave locked in the child.
//! With `resolver = system` libc looks the name up instead, on threads of its own.

mod cache;
mod candidates;
mod conf;
mod error;
mod exchange;
mod files;
mod hosts;
mod message;
mod order;
mod query;
mod system;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Config, ResolverKind};
use crate::sync::recover;
use cache::Cache;
use error::{LookupError, Reason};
use hosts::Hosts;
use system::System;

/// The look-ups of one client. When it is dropped they end, also those that the HTTP
/// client has left behind in tasks of its own.
pub(super) struct Resolver {
    lookups: Arc<Lookups>,
    /// Dropping it ends what waits for its other half.
    _open: watch::Sender<()>,
}

impl Resolver {
    /// Nothing is read or opened before the first look-up.
    pub(super) fn new(config: &Config) -> Self {
        let (open, closed) = watch::channel(());
        let system = (config.resolver == ResolverKind::System).then(System::default);
        let state = Mutex::default();
        // A look-up that takes all of the time leaves none for the connection. It is given
        // up a little earlier, so that the error says what was waited for.
        let limit = config.connect_timeout / 20 * 19;
        let inner = Inner { system, state, limit, closed };
        Resolver { lookups: Arc::new(Lookups(Arc::new(inner))), _open: open }
    }

    /// For the HTTP client.
    pub(super) fn lookups(&self) -> Arc<impl Resolve + 'static> {
        Arc::clone(&self.lookups)
    }

    /// Whether this machine has an address to reach a host from: a literal address, or else that of the last look-up.
    /// Also true where that cannot be found out.
    pub(super) fn has_source(&self, host: &str) -> bool {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        let addresses = literal.map_or_else(|_| self.lookups.0.state().last.clone(), |address| vec![address]);
        addresses.is_empty() || order::any_reachable(&addresses)
    }
}

struct Lookups(Arc<Inner>);

struct Inner {
    /// libc's resolver, if it is to be used.
    system: Option<System>,
    /// Taken on the I/O thread only, never across an await.
    state: Mutex<State>,
    /// How long one look-up may take.
    limit: Duration,
    closed: watch::Receiver<()>,
}

/// What is kept between look-ups, all of it in memory.
#[derive(Default)]
struct State {
    hosts: Hosts,
    conf: conf::Known,
    cache: Cache,
    /// The number of look-ups by DNS, for `options rotate`.
    turn: usize,
    /// What the last look-up has found.
    last: Vec<IpAddr>,
}

impl Resolve for Lookups {
    fn resolve(&self, name: Name) -> Resolving {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let found = inner.look_up(name.as_str()).await?;
            // The HTTP client puts the port of the URL in place of the 0.
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

impl Inner {
    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let deadline = Instant::now() + self.limit;
        let mut closed = self.closed.clone();
        let found = tokio::select! {
            found = self.find(name, deadline) => found,
            _ = closed.changed() => Err(Reason::Closed),
        };
        found.map_err(|reason| LookupError::new(name, reason))
    }

    async fn find(&self, name: &str, deadline: Instant) -> Result<Vec<SocketAddr>, Reason> {
        let found: Vec<_> = if let Some(system) = &self.system {
            order::usable(system.look_up(name, deadline, self.limit).await?)
        } else {
            let sorted = order::sorted(self.find_built_in(name, deadline).await?);
            sorted.into_iter().map(|address| SocketAddr::new(address, 0)).collect()
        };
        self.state().last = found.iter().map(SocketAddr::ip).collect();
        Ok(found)
    }

    async fn find_built_in(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Reason> {
        let listed = self.state().hosts.look_up(name)?;
        if !listed.is_empty() {
            return Ok(listed);
        }
        if let Some(special) = special(name) {
            return special;
        }
        let (conf, turn) = {
            let mut state = self.state();
            let conf = conf::current(&mut state.conf)?;
            if let Some(found) = state.cache.get(name, &conf, Instant::now()) {
                return found.into_addresses();
            }
            state.turn = state.turn.wrapping_add(1);
            (conf, state.turn)
        };
        let found = query::look_up(&conf, name, turn, deadline, self.limit).await?;
        self.state().cache.put(name, &conf, &found, Instant::now());
        found.into_addresses()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        recover(self.state.lock())
    }
}

/// What is known of a name without a name server: RFC 6761 and RFC 7686.
fn special(name: &str) -> Option<Result<Vec<IpAddr>, Reason>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.eq_ignore_ascii_case("localhost") {
        return Some(Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]));
    }
    let never = ["invalid", "onion"].iter().any(|word| last.eq_ignore_ascii_case(word));
    never.then_some(Err(Reason::NeverExists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_machine_has_a_source_is_asked_of_what_was_found() {
        let resolver = Resolver::new(&Config::new("key"));
        assert!(resolver.has_source("127.0.0.1") && resolver.has_source("not.looked.up"));
        // No ordinary socket leads to this one.
        assert!(!resolver.has_source("255.255.255.255"));
        for (found, has_source) in [(Ipv4Addr::LOCALHOST, true), (Ipv4Addr::BROADCAST, false)] {
            resolver.lookups.0.state().last = vec![found.into()];
            assert_eq!(resolver.has_source("looked.up"), has_source);
        }
    }

    #[test]
    fn special_names_need_no_server() {
        let local = |name| matches!(special(name), Some(Ok(found)) if found.len() == 2);
        for name in ["localhost", "LOCALHOST", "localhost.", "a.b.localhost"] {
            assert!(local(name), "{name}");
        }
        for name in ["none.invalid", "invalid", "x.INVALID.", "x.onion"] {
            assert!(matches!(special(name), Some(Err(Reason::NeverExists))), "{name}");
        }
        for name in ["events.test", "localhost.test", "notlocalhost", "host.local", "x.invalid.test"] {
            assert!(special(name).is_none(), "{name}");
        }
    }
}

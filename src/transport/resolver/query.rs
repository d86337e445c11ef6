//! A look-up by DNS: both kinds of address of each name that a short name may stand for.

use std::net::SocketAddr;
use std::time::Duration;

use domain::base::Name;
use tokio::time::Instant;

use super::cache::{Found, What};
use super::candidates::candidates;
use super::conf::ResolvConf;
use super::error::{Authority, Reason};
use super::exchange::{Bounds, ask};
use super::message::{Family, Records, wire_name};
use super::order::any_reachable;

/// Once there are addresses of one kind, those of the other have this time: RFC 8305,
/// section 3.
const GRACE: Duration = Duration::from_millis(50);
/// How long half a result is used.
const MAX_PARTIAL_TTL: Duration = Duration::from_secs(30);

type Asked = Result<(Records, SocketAddr), Reason>;

/// What the name servers know of a name, by their order and the search list.
pub(super) async fn look_up(
    conf: &ResolvConf,
    name: &str,
    turn: usize,
    deadline: Instant,
    limit: Duration,
) -> Result<Found, Reason> {
    let bounds = Bounds { conf, turn, deadline, limit };
    let mut absent: Option<Found> = None;
    let mut failed = None;
    for candidate in candidates(conf, name) {
        let Some(wire) = wire_name(&candidate) else { continue };
        match both(bounds, &wire).await {
            Ok(found @ Found { what: What::Addresses(_), .. }) => return Ok(found),
            Ok(found) => absent = Some(absent.map_or(found.clone(), |before| more_specific(before, found))),
            // The next name may belong to a server that works.
            Err(reason @ Reason::Failed(..)) => failed = Some(reason),
            Err(reason) => return Err(reason),
        }
    }
    match (failed, absent) {
        (Some(reason), _) => Err(reason),
        (None, Some(found)) => Ok(with_other_sources(found)),
        (None, None) => Err(Reason::NotAName),
    }
}

/// A name that exists without an address says more than one that does not exist; both are
/// true as long as the shorter of the two.
fn more_specific(first: Found, second: Found) -> Found {
    let ttl = first.ttl.min(second.ttl);
    let what = if matches!(first.what, What::NoAddress(_)) { first.what } else { second.what };
    Found { what, ttl }
}

/// Both kinds of address of one full name, at once.
async fn both(bounds: Bounds<'_>, name: &Name<Vec<u8>>) -> Result<Found, Reason> {
    if bounds.conf.no_aaaa {
        return combined(Some(ask(bounds, name, Family::V4).await), None);
    }
    let (v4, v6) = (ask(bounds, name, Family::V4), ask(bounds, name, Family::V6));
    tokio::pin!(v4, v6);
    let (mut first, mut second): (Option<Asked>, Option<Asked>) = (None, None);
    let grace = tokio::time::sleep_until(bounds.deadline);
    tokio::pin!(grace);
    let mut begun = false;
    while first.is_none() || second.is_none() {
        tokio::select! {
            result = &mut v4, if first.is_none() => first = Some(result),
            result = &mut v6, if second.is_none() => second = Some(result),
            () = &mut grace, if begun => break,
        }
        // The wait is longer only where the one kind leads nowhere.
        if !begun && [&first, &second].into_iter().flatten().any(is_enough) {
            grace.as_mut().reset(bounds.deadline.min(Instant::now() + GRACE));
            begun = true;
        }
    }
    combined(first, second)
}

fn is_enough(asked: &Asked) -> bool {
    asked.as_ref().is_ok_and(|(records, _)| any_reachable(&records.addresses))
}

/// What two results, one of which may be missing, say of the name.
fn combined(first: Option<Asked>, second: Option<Asked>) -> Result<Found, Reason> {
    let is_partial = !matches!((&first, &second), (Some(Ok(_)), Some(Ok(_)) | None));
    let mut said = Vec::new();
    let mut reason = None;
    for asked in [first, second].into_iter().flatten() {
        match asked {
            Ok(one) => said.push(one),
            Err(error) => {
                reason = Some(match reason {
                    Some(before) => weightier(before, error),
                    None => error,
                });
            }
        }
    }
    let ttls = |wanted: fn(&Records) -> bool| {
        said.iter().filter(move |(records, _)| wanted(records)).map(|(records, _)| records.ttl).min()
    };
    let ttl = ttls(|records| !records.addresses.is_empty());
    if let Some(ttl) = ttl {
        let ttl = if is_partial { ttl.min(MAX_PARTIAL_TTL) } else { ttl };
        let addresses = said.into_iter().flat_map(|(records, _)| records.addresses).collect();
        return Ok(Found { what: What::Addresses(addresses), ttl });
    }
    let ttl = ttls(|_| true).unwrap_or_default();
    let authority =
        |(_, server): &(Records, SocketAddr)| Authority { server: *server, other_sources: String::new() };
    // A name that does not exist has no address of the other kind either.
    if let Some(said) = said.iter().find(|(records, _)| !records.exists) {
        return Ok(Found { what: What::NoSuchName(authority(said)), ttl });
    }
    match (reason, said.first()) {
        (None, Some(said)) => Ok(Found { what: What::NoAddress(authority(said)), ttl }),
        (reason, _) => Err(reason.unwrap_or(Reason::Closed)),
    }
}

/// A shortage here explains more than what a server says, and that more than no response.
fn weightier(first: Reason, second: Reason) -> Reason {
    let weight = |reason: &Reason| match reason {
        Reason::Local(..) => 3,
        Reason::Failed(..) => 2,
        Reason::Unreachable(..) => 1,
        _ => 0,
    };
    if weight(&second) > weight(&first) { second } else { first }
}

/// Adds the sources of names that libc would have tried as well.
fn with_other_sources(mut found: Found) -> Found {
    if let What::NoSuchName(authority) | What::NoAddress(authority) = &mut found.what {
        let text = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
        authority.other_sources = other_sources(&text);
    }
    found
}

/// The sources of hosts in such a file, but for those that the built-in resolver knows.
fn other_sources(text: &str) -> String {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("hosts:")).unwrap_or_default();
    let line = line.split('#').next().unwrap_or_default();
    let names = line.split_whitespace().filter(|word| {
        word.starts_with(|first: char| first.is_ascii_alphabetic()) && !["files", "dns"].contains(word)
    });
    let names: Vec<_> = names.filter(|word| !word.contains([']', '='])).take(8).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use super::*;

    fn server() -> SocketAddr {
        ([10, 0, 0, 53], 53).into()
    }

    #[allow(clippy::unnecessary_wraps, reason = "it is what `combined` takes")]
    fn some(addresses: &[&str], seconds: u64, exists: bool) -> Option<Asked> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Some(Ok((Records { addresses, ttl: Duration::from_secs(seconds), exists }, server())))
    }

    fn found(first: Option<Asked>, second: Option<Asked>) -> (Vec<IpAddr>, u64) {
        match combined(first, second).unwrap() {
            Found { what: What::Addresses(addresses), ttl } => (addresses, ttl.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_kind_of_address_is_enough_and_both_are_better() {
        let v4: IpAddr = "10.0.0.1".parse().unwrap();
        let v6: IpAddr = "fd00::1".parse().unwrap();
        let some_v4 = || some(&["10.0.0.1"], 600, true);
        let silent = || Some(Err(Reason::Silent(vec![server()], GRACE)));
        assert_eq!(found(some_v4(), some(&["fd00::1"], 60, true)), (vec![v4, v6], 60));
        assert_eq!(found(some_v4(), some(&[], 5, true)), (vec![v4], 600));
        assert_eq!(found(some(&[], 5, true), some(&["fd00::1"], 60, true)), (vec![v6], 60));
        assert_eq!(found(some_v4(), None), (vec![v4], 600), "no-aaaa");
        // Half a result is not used for long.
        assert_eq!(found(some_v4(), silent()), (vec![v4], 30));
        assert_eq!(found(None, some_v4()), (vec![v4], 30));
    }

    #[test]
    fn without_an_address_the_reason_is_the_weightiest() {
        let failed = || Some(Err(Reason::Failed(server(), "SERVFAIL".to_owned())));
        let silent = || Some(Err(Reason::Silent(vec![server()], GRACE)));
        let local = || Some(Err(Reason::Local("socket", io::Error::from_raw_os_error(libc::EMFILE))));
        assert!(matches!(combined(silent(), failed()), Err(Reason::Failed(..))));
        assert!(matches!(combined(local(), failed()), Err(Reason::Local(..))));
        assert!(matches!(combined(some(&[], 9, true), silent()), Err(Reason::Silent(..))));
        let gone = |first, second| combined(first, second).unwrap();
        let both = gone(some(&[], 9, true), some(&[], 5, true));
        assert!(matches!(both.what, What::NoAddress(_)) && both.ttl.as_secs() == 5);
        // One such response is enough.
        assert!(matches!(gone(some(&[], 9, false), silent()).what, What::NoSuchName(_)));
    }

    #[test]
    fn other_sources_of_names_are_those_of_libc_alone() {
        for (text, expected) in [
            ("passwd: files\nhosts: files dns\n", ""),
            ("", ""),
            (
                "hosts:\tfiles mdns4_minimal [NOTFOUND=return] dns myhostname # wins",
                "mdns4_minimal, myhostname",
            ),
            ("# hosts: wins\n  hosts: files resolve [!UNAVAIL=return] dns", "resolve"),
        ] {
            assert_eq!(other_sources(text), expected, "{text}");
        }
    }
}

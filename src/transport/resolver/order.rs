//! The order in which addresses are tried: RFC 6724, as far as it separates addresses
//! that can be reached from here from those that cannot, and IPv6 from IPv4.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Finding a source costs four system calls an address.
const MAX_PROBED: usize = 32;
/// Any: nothing is sent there.
const PORT: u16 = 9;

/// What this machine would send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Address(IpAddr),
    /// There is no route.
    None,
    /// There is no descriptor to find out.
    Unknown,
}

/// The addresses, the best first; equally good ones stay in their order. Without those that cannot be reached from here
/// where others can: the HTTP client reports the error of the last one that it has tried.
pub(super) fn sorted(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.len() < 2 {
        return addresses;
    }
    sorted_by(addresses, source)
}

/// The same in the order that they have.
pub(super) fn usable(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.len() < 2 {
        return addresses;
    }
    // An address of one link is known to the link only.
    let source = |address: &SocketAddr| match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => Source::Unknown,
        _ => source(address.ip()),
    };
    with_sources(addresses, source).into_iter().map(|(_, address)| address).collect()
}

/// Whether the machine has a route to one of them.
pub(super) fn any_reachable(addresses: &[IpAddr]) -> bool {
    addresses.iter().take(MAX_PROBED).any(|address| source(*address) != Source::None)
}

fn sorted_by(addresses: Vec<IpAddr>, source: impl Fn(IpAddr) -> Source) -> Vec<IpAddr> {
    let mut ranked: Vec<_> = (with_sources(addresses, |address| source(*address)).into_iter())
        .map(|(source, address)| (rank(address, source), address))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// Each address with its source, without those that have none if another one has.
fn with_sources<T>(addresses: Vec<T>, source: impl Fn(&T) -> Source) -> Vec<(Source, T)> {
    let mut found: Vec<_> = (addresses.into_iter().enumerate())
        .map(|(at, address)| (if at < MAX_PROBED { source(&address) } else { Source::Unknown }, address))
        .collect();
    if found.iter().any(|(source, _)| matches!(source, Source::Address(_))) {
        found.retain(|(source, _)| *source != Source::None);
    }
    found
}

/// Rules 1, 2, 5, 6 and 8 of section 6; less is better.
fn rank(address: IpAddr, source: Source) -> (bool, bool, bool, Reverse<u8>, u8) {
    let (precedence, label) = policy(address);
    let (scope_differs, label_differs) = match source {
        Source::Address(source) => (scope(source) != scope(address), policy(source).1 != label),
        Source::None | Source::Unknown => (false, false),
    };
    (source == Source::None, scope_differs, label_differs, Reverse(precedence), scope(address))
}

/// Precedence and label: the table of RFC 6724, section 2.1.
fn policy(address: IpAddr) -> (u8, u8) {
    let IpAddr::V6(address) = address else { return (35, 4) };
    match address.segments() {
        _ if address == Ipv6Addr::LOCALHOST => (50, 0),
        [0, 0, 0, 0, 0, 0xFFFF, ..] => (35, 4),
        [0x2002, ..] => (30, 2),
        [0x2001, 0, ..] => (5, 5),
        [first, ..] if first & 0xFE00 == 0xFC00 => (3, 13),
        [0, 0, 0, 0, 0, 0, ..] => (1, 3),
        [first, ..] if first & 0xFFC0 == 0xFEC0 => (1, 11),
        [0x3FFE, ..] => (1, 12),
        _ => (40, 1),
    }
}

/// Link-local (2) and loopback count as near, all others as global (14).
fn scope(address: IpAddr) -> u8 {
    let near = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    };
    if near { 2 } else { 14 }
}

/// Asks the kernel, which sends nothing for it.
fn source(address: IpAddr) -> Source {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind((any, 0)) else {
        // A kernel without IPv6 has no such address. A machine without descriptors
        // refuses IPv4, too.
        return if address.is_ipv6() && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).is_ok() {
            Source::None
        } else {
            Source::Unknown
        };
    };
    let found = socket.connect((address, PORT)).and_then(|()| socket.local_addr());
    found.map_or(Source::None, |local| Source::Address(local.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &[&str], sources: &[(&str, &str)]) -> Vec<String> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let source = |address: IpAddr| {
            let found = sources.iter().find(|(to, _)| *to == address.to_string());
            found.map_or(Source::None, |(_, from)| Source::Address(from.parse().unwrap()))
        };
        sorted_by(addresses, source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_can_be_reached_comes_first_and_ipv6_before_ipv4() {
        let v4 = ("10.0.0.1", "10.0.0.9");
        let v6 = ("2001:db8::1", "2001:db8::9");
        let both = ["10.0.0.1", "2001:db8::1"];
        assert_eq!(order(&both, &[v4, v6]), ["2001:db8::1", "10.0.0.1"]);
        assert_eq!(order(&both, &[v4]), ["10.0.0.1"], "without a route of IPv6");
        assert_eq!(order(&["2001:db8::1", "10.0.0.1"], &[v4]), ["10.0.0.1"]);
        assert_eq!(order(&both, &[v6]), ["2001:db8::1"], "with IPv6 only");
        assert_eq!(order(&both, &[]), ["2001:db8::1", "10.0.0.1"]);
        // A private network of IPv6 does not lead to the world.
        assert_eq!(order(&both, &[v4, ("2001:db8::1", "fd00::9")]), both);
        assert_eq!(order(&["10.0.0.1", "fd00::1"], &[v4, ("fd00::1", "fd00::9")]), ["10.0.0.1", "fd00::1"]);
        assert_eq!(
            order(&["127.0.0.1", "::1"], &[("127.0.0.1", "127.0.0.1"), ("::1", "::1")]),
            ["::1", "127.0.0.1"]
        );
    }

    #[test]
    fn equally_good_addresses_stay_in_their_order() {
        let addresses = ["10.0.0.3", "10.0.0.1", "10.0.0.2"];
        assert_eq!(order(&addresses, &addresses.map(|to| (to, "10.0.0.9"))), addresses);
        let many: Vec<String> = (0..40).map(|last| format!("10.0.0.{last}")).collect();
        let texts: Vec<&str> = many.iter().map(String::as_str).collect();
        let sources: Vec<_> = texts.iter().map(|to| (*to, "10.0.0.9")).collect();
        assert_eq!(order(&texts, &sources).len(), 40);
    }

    #[test]
    fn the_kernel_knows_its_own_addresses() {
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(source(local), Source::Address(local));
        assert!(any_reachable(&[local]) && !any_reachable(&[]));
        let local = SocketAddr::new(local, 9);
        assert_eq!(usable(vec![local, local]), [local, local]);
    }

    #[test]
    fn what_has_no_source_is_left_out_where_another_address_has_one() {
        let addresses =
            || ["2001:db8::1", "10.0.0.1", "2001:db8::2"].map(|text| text.parse().unwrap()).to_vec();
        let kept = |v4: Source, v6: Source| {
            let source = |address: &IpAddr| if address.is_ipv4() { v4 } else { v6 };
            with_sources(addresses(), source).len()
        };
        let some = Source::Address("10.0.0.9".parse().unwrap());
        assert_eq!((kept(some, Source::None), kept(Source::None, some)), (1, 2));
        assert_eq!((kept(some, some), kept(Source::None, Source::None)), (3, 3));
        // What is not known excludes nothing.
        assert_eq!((kept(some, Source::Unknown), kept(Source::Unknown, Source::None)), (3, 3));
    }
}

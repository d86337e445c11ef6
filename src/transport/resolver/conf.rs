//! `/etc/resolv.conf`: which name servers there are, and what is appended to short
//! names. It is read as glibc reads it, with glibc's bounds.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use resolv_conf::{Config, ParseError, ScopedIp};

use super::error::Reason;
use super::files::Watched;

const PATH: &str = "/etc/resolv.conf";
const MAX_BYTES: u64 = 1 << 20;
const PORT: u16 = 53;
const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 16;
const MAX_NDOTS: u32 = 15;
const MAX_TIMEOUT: u32 = 30;
const MAX_ATTEMPTS: u32 = 5;

/// The file, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The name servers in their order, at least one.
    pub(super) servers: Vec<SocketAddr>,
    /// Domains that are appended to a name.
    pub(super) search: Vec<String>,
    /// A name with this many dots is looked up as it is first.
    pub(super) ndots: usize,
    /// The time of a server for a response, and how often it is given that.
    pub(super) timeout: Duration,
    /// See `timeout`.
    pub(super) attempts: u32,
    /// Whether the servers take turns in being asked first.
    pub(super) rotate: bool,
    /// Whether queries go over TCP only.
    pub(super) use_tcp: bool,
    /// Whether addresses of IPv6 are not wanted.
    pub(super) no_aaaa: bool,
}

/// What is kept of the file: its content, or why it cannot be used.
pub(super) type Known = Watched<Result<Arc<ResolvConf>, String>>;

/// The file as it is now.
pub(super) fn current(known: &mut Known) -> Result<Arc<ResolvConf>, Reason> {
    let conf = known.current(PATH, read).map_err(|error| Reason::File(PATH, error))?;
    conf.clone().map_err(Reason::BrokenConf)
}

fn read(file: Option<File>) -> io::Result<Result<Arc<ResolvConf>, String>> {
    let mut text = Vec::new();
    if let Some(file) = file {
        file.take(MAX_BYTES).read_to_end(&mut text)?;
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(parse(&text, host.trim()).map(Arc::new))
}

/// Without a file the text is empty, and the machine itself is asked. Lines and options
/// that are not understood are passed over, as glibc does; but a file whose only name
/// servers are not addresses is an error.
fn parse(text: &[u8], host_name: &str) -> Result<ResolvConf, String> {
    let (conf, errors) = Config::parse_with_errors(text);
    let mut servers: Vec<_> = conf.nameservers.iter().filter_map(socket_address).collect();
    servers.truncate(MAX_SERVERS);
    let broken = errors.iter().find_map(|error| match error {
        ParseError::InvalidIp(line, _) => Some(*line),
        _ => None,
    });
    if servers.is_empty() {
        let line = broken.and_then(|at| text.split(|byte| *byte == b'\n').nth(at));
        if let Some(line) = line.filter(|line| line.trim_ascii_start().starts_with(b"nameserver")) {
            let line = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            return Err(format!("{PATH} names no name server that is an address: {line:?}"));
        }
        if let Some(unknown) = conf.nameservers.first() {
            return Err(format!("{PATH} names a name server on an unknown interface: {unknown}"));
        }
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    let mut search: Vec<String> = conf.get_last_search_or_domain().cloned().collect();
    if conf.get_search().is_none() && conf.get_domain().is_none() {
        search.extend(host_name.split_once('.').map(|(_, domain)| domain.to_owned()));
    }
    search.truncate(MAX_SEARCH);
    Ok(ResolvConf {
        servers,
        search,
        ndots: conf.ndots.min(MAX_NDOTS) as usize,
        timeout: Duration::from_secs(conf.timeout.clamp(1, MAX_TIMEOUT).into()),
        attempts: conf.attempts.clamp(1, MAX_ATTEMPTS),
        rotate: conf.rotate,
        use_tcp: conf.use_vc,
        no_aaaa: conf.no_aaaa,
    })
}

/// `None` if the scope is an interface that does not exist.
fn socket_address(server: &ScopedIp) -> Option<SocketAddr> {
    Some(match server {
        ScopedIp::V6(address, Some(scope)) => SocketAddrV6::new(*address, PORT, 0, scope_id(scope)?).into(),
        ScopedIp::V6(address, None) => (IpAddr::from(*address), PORT).into(),
        ScopedIp::V4(address) => (IpAddr::from(*address), PORT).into(),
    })
}

/// The number of an interface, which may be given by its name.
fn scope_id(scope: &str) -> Option<u32> {
    if let Ok(number) = scope.parse() {
        return Some(number);
    }
    let is_name = !scope.contains('/') && scope != "." && scope != "..";
    let path = is_name.then(|| format!("/sys/class/net/{scope}/ifindex"))?;
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ResolvConf {
        parse(text.as_bytes(), "machine").unwrap()
    }

    fn servers(text: &str) -> Vec<String> {
        parsed(text).servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_are_read_as_glibc_reads_them() {
        let table: [(&str, &[&str]); 8] = [
            ("", &["127.0.0.1:53"]),
            ("search example.test\n# nameserver 10.0.0.9\n;nameserver 10.0.0.9", &["127.0.0.1:53"]),
            ("nameserver 10.0.0.1\nnameserver\t10.0.0.2 # second", &["10.0.0.1:53", "10.0.0.2:53"]),
            ("nameserver fd00::53\nnameserver fe80::1%7\n", &["[fd00::53]:53", "[fe80::1%7]:53"]),
            ("nameserver fe80::1%lo", &["[fe80::1%1]:53"]),
            ("nameserver 10.0.0.300\nnameserver 10.0.0.2\nnonsense 7", &["10.0.0.2:53"]),
            ("nameserver fe80::1%nosuch0\nnameserver 10.0.0.2", &["10.0.0.2:53"]),
            (
                "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
                &["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(servers(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_without_any_usable_server_is_an_error_that_says_so() {
        for (text, part) in [
            ("nameserver 10.0.0.300", "\"nameserver 10.0.0.300\""),
            ("search a.test\n nameserver ns.example\n", "\"nameserver ns.example\""),
            ("nameserver fe80::1%nosuch0", "fe80::1%nosuch0"),
            ("nameserver fe80::1%../../x", "fe80::1%../../x"),
        ] {
            let error = parse(text.as_bytes(), "machine").unwrap_err();
            assert!(error.contains("/etc/resolv.conf") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_last_of_search_and_domain_counts() {
        let table: [(&str, &str, &[&str]); 6] = [
            ("search a.test b.test", "machine", &["a.test", "b.test"]),
            ("search a.test\ndomain b.test", "machine", &["b.test"]),
            ("domain b.test\nsearch a.test", "machine", &["a.test"]),
            ("", "machine", &[]),
            ("", "machine.corp.test", &["corp.test"]),
            ("domain b.test", "machine.corp.test", &["b.test"]),
        ];
        for (text, host, expected) in table {
            assert_eq!(parse(text.as_bytes(), host).unwrap().search, expected, "{text:?}");
        }
    }

    #[test]
    fn options_are_read_and_bounded() {
        let plain = parsed("");
        assert_eq!((plain.ndots, plain.timeout.as_secs(), plain.attempts), (1, 5, 2));
        assert!(!plain.rotate && !plain.use_tcp && !plain.no_aaaa);
        let conf =
            parsed("options ndots:5 timeout:1 attempts:3 rotate\noptions use-vc no-aaaa edns0 new-one:3");
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (5, 1, 3));
        assert!(conf.rotate && conf.use_tcp && conf.no_aaaa);
        let wild = parsed("options ndots:99 timeout:0 attempts:99");
        assert_eq!((wild.ndots, wild.timeout.as_secs(), wild.attempts), (15, 1, 5));
    }
}

//! Connections to the server, or to the proxy before it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use phc::internals::Config;
use phc::internals::tool::{self, address};
use url::Url;

use super::{Step, http, tls};
use crate::text::time;

/// A stream to the server: TCP, or TLS over it, perhaps through a tunnel.
pub(super) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// See [`Stream`].
pub(super) type Connection = Box<dyn Stream>;

/// A host and a port.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// That of a URL.
    pub(super) fn of(url: &str) -> Option<Self> {
        address(url).map(|(host, port)| Place { host, port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// How long steps may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    connect: Duration,
    request: Duration,
}

impl Limits {
    /// Those of the settings.
    pub(super) fn of(config: &mut Config) -> Self {
        let mut ms = |key, default| {
            let value = config.get(key).ok().and_then(|value| value.parse().ok());
            Duration::from_millis(value.unwrap_or(default))
        };
        Limits { connect: ms("connect_timeout_ms", 5000), request: ms("request_timeout_ms", 10_000) }
    }
}

/// The addresses of a name.
pub(super) fn look_up(config: &Config, place: &Place) -> Step<(Vec<IpAddr>, String)> {
    if let Ok(address) = place.host.parse() {
        return Ok((vec![address], format!("{address} is an address")));
    }
    let begun = Instant::now();
    let found = tool::look_up(config, &place.host).map_err(|error| {
        format!("{error}; check the name, /etc/resolv.conf and the name server, or try --set resolver=system")
    })?;
    let list: Vec<String> = found.iter().map(IpAddr::to_string).collect();
    let text = format!("{} is {} ({})", place.host, list.join(", "), time(begun.elapsed()));
    Ok((found, text))
}

/// Connects to the first of the addresses that accepts.
pub(super) fn connect(
    addresses: &[IpAddr],
    port: u16,
    limits: Limits,
) -> Step<((TcpStream, SocketAddr), String)> {
    let mut failures = Vec::new();
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        let begun = Instant::now();
        match connect_to(address, limits) {
            Ok(stream) => {
                let but = if failures.is_empty() {
                    String::new()
                } else {
                    format!("; before that, {}", failures.join("; "))
                };
                let text = format!("connected to {address} ({}){but}", time(begun.elapsed()));
                return Ok(((stream, address), text));
            }
            Err(text) => failures.push(text),
        }
    }
    Err(failures.join("; "))
}

/// Connects to an address.
pub(super) fn connect_to(address: SocketAddr, limits: Limits) -> Step<TcpStream> {
    let connected = TcpStream::connect_timeout(&address, limits.connect).and_then(|stream| {
        stream.set_read_timeout(Some(limits.request))?;
        stream.set_write_timeout(Some(limits.request))?;
        Ok(stream)
    });
    connected.map_err(|error| format!("{address}: {error}: {}", advice(error.kind())))
}

/// What a failed connection means, and what to do.
const CONNECT_ADVICE: [(io::ErrorKind, &str); 5] = [
    (
        io::ErrorKind::ConnectionRefused,
        "nothing accepts connections there: check the port, and that the server is running",
    ),
    (
        io::ErrorKind::TimedOut,
        "no response: a firewall may drop the packets; allow connections to it, or set proxy",
    ),
    (io::ErrorKind::NetworkUnreachable, "this machine has no route to it: check its network"),
    (io::ErrorKind::HostUnreachable, "this machine has no route to it: check its network"),
    (io::ErrorKind::PermissionDenied, "this machine does not allow it: check its firewall"),
];

fn advice(kind: io::ErrorKind) -> &'static str {
    let row = CONNECT_ADVICE.iter().find(|(known, _)| *known == kind);
    row.map_or("check the network of this machine, and a firewall between", |(_, advice)| advice)
}

/// The proxy of the settings.
pub(super) struct Proxy {
    pub(super) place: Place,
    is_tls: bool,
    /// The header of the name and the password, if there are any.
    pub(super) authorization: String,
}

impl Proxy {
    /// The proxy, if one is set.
    pub(super) fn of(config: &mut Config) -> Option<Self> {
        let url = Url::parse(&config.get("proxy").ok().filter(|proxy| !proxy.is_empty())?).ok()?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials =
            format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
        let authorization = if credentials == ":" {
            String::new()
        } else {
            format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(credentials))
        };
        Some(Proxy { place: Place::of(url.as_str())?, is_tls: url.scheme() == "https", authorization })
    }

    /// How requests get to the server.
    pub(super) fn way_to(&self, server: &Place, is_https: bool) -> String {
        if is_https {
            format!("{} has connected to {server}", self.place)
        } else {
            format!("requests for {server} are sent to {}", self.place)
        }
    }

    /// What comes of a connection to the proxy: one to the server by way of it, or for plain http the same.
    pub(super) fn pass(
        &self,
        config: &Config,
        server: &Place,
        is_https: bool,
        stream: Connection,
    ) -> Step<Connection> {
        let mut stream = if self.is_tls {
            tls::open(config, &self.place.host, stream)
                .map_err(|error| format!("TLS with the proxy: {error}"))?
        } else {
            stream
        };
        if is_https {
            http::tunnel(&mut stream, server, self)?;
        }
        Ok(stream)
    }
}

//! One query to the name servers, the first response of which counts.
//!
//! A server that does not respond soon gets company by the next one, and is listened to
//! further. Each query of each server has a socket of its own, connected to the server,
//! with a port that the kernel chooses and a number that is random. The sockets end with
//! the future.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use domain::base::Name;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::conf::ResolvConf;
use super::error::{Reason, is_shortage};
use super::message::{Family, Query, Records, Reply};

/// The next server is asked when one has not responded after this time.
const HEAD_START: Duration = Duration::from_millis(250);
/// A datagram is sent again after this time, then after twice that, and so on.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// No response over UDP is longer: see `message`.
const MAX_DATAGRAM: usize = 4096;

/// One look-up and its bounds.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) conf: &'a ResolvConf,
    /// Which server is the first to be asked, with `options rotate`.
    pub(super) turn: usize,
    pub(super) deadline: Instant,
    /// How far away the deadline was at first, for messages.
    pub(super) limit: Duration,
}

/// Why one server has no result.
enum Failure {
    Silent,
    Failed(String),
    Unreachable(io::Error),
    Local(&'static str, io::Error),
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Records, Failure>> + Send + 'a>>;

/// What the servers say of a name, and which of them said it.
pub(super) async fn ask(
    bounds: Bounds<'_>,
    name: &Name<Vec<u8>>,
    family: Family,
) -> Result<(Records, SocketAddr), Reason> {
    let Bounds { conf, deadline, .. } = bounds;
    let mut servers = conf.servers.clone();
    if conf.rotate {
        let first = bounds.turn % servers.len().max(1);
        servers.rotate_left(first);
    }
    let mut servers = servers.into_iter();
    let mut asked: Vec<(SocketAddr, Asked<'_>)> = Vec::new();
    let mut silent = Vec::new();
    let mut failed = None;
    loop {
        if let Some(server) = servers.next() {
            asked.push((server, Box::pin(ask_one(conf, server, name, family))));
        }
        let next = if servers.len() > 0 { Instant::now() + HEAD_START } else { deadline };
        let ended = match timeout_at(next.min(deadline), first_to_end(&mut asked)).await {
            Ok(ended) => ended,
            Err(_) if Instant::now() < deadline => continue,
            Err(_) => {
                silent.extend(asked.iter().map(|(server, _)| *server));
                return Err(failed.unwrap_or(Reason::Silent(silent, bounds.limit)));
            }
        };
        match ended {
            Some((server, Ok(records))) => return Ok((records, server)),
            Some((server, Err(Failure::Silent))) => silent.push(server),
            Some((server, Err(Failure::Failed(what)))) => failed = Some(Reason::Failed(server, what)),
            Some((server, Err(Failure::Unreachable(error)))) => {
                failed.get_or_insert(Reason::Unreachable(server, error));
            }
            Some((_, Err(Failure::Local(what, error)))) => return Err(Reason::Local(what, error)),
            None => {
                let time = conf.timeout * conf.attempts;
                return Err(failed.unwrap_or(Reason::Silent(silent, time)));
            }
        }
    }
}

/// The first of the servers that has a result or a failure; it is taken out. `None` if
/// none is asked.
async fn first_to_end(
    asked: &mut Vec<(SocketAddr, Asked<'_>)>,
) -> Option<(SocketAddr, Result<Records, Failure>)> {
    if asked.is_empty() {
        return None;
    }
    let (at, result) = poll_fn(|context| {
        for (at, (_, one)) in asked.iter_mut().enumerate() {
            if let Poll::Ready(result) = one.as_mut().poll(context) {
                return Poll::Ready((at, result));
            }
        }
        Poll::Pending
    })
    .await;
    Some((asked.remove(at).0, result))
}

async fn ask_one(
    conf: &ResolvConf,
    server: SocketAddr,
    name: &Name<Vec<u8>>,
    family: Family,
) -> Result<Records, Failure> {
    let mut edns = true;
    loop {
        let failed = |what: &str| Failure::Failed(what.to_owned());
        let query = Query::new(name, family, random()?, edns).ok_or_else(|| failed("cannot be asked"))?;
        let mut reply = if conf.use_tcp { Reply::Truncated } else { over_udp(conf, server, &query).await? };
        if reply == Reply::Truncated {
            let over_tcp = timeout(conf.timeout, over_tcp(server, &query)).await;
            reply = over_tcp.map_err(|_| Failure::Silent)?.map_err(Failure::of)?;
        }
        match reply {
            Reply::Result(records) => return Ok(records),
            Reply::Failed(what) => return Err(Failure::Failed(what)),
            Reply::Truncated => return Err(failed("has cut its response off, over TCP too")),
            Reply::NotUnderstood if edns => edns = false,
            Reply::NotUnderstood => return Err(failed("does not understand the query")),
        }
    }
}

async fn over_udp(conf: &ResolvConf, server: SocketAddr, query: &Query) -> Result<Reply, Failure> {
    let socket = udp_socket(server).map_err(Failure::of)?;
    let end = Instant::now() + conf.timeout * conf.attempts;
    let mut wait = FIRST_WAIT.min(conf.timeout);
    let mut datagram = vec![0; MAX_DATAGRAM];
    while Instant::now() < end {
        socket.send(query.bytes()).await.map_err(Failure::of)?;
        let until = end.min(Instant::now() + wait);
        while let Ok(received) = timeout_at(until, receive(&socket, &mut datagram)).await {
            let length = received.map_err(Failure::of)?;
            if let Some(reply) = datagram.get(..length).and_then(|bytes| query.read(bytes)) {
                return Ok(reply);
            }
        }
        wait = (wait * 2).min(conf.timeout);
    }
    Err(Failure::Silent)
}

/// The next datagram, or the error by which the network says that no one is there: tokio
/// does not count that as readable.
async fn receive(socket: &UdpSocket, datagram: &mut [u8]) -> io::Result<usize> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_error()
            && let Some(error) = socket.take_error()?
        {
            return Err(error);
        }
        match socket.try_recv(datagram) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
        // The error was none: it is not ready any more.
        let _ = socket.try_io(Interest::ERROR, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

/// A socket of the server's kind, connected to it.
fn udp_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    UdpSocket::from_std(socket)
}

/// A message over TCP has its length before it.
async fn over_tcp(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    let stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.bytes().len()).map_err(io::Error::other)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(query.bytes());
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let (mut received, mut part) = (Vec::new(), [0; 2048]);
    loop {
        if let Some((length, rest)) = received.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            if let Some(message) = rest.get(..length) {
                let broken = || Reply::Failed("has sent a broken response over TCP".to_owned());
                return Ok(query.read(message).unwrap_or_else(broken));
            }
        }
        stream.readable().await?;
        match stream.try_read(&mut part) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => received.extend_from_slice(part.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn random() -> Result<u16, Failure> {
    let mut bytes = [0; 2];
    let failed = |error: getrandom::Error| Failure::Local("randomness", io::Error::other(error.to_string()));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(u16::from_ne_bytes(bytes))
}

impl Failure {
    /// Of what a socket reports: this machine has none left, or the server is not there.
    fn of(error: io::Error) -> Self {
        if is_shortage(&error) { Failure::Local("socket", error) } else { Failure::Unreachable(error) }
    }
}

//! The server of the benchmark. It has one thread and does as little as possible, so that the client is what is
//! measured. It checks nothing (phc-sink does): it decompresses a body, finds the uuids in it, and responds `ok` for
//! each of them.
//!
//!     server                  prints the port that it listens on
//!     GET  /_count            events, requests and bytes since the last /_set, as JSON
//!     GET  /_first            the first body since the last /_set, decompressed
//!     POST /_set?delay_ms=50  counts from zero; from now on responses are held back for this time
//!
//! A delay is in place of the round-trip time. It begins when the whole request has been received.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

mod body;

const LISTENER: Token = Token(usize::MAX);

/// A deadline that is nearer is waited for without sleeping, because epoll counts in whole milliseconds.
const TOO_SHORT_TO_SLEEP: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Counts {
    events: u64,
    requests: u64,
    body_bytes: u64,
    connections: u64,
    most_open: usize,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    written: usize,
    /// Distinguishes this connection from later ones in the same place, which must not get its responses.
    serial: u64,
}

struct Due {
    at: Instant,
    connection: usize,
    serial: u64,
    events: u64,
    response: Vec<u8>,
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    serial: u64,
    delay: Duration,
    due: VecDeque<Due>,
    counts: Counts,
    decoder: body::Decoder,
    first: Vec<u8>,
    /// The memory of responses that were sent, to be used again.
    spare: Vec<Vec<u8>>,
}

fn main() -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?.port());
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    Server {
        poll,
        listener,
        connections: Vec::new(),
        serial: 0,
        delay: Duration::ZERO,
        due: VecDeque::new(),
        counts: Counts::default(),
        decoder: body::Decoder::default(),
        first: Vec::new(),
        spare: Vec::new(),
    }
    .run()
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            let wait = self.due.front().map(|due| due.at.saturating_duration_since(Instant::now()));
            let wait =
                wait.map(
                    |wait| if wait < TOO_SHORT_TO_SLEEP { Duration::ZERO } else { wait - TOO_SHORT_TO_SLEEP },
                );
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.serve(event.token().0);
                }
            }
            while self.due.front().is_some_and(|due| due.at <= Instant::now()) {
                let due = self.due.pop_front().expect("the loop has looked at it");
                self.finish(due);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let _ = stream.set_nodelay(true);
            let place = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
            self.poll.registry().register(
                &mut stream,
                Token(place),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.serial += 1;
            self.counts.connections += 1;
            let connection = Connection {
                stream,
                input: vec![0; 64 * 1024],
                filled: 0,
                output: Vec::new(),
                written: 0,
                serial: self.serial,
            };
            if place == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[place] = Some(connection);
        }
        Ok(())
    }

    /// Reads and writes what the socket allows; removes a connection that has ended.
    fn serve(&mut self, place: usize) {
        let Some(mut connection) = self.connections.get_mut(place).and_then(Option::take) else { return };
        if connection.write().is_ok() && self.read(&mut connection, place).is_ok() {
            self.connections[place] = Some(connection);
        }
    }

    fn read(&mut self, connection: &mut Connection, place: usize) -> io::Result<()> {
        loop {
            match connection.stream.read(&mut connection.input[connection.filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => connection.filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            loop {
                match request(&connection.input[..connection.filled])? {
                    Some(request) if request.end <= connection.filled => {
                        let end = request.end;
                        let (response, events) = self.respond(&connection.input[..end], &request);
                        if self.delay.is_zero() || request.control {
                            self.counts.events += events;
                            connection.send(&response)?;
                            self.spare.push(response);
                        } else {
                            let at = Instant::now() + self.delay;
                            self.due.push_back(Due {
                                at,
                                connection: place,
                                serial: connection.serial,
                                events,
                                response,
                            });
                            self.counts.most_open = self.counts.most_open.max(self.due.len());
                        }
                        connection.input.copy_within(end..connection.filled, 0);
                        connection.filled -= end;
                    }
                    Some(request) => {
                        if connection.input.len() < request.end {
                            connection.input.resize(request.end, 0);
                        }
                        break;
                    }
                    None => break,
                }
            }
            if connection.filled == connection.input.len() {
                connection.input.resize(connection.filled * 2, 0);
            }
        }
    }

    fn respond(&mut self, input: &[u8], request: &Request) -> (Vec<u8>, u64) {
        let mut response = self.spare.pop().unwrap_or_default();
        response.clear();
        let line = &input[..memchr::memchr(b'\r', input).unwrap_or(0)];
        let body = &input[request.body..];
        if request.control {
            let text = self.control(line);
            body::frame(&mut response, &text);
            return (response, 0);
        }
        self.counts.requests += 1;
        self.counts.body_bytes += body.len() as u64;
        let text = self.decoder.decode(body, request.encoding);
        if self.counts.requests == 1 {
            self.first = text.to_vec();
        }
        let events = if line.starts_with(b"POST /i/v1/") {
            body::verdicts(text, &mut response)
        } else {
            body::frame(&mut response, b"{\"status\":1}");
            memchr::memmem::find_iter(text, b"\"distinct_id\":").count() as u64
        };
        (response, events)
    }

    fn control(&mut self, line: &[u8]) -> Vec<u8> {
        let line = String::from_utf8_lossy(line);
        if line.starts_with("GET /_first") {
            return self.first.clone();
        }
        if let Some((_, value)) = line.split_once("delay_ms=") {
            let milliseconds = value.split(' ').next().and_then(|value| value.parse().ok());
            self.delay = Duration::from_micros((milliseconds.unwrap_or(0.0_f64) * 1000.0) as u64);
            self.due.clear();
            self.counts = Counts::default();
        }
        let Counts { events, requests, body_bytes, connections, most_open } = &self.counts;
        format!(
            "{{\"events\":{events},\"requests\":{requests},\"body_bytes\":{body_bytes},\
             \"connections\":{connections},\"most_open\":{most_open}}}"
        )
        .into_bytes()
    }

    fn finish(&mut self, due: Due) {
        let Some(Some(connection)) = self.connections.get_mut(due.connection) else { return };
        if connection.serial != due.serial {
            return;
        }
        self.counts.events += due.events;
        if connection.send(&due.response).is_err() {
            self.connections[due.connection] = None;
        }
        self.spare.push(due.response);
    }
}

impl Connection {
    fn send(&mut self, response: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(response);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

struct Request {
    body: usize,
    end: usize,
    encoding: body::Encoding,
    control: bool,
}

/// Returns the first request of the input once its headers are complete.
fn request(input: &[u8]) -> io::Result<Option<Request>> {
    let Some(headers) = memchr::memmem::find(input, b"\r\n\r\n") else { return Ok(None) };
    let (mut length, mut encoding) = (0, body::Encoding::None);
    for line in input[..headers].split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let value = value[1..].trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            encoding = body::Encoding::of(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(io::Error::other("a chunked body: no client of the benchmark sends one"));
        }
    }
    let body = headers + 4;
    let control = input.get(4..7) == Some(b" /_") || input.get(3..6) == Some(b" /_");
    Ok(Some(Request { body, end: body + length, encoding, control }))
}

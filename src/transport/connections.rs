//! The kept connections of one client: reqwest's HTTP client with its pool, and what an
//! attempt can know about the connection that it used.
//!
//! Connections may die without the other end saying so, and all at once: the server was
//! rebooted, a load balancer or a NAT table lost them. So when an attempt fails before a
//! response has begun, the whole pool is replaced, and the next attempt makes a connection of
//! its own instead of meeting the next dead one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::{Client, ClientBuilder};
use tower_layer::Layer;
use tower_service::Service;

use crate::config::Config;
use crate::runtime::PerProcess;
use crate::sync::recover;

/// No connection is used again after this time without a request, and none is open after twice
/// that time: the pool looks at its connections once in it. Common load balancers forget a
/// connection after 60 s.
const IDLE_LIMIT: Duration = Duration::from_secs(25);
/// The bounds of the time for which sent data may stay unacknowledged.
const UNACKNOWLEDGED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The pools of all clients of the process that have connected.
///
/// Lock order: taken on the I/O thread only; that of a pool may be taken inside.
static ALL: PerProcess<Mutex<Vec<Weak<Connections>>>> = PerProcess::new();

/// The pool of one client, with the number of pools that it had before.
///
/// Its lock is taken on the I/O thread only and is never held across an await.
#[derive(Default)]
pub(super) struct Connections {
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    number: u64,
    client: Option<Client>,
    /// Whether it is in [`ALL`].
    listed: bool,
}

impl Connections {
    /// The HTTP client, made by `build` if there is none, and the number of its pool.
    pub(super) fn get<E>(
        self: &Arc<Self>,
        build: impl FnOnce() -> Result<Client, E>,
    ) -> Result<(Client, u64), E> {
        let mut pool = recover(self.pool.lock());
        if let Some(client) = &pool.client {
            return Ok((client.clone(), pool.number));
        }
        let client = pool.client.insert(build()?).clone();
        let number = pool.number;
        let is_new = !std::mem::replace(&mut pool.listed, true);
        drop(pool);
        if is_new {
            self.list();
        }
        Ok((client, number))
    }

    fn list(self: &Arc<Self>) {
        let mut all = recover(ALL.get_or_make(Mutex::default).lock());
        if all.len() == all.capacity() {
            all.retain(|connections| connections.strong_count() > 0);
        }
        all.push(Arc::downgrade(self));
    }

    /// Closes the idle connections of the pool of this number. Requests in flight go on.
    pub(super) fn drop_idle(&self, number: u64) {
        let mut pool = recover(self.pool.lock());
        if pool.number == number {
            pool.replace();
        }
    }
}

impl Pool {
    fn replace(&mut self) {
        self.number += 1;
        self.client = None;
    }
}

/// Closes the idle connections of all clients of the process, which is short of descriptors.
pub(super) fn drop_all_idle() {
    let Some(all) = ALL.get() else { return };
    for connections in recover(all.lock()).iter().filter_map(Weak::upgrade) {
        recover(connections.pool.lock()).replace();
    }
}

/// How long the connections of a client live, and how soon one that has died is noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most connections that are kept.
    kept: usize,
    /// How long one is kept without a request.
    idle: Duration,
    /// How long one may take to be made.
    connect: Duration,
    /// How long what was sent may stay unacknowledged.
    unacknowledged: Duration,
}

impl Limits {
    /// The limits that follow from the settings.
    pub(super) fn of(config: &Config) -> Self {
        let unacknowledged = (config.request_timeout / 2).clamp(UNACKNOWLEDGED.0, UNACKNOWLEDGED.1);
        Limits {
            kept: config.max_in_flight,
            idle: IDLE_LIMIT,
            connect: config.connect_timeout,
            // The system applies it while a connection is made, too.
            unacknowledged: unacknowledged.max(config.connect_timeout + Duration::from_millis(250)),
        }
    }

    /// Gives them to the HTTP client, together with what [`Progress`] needs.
    pub(super) fn apply(self, builder: ClientBuilder) -> ClientBuilder {
        // The system counts these in whole seconds.
        let seconds = |time: Duration| Duration::from_secs(time.as_secs().max(1));
        let builder = builder
            .connect_timeout(self.connect)
            .pool_max_idle_per_host(self.kept)
            .pool_idle_timeout(self.idle)
            .tcp_keepalive(seconds(self.unacknowledged / 2))
            .tcp_keepalive_interval(seconds(self.unacknowledged / 4))
            .connector_layer(WatchLayer);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let builder = builder.tcp_user_timeout(self.unacknowledged);
        builder
    }
}

/// How far an attempt has got.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// A connection was begun for it.
    connecting: AtomicBool,
    /// It was sent on that connection.
    connected: AtomicBool,
    /// The head of the response has arrived.
    responding: AtomicBool,
}

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

impl Progress {
    /// Runs an attempt and records its connections here.
    pub(super) async fn watch<T>(self: &Arc<Self>, attempt: impl Future<Output = T>) -> T {
        PROGRESS.scope(Arc::clone(self), attempt).await
    }

    /// The head of the response has arrived.
    pub(super) fn set_responding(&self) {
        self.responding.store(true, Ordering::Relaxed);
    }

    /// Whether the head of the response has arrived.
    pub(super) fn is_responding(&self) -> bool {
        self.responding.load(Ordering::Relaxed)
    }

    /// Whether the attempt that has failed used a connection of an earlier one.
    pub(super) fn used_kept_connection(&self) -> bool {
        !self.connected.load(Ordering::Relaxed)
    }

    /// Whether the attempt that is cut off used a connection of an earlier one: unlike a
    /// failure, that may happen while a connection is being made.
    pub(super) fn uses_kept_connection(&self) -> bool {
        !self.connecting.load(Ordering::Relaxed)
    }
}

/// Around what makes connections: records each in the [`Progress`] of the attempt for which it
/// is made.
#[derive(Clone, Copy, Debug)]
struct WatchLayer;

impl<S> Layer<S> for WatchLayer {
    type Service = Watch<S>;

    fn layer(&self, inner: S) -> Watch<S> {
        Watch(inner)
    }
}

#[derive(Clone, Debug)]
struct Watch<S>(S);

impl<S, R> Service<R> for Watch<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connect = self.0.call(request);
        Box::pin(async move {
            let record = |mark: fn(&Progress) -> &AtomicBool| {
                // An attempt that got a kept connection in the meantime leaves the new one to
                // a task in the background.
                let _ = PROGRESS.try_with(|progress| mark(progress).store(true, Ordering::Relaxed));
            };
            record(|progress| &progress.connecting);
            let connection = connect.await?;
            record(|progress| &progress.connected);
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    #[test]
    fn limits_follow_from_the_settings() {
        let limits = |request, connect| {
            let mut config = Config::new("key");
            config.request_timeout = Duration::from_millis(request);
            config.connect_timeout = Duration::from_millis(connect);
            Limits::of(&config)
        };
        assert_eq!(Limits::of(&Config::new("key")).unacknowledged.as_millis(), 5250);
        for (request, connect, unacknowledged) in
            [(60_000, 1000, 5000), (4000, 1000, 2000), (100, 10, 500), (60_000, 20_000, 20_250)]
        {
            assert_eq!(limits(request, connect).unacknowledged.as_millis(), unacknowledged);
        }
        // The pool looks at its connections once in this time: none is open after twice of it.
        assert!(2 * Limits::of(&Config::new("key")).idle < Duration::from_secs(60));
    }

    #[test]
    fn an_idle_connection_is_closed_within_twice_its_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            let idle = Instant::now();
            assert_eq!(socket.read(&mut [0; 4096]).unwrap(), 0, "the client has not closed it");
            idle.elapsed()
        });
        let limits = Limits { idle: Duration::from_millis(300), ..Limits::of(&Config::new("key")) };
        let builder =
            Client::builder().use_preconfigured_tls(super::super::tls::unused().unwrap()).no_proxy();
        let client = limits.apply(builder).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(client.get(url).send().await.unwrap().status().is_success());
            let closed = tokio::task::spawn_blocking(move || server.join());
            // Alive all the time, as phc-io is.
            let took = closed.await.unwrap().unwrap();
            assert!(took >= Duration::from_millis(250), "after {took:?}");
            drop(client);
        });
    }
}

//! The process's one I/O thread, shared by all clients.
//!
//! `phc-io` starts with the first lease, at the first capture of a client, and
//! ends, joined, when the last lease is given back. It runs a tokio
//! current-thread runtime; name resolution may add two short-lived threads,
//! `phc-io` too. A forked child finds no thread here and starts its own.

pub mod exit;
pub mod fork;
pub mod signals;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fork::PerGeneration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use crate::fault;
use crate::status::{Error, Status};

/// The thread's name, as `ps -T` shows it.
pub const NAME: &str = "phc-io";
/// Given outright, for std would read the environment to find it.
const STACK_BYTES: usize = 1024 * 1024;
/// Threads for name resolution.
const RESOLVERS: usize = 2;

#[derive(Default)]
struct Io {
    thread: Option<Running>,
    leases: usize,
}

struct Running {
    handle: Handle,
    stop: Arc<Notify>,
    thread: JoinHandle<()>,
}

static IO: PerGeneration<Mutex<Io>> = PerGeneration::new();

fn io() -> std::sync::MutexGuard<'static, Io> {
    IO.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// A share in the I/O thread. It belongs to the generation that took it.
#[derive(Debug)]
pub struct Lease {
    handle: Handle,
}

impl Lease {
    /// Takes a share; starts the thread if there is none.
    pub fn take() -> Result<Lease, Error> {
        let mut io = io();
        let running = match &io.thread {
            Some(running) => running,
            None => io.thread.insert(start()?),
        };
        let handle = running.handle.clone();
        io.leases += 1;
        Ok(Lease { handle })
    }

    /// Runs a task on the thread.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) {
        self.handle.spawn(task);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut io = io();
        io.leases = io.leases.saturating_sub(1);
        if io.leases > 0 {
            return;
        }
        let running = io.thread.take();
        drop(io);
        if let Some(running) = running {
            running.stop.notify_one();
            // The thread never runs code of the host, so this is never itself,
            // and it never waits for the network.
            let _ = running.thread.join();
        }
    }
}

fn start() -> Result<Running, Error> {
    fault::point("runtime");
    let no_thread = |error: std::io::Error| {
        Error::new(Status::OUT_OF_RESOURCES, format!("the I/O thread did not start: {error}"))
    };
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name(NAME)
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(RESOLVERS)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(no_thread)?;
    let handle = runtime.handle().clone();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let thread = spawn(NAME, move || {
        runtime.block_on(stopped.notified());
        // A name look-up that hangs is not waited for.
        runtime.shutdown_background();
    })
    .map_err(no_thread)?;
    Ok(Running { handle, stop, thread })
}

/// A thread of ours: named, of a stated stack size, deaf to signals.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    signals::blocked_while(|| builder.spawn(body))
}

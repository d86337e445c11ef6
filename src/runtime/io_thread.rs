//! The process's one I/O thread, shared by all clients.
//!
//! `phc-io` starts with the first [`IoThreadGuard`], at the first capture of a
//! client, and ends, joined, when the last guard is dropped. It runs a tokio
//! current-thread runtime. A forked child finds no thread here and starts its own.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::PerProcess;
use super::system::{self, DeferredCancellation};
use crate::failpoint;
use crate::status::{Error, Status};
use crate::sync::recover;

/// The thread's name, as `ps -T` shows it.
const NAME: &str = "phc-io";
/// Stack size of every thread of ours. std would read the environment for a default.
const STACK_BYTES: usize = 1024 * 1024;

#[derive(Default)]
struct IoThread {
    running: Option<Running>,
    guards: usize,
}

struct Running {
    handle: Handle,
    stop: Arc<Notify>,
    thread: JoinHandle<()>,
}

/// Lock order: taken while a client's `ProcessState::threads` is held; takes no
/// other lock.
static IO_THREAD: PerProcess<Mutex<IoThread>> = PerProcess::new();

fn io_thread() -> MutexGuard<'static, IoThread> {
    recover(IO_THREAD.get_or_make(Mutex::default).lock())
}

/// Keeps the I/O thread running. It belongs to the process that took it.
#[derive(Debug)]
pub(crate) struct IoThreadGuard {
    handle: Handle,
}

impl IoThreadGuard {
    /// Starts the thread if it is not running.
    pub(crate) fn take() -> Result<IoThreadGuard, Error> {
        let mut io = io_thread();
        let running = match &io.running {
            Some(running) => running,
            None => io.running.insert(start()?),
        };
        let handle = running.handle.clone();
        io.guards += 1;
        Ok(IoThreadGuard { handle })
    }

    /// Runs a task on the thread.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) {
        self.handle.spawn(task);
    }
}

impl Drop for IoThreadGuard {
    fn drop(&mut self) {
        let mut io = io_thread();
        io.guards = io.guards.saturating_sub(1);
        if io.guards > 0 {
            return;
        }
        let running = io.running.take();
        drop(io);
        if let Some(running) = running {
            running.stop.notify_one();
            // The thread runs no code of the host, so it never joins itself, and it
            // does not wait for the network.
            let _ = running.thread.join();
        }
    }
}

fn start() -> Result<Running, Error> {
    super::randomness::prepare()?;
    failpoint::pass("io_thread");
    let failed = |error: std::io::Error| {
        Error::new(Status::OUT_OF_RESOURCES, format!("the I/O thread could not be started: {error}"))
    };
    system::occupy_standard_descriptors().map_err(failed)?;
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // The host may have closed some in the meantime, and what it woke up for may open
        // a connection.
        .on_thread_unpark(|| drop(system::occupy_standard_descriptors()))
        .build()
        .map_err(failed)?;
    let handle = runtime.handle().clone();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let thread = spawn(NAME, move || {
        if !super::randomness::await_it(&stopped) {
            // Even its end needs some. It has done nothing: its descriptors are what leaks.
            return std::mem::forget(runtime);
        }
        runtime.block_on(stopped.notified());
        runtime.shutdown_background();
    })
    .map_err(failed)?;
    Ok(Running { handle, stop, thread })
}

/// Starts a thread of the library: named, with a fixed stack size and ordinary scheduling,
/// with every asynchronous signal blocked, and never cancelled.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    let body = move || {
        let _deferred = DeferredCancellation::begin();
        system::become_ordinary();
        body();
    };
    system::with_signals_blocked(|| builder.spawn(body))
}

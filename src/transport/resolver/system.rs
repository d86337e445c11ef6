//! libc's resolver, for hosts whose names only it knows. It blocks, so each look-up has a
//! thread, and a client has a bounded number of them: one whose names hang delays no
//! other client.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::Reason;
use crate::runtime;

/// The name of such a thread.
const NAME: &str = "phc-lookup";
/// The largest number of them for one client.
const MAX_THREADS: usize = 2;

/// The look-ups of one client.
pub(super) struct System {
    free: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        System { free: Arc::new(Semaphore::new(MAX_THREADS)) }
    }
}

impl System {
    /// The addresses of a name, in libc's order. A thread that hangs is not waited for; it
    /// ends when libc gives up.
    pub(super) async fn look_up(
        &self,
        name: &str,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, Reason> {
        let found = timeout_at(deadline, self.on_a_thread(name.to_owned())).await;
        found.map_err(|_| Reason::SystemSilent(limit))?
    }

    async fn on_a_thread(&self, name: String) -> Result<Vec<SocketAddr>, Reason> {
        let free = Arc::clone(&self.free).acquire_owned().await;
        let (report, result) = oneshot::channel();
        let body = move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            // The attempt may have ended before.
            let _ = report.send(found.map(Iterator::collect));
            drop(free);
        };
        runtime::spawn(NAME, body).map_err(|error| Reason::Local("thread", error))?;
        let ended = result.await.unwrap_or_else(|_| Err(io::Error::other("the thread has ended early")));
        ended.map_err(Reason::System)
    }
}

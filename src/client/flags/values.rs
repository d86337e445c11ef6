//! Values of flags from the server: one request for each evaluation that needs it, which the caller waits for.
//!
//! The request runs on the I/O thread. It has a time limit of its own and goes on when its caller has stopped waiting,
//! so that a short time limit does not keep the client from learning whether the server responds.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Instant as TaskInstant;

use super::Client;
use super::process::FlagProcess;
use crate::flags::remote::{Admission, Decision, Failure, Remote, Sender, decide, retry_wait};
use crate::flags::{Query, Snapshot};
use crate::runtime::DeferredCancellation;
use crate::status::{Error, Status};
use crate::sync::recover;
use crate::transport::{FlagCall, Transport};

/// What a caller waits for.
#[derive(Default)]
struct Call {
    /// Lock order: no other lock is taken while it is held.
    result: Mutex<Option<Result<Remote, Failure>>>,
    ended: Condvar,
}

impl Call {
    fn wait(&self, deadline: Instant) -> Result<Remote, Failure> {
        let mut result = recover(self.result.lock());
        loop {
            if let Some(result) = result.take() {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::timeout());
            }
            result = recover(self.ended.wait_timeout(result, left)).0;
        }
    }
}

/// The duty to end a call, whatever becomes of its task.
struct Completion {
    call: Arc<Call>,
    process: Arc<FlagProcess>,
    has_learnt: bool,
}

impl Completion {
    fn complete(mut self, result: Result<Remote, Failure>) {
        self.has_learnt = true;
        self.process.circuit().ended(self.process.now(), result.as_ref().err());
        self.end(result);
    }

    fn end(&self, result: Result<Remote, Failure>) {
        recover(self.call.result.lock()).get_or_insert(result);
        self.call.ended.notify_all();
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if !self.has_learnt {
            self.process.circuit().cancelled();
            self.end(Err(Failure::closed()));
        }
    }
}

/// The bounds of a request.
#[derive(Clone, Copy)]
struct Limits {
    timeout: Duration,
    max_retries: u32,
}

impl Client {
    /// Asks the server for what a snapshot lacks.
    #[cold]
    pub(super) fn ask_server(
        &self,
        local: Snapshot,
        query: &Query,
        timeout: Duration,
    ) -> (Snapshot, Result<(), Error>) {
        let refused = match () {
            () if self.config.is_disabled() => Some(Status::DISABLED),
            () if self.is_closed() => Some(Status::CLOSED),
            // The server needs to know whom it is about.
            () if self.config.test_mode || query.whom().distinct_id.is_empty() => Some(Status::WOULD_WAIT),
            () => None,
        };
        if let Some(status) = refused {
            return (local, Err(status.into()));
        }
        let _deferred = DeferredCancellation::begin();
        match self.values_of_server(query, timeout) {
            Ok(Ok(remote)) => (local.with_server(query, Ok(remote)), Ok(())),
            Ok(Err(failure)) => {
                let status = if failure.is_timeout() { Status::TIMEOUT } else { Status::UNAVAILABLE };
                (local.with_server(query, Err(&failure)), Err(Error::new(status, failure.message)))
            }
            Err(error) => (local, Err(error)),
        }
    }

    /// The error is one of this machine; the failure is that of the request.
    fn values_of_server(&self, query: &Query, timeout: Duration) -> Result<Result<Remote, Failure>, Error> {
        let limits =
            Limits { timeout: self.config.flags_timeout, max_retries: self.config.flags_max_retries };
        let deadline = Instant::now() + timeout.min(limits.timeout);
        let process = self.flags.process();
        if let Admission::Held(failure) = process.circuit().admit(process.now()) {
            return Ok(Err(failure));
        }
        let call = Arc::new(Call::default());
        let completion =
            Completion { call: Arc::clone(&call), process: Arc::clone(process), has_learnt: false };
        let of_client = self.process();
        of_client.start(&self.config, &self.slots)?;
        let sender = Sender { token: &self.config.api_key, disable_geoip: self.config.disable_geoip };
        let body = Bytes::from(query.request_body(sender));
        // If the client has ended in the meantime, the completion is dropped, and says so.
        of_client.spawn(|transport| {
            Box::pin(async move {
                let process = Arc::clone(&completion.process);
                if let Some(result) = process.until_stopped(values(&transport, body, limits)).await {
                    completion.complete(result);
                }
            })
        });
        Ok(call.wait(deadline))
    }
}

/// Requests values, again where that may help, within the time limit.
async fn values(transport: &Transport, body: Bytes, limits: Limits) -> Result<Remote, Failure> {
    let deadline = TaskInstant::now() + limits.timeout;
    let call = FlagCall::Values(body);
    let mut retry = 0;
    loop {
        let left = deadline.saturating_duration_since(TaskInstant::now());
        let failure = match decide(&transport.call_flags(&call, left).await) {
            Decision::Values(remote) => return Ok(remote),
            Decision::Failed(failure) => return Err(failure),
            Decision::Retry(failure) => failure,
        };
        retry += 1;
        let again = TaskInstant::now() + retry_wait(retry);
        if retry > limits.max_retries || again >= deadline {
            return Err(failure);
        }
        tokio::time::sleep_until(again).await;
    }
}

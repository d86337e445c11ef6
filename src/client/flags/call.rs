//! A call of the server that its caller waits for: for values of flags, or for a remote config.
//!
//! The request runs on the I/O thread. It has a time limit of its own and goes on when its caller has stopped waiting,
//! so that a short time limit does not keep the client from learning whether the server responds.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::time::Instant as TaskInstant;

use super::Client;
use super::process::{FlagProcess, Service};
use crate::flags::remote::{Admission, Decision, Exchange, Failure, retry_wait};
use crate::runtime::DeferredCancellation;
use crate::status::Error;
use crate::sync::recover;
use crate::transport::{FlagCall, Transport};

/// What a caller waits for.
struct Call<T> {
    /// Lock order: no other lock is taken while it is held.
    result: Mutex<Option<Result<T, Failure>>>,
    ended: Condvar,
}

impl<T> Call<T> {
    fn wait(&self, deadline: Instant) -> Result<T, Failure> {
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
struct Completion<T> {
    call: Arc<Call<T>>,
    process: Arc<FlagProcess>,
    service: Service,
    has_learnt: bool,
}

impl<T> Completion<T> {
    fn complete(mut self, result: Result<T, Failure>) {
        self.has_learnt = true;
        self.process.circuit(self.service).ended(self.process.now(), result.as_ref().err());
        self.end(result);
    }

    fn end(&self, result: Result<T, Failure>) {
        recover(self.call.result.lock()).get_or_insert(result);
        self.call.ended.notify_all();
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        if !self.has_learnt {
            self.process.circuit(self.service).cancelled();
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
    /// Makes a call, and waits for it at most for this time, and never longer than the setting `flags_timeout_ms`.
    /// `decide` says what a response means. The error is one of this machine; the failure is that of the call.
    pub(super) fn call_server<T: Send + 'static>(
        &self,
        service: Service,
        make: impl FnOnce() -> FlagCall,
        decide: fn(&Exchange) -> Decision<T>,
        timeout: Duration,
    ) -> Result<Result<T, Failure>, Error> {
        let _deferred = DeferredCancellation::begin();
        let limits =
            Limits { timeout: self.config.flags_timeout, max_retries: self.config.flags_max_retries };
        let deadline = Instant::now() + timeout.min(limits.timeout);
        let process = self.flags.process();
        if let Admission::Held(failure) = process.circuit(service).admit(process.now()) {
            return Ok(Err(failure));
        }
        let call = Arc::new(Call { result: Mutex::new(None), ended: Condvar::new() });
        let completion =
            Completion { call: Arc::clone(&call), process: Arc::clone(process), service, has_learnt: false };
        let of_client = self.process();
        of_client.start(&self.config, &self.slots)?;
        let request = make();
        // If the client has ended in the meantime, the completion is dropped, and says so.
        of_client.spawn(|transport| {
            Box::pin(async move {
                let process = Arc::clone(&completion.process);
                let attempts = attempts(&transport, &request, decide, limits);
                if let Some(result) = process.until_stopped(attempts).await {
                    completion.complete(result);
                }
            })
        });
        Ok(call.wait(deadline))
    }
}

/// Makes the call, again where that may help, within the time limit.
async fn attempts<T>(
    transport: &Transport,
    call: &FlagCall,
    decide: fn(&Exchange) -> Decision<T>,
    limits: Limits,
) -> Result<T, Failure> {
    let deadline = TaskInstant::now() + limits.timeout;
    let mut retry = 0;
    loop {
        let left = deadline.saturating_duration_since(TaskInstant::now());
        let failure = match decide(&transport.call_flags(call, left).await) {
            Decision::Known(result) => return Ok(result),
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

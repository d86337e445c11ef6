//! Definitions of flags from the server: one task on the I/O thread, which the first evaluation starts.
//!
//! A failed request never costs the definitions that are there, but where the project has used up its flag requests:
//! then the server wants no flag to be evaluated by them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::time::Instant as TaskInstant;

use super::super::Client;
use super::process::{FlagProcess, now_ms};
use crate::config::LogLevel;
use crate::delivery::Delivery;
use crate::event::uuid::UuidSource;
use crate::flags::Definitions;
use crate::flags::remote::{Exchange, Failure, Polled, Schedule, failure_of};
use crate::runtime::DeferredCancellation;
use crate::status::{Error, Status};
use crate::transport::{FlagCall, Transport};

impl Client {
    /// Notes that flags are evaluated; the first time in a process, starts to fetch definitions if the client does so.
    #[inline]
    pub(super) fn note_flag_use(&self) {
        if !self.flags.fetches {
            return;
        }
        let polling = &self.flags.process().polling;
        polling.note_use();
        if !polling.is_started.load(Ordering::Acquire) {
            // Without a thread there are no definitions, which the evaluation shows.
            let _ = self.start_polling();
        }
    }

    /// Starts to fetch definitions, unless that has begun.
    #[cold]
    fn start_polling(&self) -> Result<(), Error> {
        let process = self.flags.process();
        if self.is_closed() || process.polling.is_started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let _deferred = DeferredCancellation::begin();
        let of_client = self.process();
        if let Err(error) = of_client.start(&self.config, &self.slots) {
            process.polling.is_started.store(false, Ordering::Release);
            return Err(error);
        }
        let poller = Poller {
            process: Arc::clone(process),
            definitions: Arc::clone(&self.flags.definitions),
            delivery: Arc::clone(&of_client.delivery),
            limit: self.config.flags_definitions_timeout,
            idle_pause: self.config.flags_idle_pause,
            schedule: Schedule::new(self.config.flags_poll_interval),
            etag: None,
            logged: None,
            log_level: self.config.log_level,
        };
        of_client.spawn(|transport| {
            Box::pin(async move {
                let process = Arc::clone(&poller.process);
                process.until_stopped(poller.run(transport)).await;
                process.polling.stop();
            })
        });
        Ok(())
    }

    /// Why a client fetches no definitions, if it does not.
    fn check_fetches(&self) -> Result<(), Error> {
        let missing = "the client fetches no definitions: set secret_key, and not local_evaluation to false";
        match () {
            () if self.config.is_disabled() => Err(Status::DISABLED.into()),
            () if self.is_closed() => Err(Status::CLOSED.into()),
            () if !self.flags.fetches => Err(Error::new(Status::UNAVAILABLE, missing)),
            () => Ok(()),
        }
    }

    /// Waits until there are definitions, for at most this time, or until the server refuses them. Starts to fetch
    /// them if the client does so.
    pub(crate) fn wait_for_flag_definitions(&self, timeout: Duration) -> Result<(), Error> {
        self.note_flag_use();
        if self.has_flag_definitions() {
            return Ok(());
        }
        if timeout.is_zero() {
            return Err(Status::WOULD_WAIT.into());
        }
        self.check_fetches()?;
        let deadline = Instant::now() + timeout;
        let polling = &self.flags.process().polling;
        let found = polling.wait(deadline, |progress| {
            let refused = progress.failure.as_ref().filter(|failure| !failure.is_outage());
            if self.has_flag_definitions() {
                Some(Ok(()))
            } else if progress.is_stopped {
                Some(Err(Status::CLOSED.into()))
            } else {
                refused.map(|failure| Err(failure.error_with(Status::UNAVAILABLE)))
            }
        });
        found.unwrap_or_else(|| {
            let reason =
                polling.progress().failure.as_ref().map(|failure| failure.error_with(Status::TIMEOUT));
            Err(reason.unwrap_or(Status::TIMEOUT.into()))
        })
    }

    /// Fetches definitions now, and waits for that at most for this time.
    pub(crate) fn reload_flag_definitions(&self, timeout: Duration) -> Result<(), Error> {
        self.check_fetches()?;
        let deadline = Instant::now() + timeout;
        let polling = &self.flags.process().polling;
        // One that has begun may miss a change that was made just now.
        let number = polling.change(|progress| {
            let number = progress.begun + 1;
            progress.asked = progress.asked.max(number);
            number
        });
        self.start_polling()?;
        polling.wake.notify_one();
        if timeout.is_zero() {
            return Err(Status::WOULD_WAIT.into());
        }
        let found = polling.wait(deadline, |progress| match &progress.failure {
            _ if progress.ended < number => progress.is_stopped.then(|| Err(Status::CLOSED.into())),
            Some(failure) => Some(Err(failure.error_with(Status::UNAVAILABLE))),
            None => Some(Ok(())),
        });
        found.unwrap_or(Err(Status::TIMEOUT.into()))
    }
}

/// The task.
struct Poller {
    process: Arc<FlagProcess>,
    definitions: Arc<ArcSwapOption<Definitions>>,
    delivery: Arc<Delivery>,
    limit: Duration,
    idle_pause: Duration,
    schedule: Schedule,
    /// That of the definitions that this task has fetched.
    etag: Option<String>,
    /// The failure that the log has named.
    logged: Option<Failure>,
    log_level: LogLevel,
}

impl Poller {
    async fn run(mut self, transport: Arc<Transport>) {
        let mut used_at = TaskInstant::now();
        loop {
            self.process.polling.change(|progress| progress.begun += 1);
            let call = FlagCall::Definitions { etag: self.etag.clone() };
            let exchange = transport.call_flags(&call, self.limit).await;
            let (polled, failure) = self.apply(exchange);
            self.log(failure.as_ref());
            self.process.polling.change(|progress| {
                progress.ended = progress.begun;
                progress.failure = failure;
            });
            let wait = self.schedule.after(polled, random());
            self.sleep(wait, &mut used_at).await;
        }
    }

    /// Takes over what a response has brought.
    fn apply(&mut self, exchange: Exchange) -> (Polled, Option<Failure>) {
        match exchange {
            Exchange::NoResponse { message, timed_out } => {
                (Polled::Failed, Some(Exchange::no_response(&message, timed_out)))
            }
            Exchange::Response { status: 200, body, etag, .. } => match Definitions::new(&body) {
                Ok(definitions) => {
                    self.definitions.store(Some(Arc::new(definitions.loaded_at(now_ms()))));
                    self.etag = etag;
                    (Polled::Current, None)
                }
                Err(error) => (Polled::Failed, Some(Failure::unreadable(&error.message))),
            },
            Exchange::Response { status: 304, etag, .. } if self.etag.is_some() => {
                self.etag = etag.or(self.etag.take());
                (Polled::Current, None)
            }
            Exchange::Response { status, retry_after, .. } => {
                if status == 402 {
                    self.definitions.store(None);
                    self.etag = None;
                }
                let polled = match status {
                    401..=403 => Polled::Refused,
                    429 => Polled::TooMany(retry_after),
                    _ => Polled::Failed,
                };
                (polled, Some(failure_of(status)))
            }
        }
    }

    /// Names a failure in the log, once until there is another one or none.
    fn log(&mut self, failure: Option<&Failure>) {
        if self.logged.as_ref().map(|logged| logged.cause) == failure.map(|failure| failure.cause) {
            return;
        }
        self.logged = failure.cloned();
        let line = match failure {
            Some(failure) => {
                format!("definitions of feature flags: {}", failure.message)
            }
            None => "definitions of feature flags are fetched again".to_owned(),
        };
        if self.log_level >= LogLevel::Warning {
            self.delivery.update(|state| ((), state.log(LogLevel::Warning, line)));
        }
    }

    /// Waits until the next request is due or asked for. While flags are not used, none is due.
    async fn sleep(&self, wait: Option<Duration>, used_at: &mut TaskInstant) {
        let polling = &self.process.polling;
        let deadline = wait.map(|wait| TaskInstant::now() + wait);
        let is_asked = || {
            let progress = polling.progress();
            progress.asked > progress.begun
        };
        while !is_asked() {
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = polling.wake.notified() => {}
                () = due => return self.pause(used_at, is_asked).await,
            }
        }
    }

    /// Waits for the next evaluation if there was none for long.
    async fn pause(&self, used_at: &mut TaskInstant, is_asked: impl Fn() -> bool) {
        let polling = &self.process.polling;
        if polling.is_used.swap(false, Ordering::SeqCst) {
            *used_at = TaskInstant::now();
        }
        if self.idle_pause.is_zero() || used_at.elapsed() < self.idle_pause {
            return;
        }
        polling.is_paused.store(true, Ordering::SeqCst);
        while !polling.is_used.load(Ordering::SeqCst) && !is_asked() {
            polling.wake.notified().await;
        }
        polling.is_paused.store(false, Ordering::SeqCst);
        *used_at = TaskInstant::now();
    }
}

/// Spreads the requests of many processes. Without randomness there is no spread.
fn random() -> u16 {
    let uuid = UuidSource::new().uuid_v7(0);
    uuid.map_or(u16::MAX / 2, |uuid| u16::from_le_bytes([uuid.as_bytes()[14], uuid.as_bytes()[15]]))
}

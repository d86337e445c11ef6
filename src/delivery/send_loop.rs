//! The send loop of one client: a task on the I/O thread.
//!
//! It asks the [`Scheduler`] what to do, has the [`Transport`] do it, has the protocol
//! decide on the result, and applies that decision to the state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use uuid::Uuid;

use super::batch::{BatchId, OpenAttempt, Payload};
use super::monitor::Delivery;
use super::scheduler::{Scheduler, Step};
use super::wake::Wake;
use crate::config::{Codec, Config, LogLevel};
use crate::event::timestamp::Timestamp;
use crate::event::uuid::UuidSource;
use crate::failpoint;
use crate::memory::NoMemory;
use crate::protocol::{
    Attempt, AttemptDecision, AttemptResult, Disposition, HostSign, RetryPolicy, SpooledBatch, decide,
};
use crate::status::Error;
use crate::transport::Transport;

/// The task. It ends when the client is shut and nothing is pending any more.
pub(crate) struct SendLoop {
    delivery: Arc<Delivery>,
    transport: Arc<Transport>,
    policy: RetryPolicy,
    log_level: LogLevel,
    has_spool: bool,
    scheduler: Scheduler,
    uuids: UuidSource,
    attempts: JoinSet<Sent>,
    in_flight: HashMap<Id, InFlight>,
    shortage_log: ShortageLog,
    /// Whether the circuit is open because the host refuses what this client sends.
    refused: bool,
}

/// What the log has said of a shortage on this machine.
#[derive(Debug, Default)]
struct ShortageLog {
    /// The last line about one, and when it was logged.
    last: Option<(String, Duration)>,
    /// Whether the end of the present one is to be logged.
    open: bool,
}

/// A shortage that comes and goes is not logged again before this time has passed.
const SHORTAGE_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The result of an attempt, the codec and the number of bytes of its body.
type Sent = (AttemptResult, Codec, u64);

/// An attempt that is in flight.
struct InFlight {
    batch: BatchId,
    request_id: Uuid,
    attempt: u32,
    used: u32,
    times_postponed: u32,
    payload: Arc<Payload>,
}

impl SendLoop {
    /// A send loop with nothing to do yet.
    pub(crate) fn new(delivery: Arc<Delivery>, transport: Arc<Transport>, config: &Config) -> Self {
        let policy = config.retry_policy();
        let scheduler = Scheduler::new(config.max_in_flight, config.flush_interval, policy.backoff);
        SendLoop {
            delivery,
            transport,
            policy,
            log_level: config.log_level,
            has_spool: config.has_spool(),
            scheduler,
            uuids: UuidSource::new(),
            attempts: JoinSet::new(),
            in_flight: HashMap::new(),
            shortage_log: ShortageLog::default(),
            refused: false,
        }
    }

    /// Sends until the client is closed. If it panics, every pending event is lost
    /// (`internal`), and captures return `PHC_INTERNAL`.
    pub(crate) async fn run(mut self) {
        let _guard = SenderExitGuard(Arc::clone(&self.delivery));
        while let Some(step) = self.next_step() {
            match step {
                Step::StartAttempt(batch) => self.start_attempt(batch),
                Step::TakeBatch => self.take_batch(),
                Step::Sleep { until, .. } => self.sleep(until).await,
            }
        }
        // What is still in flight has been settled; its requests are cancelled.
        self.attempts.shutdown().await;
    }

    /// The next step; `None` when the client is closed and nothing is pending.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        failpoint::pass("send_loop");
        let now = self.delivery.now();
        let scheduler = &mut self.scheduler;
        let step = self.delivery.update(|state| (state.next_step(scheduler, now), Wake::NONE));
        if matches!(step, Some(Step::Sleep { until: None, .. })) && self.scheduler.is_idle() {
            self.delivery.release_stages();
        }
        step
    }

    async fn sleep(&mut self, until: Option<Duration>) {
        let deadline = until.and_then(|until| self.delivery.instant(until));
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let delivery = Arc::clone(&self.delivery);
        tokio::select! {
            biased;
            Some(done) = self.attempts.join_next_with_id() => match done {
                Ok((id, sent)) => self.end_attempt(id, sent),
                Err(error) => {
                    let message = "an internal error in libphc ended the attempt".to_owned();
                    let result = AttemptResult::NoResponse { message, maybe_sent: true };
                    self.end_attempt(error.id(), (result, Codec::None, 0));
                }
            },
            () = delivery.sender_woken() => {}
            () = timer => {}
        }
    }

    fn take_batch(&mut self) {
        let request_id = match self.new_uuid() {
            Ok(request_id) => request_id,
            Err(error) => {
                self.scheduler.step_met_shortage(self.delivery.now());
                return self.shortage_met(&error.message);
            }
        };
        let taken =
            self.delivery.update(|state| (state.take_batch(request_id, Timestamp::now()), Wake::NONE));
        match taken {
            Some(batch) => self.start_attempt(batch),
            None => self.scheduler.step_cancelled(),
        }
    }

    fn start_attempt(&mut self, batch: BatchId) {
        let begun = self.delivery.update(|state| (state.begin_attempt(batch, Timestamp::now()), Wake::NONE));
        let open = match begun {
            Ok(Some(open)) => open,
            Ok(None) => return self.scheduler.step_cancelled(),
            Err(NoMemory) => {
                self.scheduler.attempt_met_shortage(self.delivery.now(), batch);
                return self.shortage_met("the process has no memory left for a request");
            }
        };
        let (request, transport) = (open.request.clone(), Arc::clone(&self.transport));
        let (request_id, attempt) = (request.request_id, request.attempt);
        let task = self.attempts.spawn(async move {
            let (codec, body) = transport.compress(&request.body).await;
            let sent_bytes = body.len() as u64;
            (transport.send(&request, codec, body).await, codec, sent_bytes)
        });
        let OpenAttempt { used, times_postponed, payload, .. } = open;
        let in_flight = InFlight { batch, request_id, attempt, used, times_postponed, payload };
        self.in_flight.insert(task.id(), in_flight);
    }

    fn end_attempt(&mut self, id: Id, (result, codec, sent_bytes): Sent) {
        let Some(ended) = self.in_flight.remove(&id) else { return };
        let InFlight { batch, request_id, attempt, used, times_postponed, payload } = ended;
        let can_change_codec = !matches!(codec, Codec::None | Codec::Gzip);
        if can_change_codec && matches!(result, AttemptResult::Response { status: 415, .. }) {
            self.transport.fall_back_to_gzip();
            let line =
                "the server does not know the configured compression (HTTP 415); gzip is used from now on";
            self.log(LogLevel::Warning, || line.to_owned());
        }
        for (level, line) in self.transport.take_notices() {
            self.log(level, || line);
        }
        let random = self.random();
        let decision = {
            let host_is_down = self.scheduler.is_circuit_open();
            let spooled = self.has_spool.then_some(SpooledBatch { host_is_down, times_postponed });
            let attempt = Attempt { uuids: payload.uuids(), used, can_change_codec, random, spooled };
            decide(&result, &attempt, &self.policy)
        };
        if !decision.unsent {
            self.log(LogLevel::Debug, || attempt_line(request_id, attempt, codec, sent_bytes, &decision));
        }
        // Given back before the state looks at the batch, so that its memory can be used
        // again.
        drop(payload);
        self.apply(batch, decision, sent_bytes, random);
    }

    /// Applies the decision on an attempt to the state and to the schedule.
    pub(crate) fn apply(
        &mut self,
        batch: BatchId,
        mut decision: AttemptDecision,
        sent_bytes: u64,
        random: u16,
    ) {
        let uuids = &mut self.uuids;
        let mut no_ids = None;
        let refusal = if decision.host == HostSign::Refuses { decision.error.clone() } else { String::new() };
        let again = self.delivery.update(|state| {
            state.complete_attempt(batch, &mut decision, sent_bytes, || {
                let now = Timestamp::now();
                let mut id = || uuids.uuid_v7(now.unix_ms());
                match (id(), id()) {
                    (Ok(first), Ok(second)) => Some(([first, second], now)),
                    (Err(error), _) | (_, Err(error)) => {
                        no_ids = Some(error.message.to_string());
                        None
                    }
                }
            })
        });
        let was_open = self.scheduler.is_circuit_open();
        let was_short = self.scheduler.is_short();
        decision.unsent |= no_ids.is_some();
        self.scheduler.attempt_ended(self.delivery.now(), &decision, random, &again);
        if decision.unsent {
            let message = no_ids.unwrap_or(decision.error);
            self.shortage_met(&message);
        } else if was_short {
            self.shortage_ended();
        }
        let is_refused = decision.host == HostSign::Refuses && !self.refused;
        if was_open != self.scheduler.is_circuit_open() || is_refused {
            self.circuit_changed(decision.host, &refusal);
        }
    }

    /// Logs that the circuit has opened or closed, and has what waits written to disk or not.
    fn circuit_changed(&mut self, host: HostSign, refusal: &str) {
        let is_open = self.scheduler.is_circuit_open();
        self.delivery.update(|state| (state.set_holding(is_open), Wake::NONE));
        self.refused |= host == HostSign::Refuses;
        let level = match (self.refused, is_open) {
            (true, true) => LogLevel::Error,
            (true, false) => LogLevel::Warning,
            _ => LogLevel::Debug,
        };
        self.log(level, || match (is_open, host) {
            (true, HostSign::Refuses) => format!(
                "{refusal}; nothing is lost: events wait in spool_dir, and one batch every {} ms tries again",
                self.policy.backoff.max.as_millis()
            ),
            (true, _) => "several requests in a row failed; one batch at a time probes the server".to_owned(),
            (false, _) => "the server responds again; sending goes on".to_owned(),
        });
        self.refused &= is_open;
    }

    fn log(&self, level: LogLevel, line: impl FnOnce() -> String) {
        if level <= self.log_level {
            self.delivery.update(|state| ((), state.log(level, line())));
        }
    }

    /// Names a shortage in the log, once, and in the reports of events that it costs.
    fn shortage_met(&mut self, message: &str) {
        self.delivery.update(|state| (state.set_shortage(message), Wake::NONE));
        let now = self.delivery.now();
        let is_known = self.shortage_log.last.as_ref().is_some_and(|(last, at)| {
            last == message && (self.shortage_log.open || now < *at + SHORTAGE_LOG_INTERVAL)
        });
        if !is_known {
            self.shortage_log = ShortageLog { last: Some((message.to_owned(), now)), open: true };
            self.log(LogLevel::Warning, || format!("{message}; sending waits, and no attempt is spent"));
        }
    }

    fn shortage_ended(&mut self) {
        self.delivery.update(|state| (state.set_shortage(""), Wake::NONE));
        if std::mem::take(&mut self.shortage_log.open) {
            self.log(LogLevel::Warning, || {
                "the shortage on this machine is over; sending goes on".to_owned()
            });
        }
    }

    fn new_uuid(&mut self) -> Result<Uuid, Error> {
        self.uuids.uuid_v7(Timestamp::now().unix_ms())
    }

    /// Spreads the back-off. Without randomness there is no jitter.
    fn random(&mut self) -> u16 {
        self.new_uuid().map_or(0, |uuid| u16::from_le_bytes([uuid.as_bytes()[14], uuid.as_bytes()[15]]))
    }
}

/// What the log says of an attempt at the level `debug`.
fn attempt_line(
    request_id: Uuid,
    attempt: u32,
    codec: Codec,
    sent_bytes: u64,
    decision: &AttemptDecision,
) -> String {
    let count = |wanted: fn(&Disposition) -> bool| decision.dispositions.iter().filter(|d| wanted(d)).count();
    let status =
        if decision.status == 0 { "no response".to_owned() } else { format!("HTTP {}", decision.status) };
    let error = if decision.error.is_empty() { String::new() } else { format!("; {}", decision.error) };
    format!(
        "request {request_id} attempt {attempt}: {} events, {sent_bytes} bytes ({codec:?}), {status}: {} delivered, \
         {} lost, {} to be sent again in {} ms{error}",
        decision.dispositions.len(),
        count(|d| *d == Disposition::Delivered),
        count(|d| matches!(d, Disposition::Lost(_))),
        count(|d| *d == Disposition::Retry),
        decision.wait.as_millis(),
    )
}

/// Runs when the send loop ends, normally or by a panic: fails what is still pending and
/// marks the loop as stopped.
pub(crate) struct SenderExitGuard(pub(crate) Arc<Delivery>);

impl Drop for SenderExitGuard {
    fn drop(&mut self) {
        self.0.update(|state| ((), state.stop_sender()));
    }
}

//! The send loop of one client: a task on the I/O thread.
//!
//! It asks the [`schedule`] what to do, has the [`Transport`] do it, has the
//! protocol judge what came back, and writes that into the books.

pub mod schedule;

#[cfg(test)]
mod simulation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use uuid::Uuid;

use crate::books::{BatchId, Dispatch};
use crate::config::{Codec, Config};
use crate::event::timestamp::Timestamp;
use crate::event::uuid::UuidSource;
use crate::fault;
use crate::outcome::Level;
use crate::protocol::judge::{Attempt, Judgement, Loss, Outcome, Policy, judge};
use crate::shared::Shared;
use crate::status::Status;
use crate::transport::{Made, Transport};
use schedule::{Backlog, Outlook, Schedule, Step};

/// The task. It ends when the books are shut and nothing is pending any more.
pub struct Sender {
    shared: Arc<Shared>,
    transport: Arc<Transport>,
    policy: Policy,
    schedule: Schedule,
    randomness: UuidSource,
    attempts: JoinSet<Made>,
    in_flight: HashMap<Id, (BatchId, Dispatch)>,
}

impl Sender {
    /// A sender with nothing to do yet.
    pub fn new(shared: Arc<Shared>, transport: Arc<Transport>, config: &Config) -> Self {
        let policy = config.policy();
        let schedule = Schedule::new(
            usize::try_from(config.max_in_flight).unwrap_or(usize::MAX),
            Duration::from_millis(config.flush_interval_ms),
            policy.backoff,
        );
        Sender {
            shared,
            transport,
            policy,
            schedule,
            randomness: UuidSource::new(),
            attempts: JoinSet::new(),
            in_flight: HashMap::new(),
        }
    }

    /// Sends until the client is closed. Should it panic, every pending event is
    /// lost for the reason `internal`, and captures answer `PHC_INTERNAL`.
    pub async fn run(mut self) {
        let _last_will = LastWill(Arc::clone(&self.shared));
        while let Some(step) = self.decide() {
            match step {
                Step::Start(batch) => self.start(batch),
                Step::Cut => self.cut(),
                Step::Sleep { until, .. } => self.sleep(until).await,
            }
        }
        // What is still in flight has been settled; the requests are cancelled.
        self.attempts.shutdown().await;
    }

    /// The next step; none when all is over. The alarm is set under the same
    /// lock under which the queue was looked at, so no capture is missed.
    pub(crate) fn decide(&mut self) -> Option<Step> {
        fault::point("sender");
        let now = self.shared.now();
        let mut books = self.shared.books();
        if books.shut.is_some() && books.ledger.pending_events == 0 {
            return None;
        }
        let backlog = Backlog { ready: books.queue.is_ready(now), due_at: books.queue.due_at() };
        let step = self.schedule.next(now, backlog);
        if let Step::Sleep { until, alarm } = step {
            books.alarm = alarm;
            if until.is_none() && self.schedule.is_idle() {
                books.queue.shrink();
            }
        }
        Some(step)
    }

    async fn sleep(&mut self, until: Option<Duration>) {
        let deadline = until.and_then(|until| self.shared.instant(until));
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            Some(done) = self.attempts.join_next_with_id() => match done {
                Ok((id, made)) => self.finish(id, &made),
                Err(error) => {
                    let message = "a fault inside libphc ended the attempt".to_owned();
                    let outcome = Outcome::Transport { message, maybe_sent: true };
                    self.finish(error.id(), &Made { outcome, codec: Codec::None, sent_bytes: 0, note: None });
                }
            },
            () = shared.wake.notified() => {}
            () = timer => {}
        }
    }

    fn cut(&mut self) {
        let Ok(request_id) = self.uuid() else { return self.schedule.cancelled() };
        let batch = self.shared.books().cut(request_id, Timestamp::now());
        match batch {
            Some(batch) => self.start(batch),
            None => self.schedule.cancelled(),
        }
    }

    fn start(&mut self, batch: BatchId) {
        let Some(dispatch) = self.shared.books().begin_attempt(batch, Timestamp::now()) else {
            return self.schedule.cancelled();
        };
        let transport = Arc::clone(&self.transport);
        let request = Dispatch { cargo: Arc::clone(&dispatch.cargo), ..dispatch };
        let task = self.attempts.spawn(async move { transport.attempt(&request).await });
        self.in_flight.insert(task.id(), (batch, dispatch));
    }

    fn finish(&mut self, id: Id, made: &Made) {
        let Some((batch, dispatch)) = self.in_flight.remove(&id) else { return };
        let can_change_codec = !matches!(made.codec, Codec::None | Codec::Gzip);
        if can_change_codec && matches!(&made.outcome, Outcome::Answer(answer) if answer.status == 415) {
            self.transport.fall_back_to_gzip();
            let line = "the server does not know the configured codec (HTTP 415); gzip is used from now on";
            self.shared.books().notes.add(Level::Warning, line.to_owned());
        }
        if let Some(line) = &made.note {
            self.shared.books().notes.add(Level::Info, line.clone());
        }
        let random = self.random();
        let judgement = {
            let attempt =
                Attempt { uuids: &dispatch.cargo.uuids, used: dispatch.used, can_change_codec, random };
            judge(&made.outcome, &attempt, &self.policy)
        };
        // The cargo is given back before the books look at it, so that its
        // memory can serve again.
        drop(dispatch);
        self.settle(batch, judgement, made.sent_bytes, random);
    }

    pub(crate) fn settle(&mut self, batch: BatchId, judgement: Judgement, sent_bytes: u64, random: u16) {
        let outlook = Outlook::from(&judgement);
        let randomness = &mut self.randomness;
        let mut books = self.shared.books();
        books.ledger.sent_bytes += sent_bytes;
        let going_on = books.finish_attempt(batch, judgement, || {
            let now = Timestamp::now();
            ([(); 2].map(|()| randomness.uuid_v7(now.unix_ms()).unwrap_or_default()), now)
        });
        let (waited_for, news) = (books.is_waited_for(), books.has_news());
        self.shared.show_reports(&books);
        drop(books);
        self.schedule.finished(self.shared.now(), &outlook, random, &going_on);
        if waited_for {
            self.shared.settled.notify_all();
        }
        if news {
            self.shared.news.notify_all();
        }
    }

    fn uuid(&mut self) -> Result<Uuid, crate::status::Error> {
        self.randomness.uuid_v7(Timestamp::now().unix_ms())
    }

    /// Without randomness there is no jitter, and that is all.
    fn random(&mut self) -> u16 {
        self.uuid().map_or(0, |uuid| u16::from_le_bytes([uuid.as_bytes()[14], uuid.as_bytes()[15]]))
    }
}

/// Settles the books when the sender is unwound (after a proper end there is
/// nothing to settle), and says that it is silent.
pub(crate) struct LastWill(pub(crate) Arc<Shared>);

impl Drop for LastWill {
    fn drop(&mut self) {
        let mut books = self.0.books();
        books.shut.get_or_insert(Status::INTERNAL);
        books.silent = true;
        books.lose_everything(Loss::Internal);
        self.0.show_reports(&books);
        drop(books);
        self.0.settled.notify_all();
        self.0.news.notify_all();
    }
}

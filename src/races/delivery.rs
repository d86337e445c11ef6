//! Captures, the sleeping sender, flushes, pollers and a close at the same books.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::thread;
use uuid::Uuid;

use super::explore;
use crate::books::BatchId;
use crate::client::Client;
use crate::config::Config;
use crate::event::EventInput;
use crate::event::timestamp::Timestamp;
use crate::protocol::judge::{Answer, Attempt, Outcome, judge};
use crate::sender::schedule::Step;
use crate::sender::{LastWill, Sender};
use crate::status::Status;
use crate::transport::Transport;

/// A client and what its sender is made of. In a model that fails it is leaked,
/// for its end would wait for threads that are no more.
struct World {
    config: Config,
    client: Arc<Client>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(Arc::clone(&self.client));
        } else {
            let _ = self.client.close(Some(Duration::ZERO));
        }
    }
}

impl World {
    fn new(settings: &[(&str, &str)]) -> Arc<Self> {
        let mut config = Config::new("key");
        config.set("flush_interval_ms", "3600000").unwrap();
        for (key, value) in settings {
            config.set(key, value).unwrap();
        }
        let client = Client::new(config.clone()).unwrap();
        // The model runs the sender itself.
        client.life().started.store(true, Ordering::Release);
        Arc::new(World { config, client: Arc::new(client) })
    }

    fn capture(&self) -> Result<Uuid, Status> {
        self.client
            .capture(&EventInput::Json(br#"{"event":"e","distinct_id":"d"}"#))
            .map_err(|error| error.status)
    }

    /// The send loop, which answers each request itself and at once. It ends
    /// with the client, or once so many events are delivered.
    fn send(&self, enough: u64) {
        let shared = Arc::clone(&self.client.life().shared);
        let transport = Arc::new(Transport::new(&self.config).unwrap());
        let mut sender = Sender::new(Arc::clone(&shared), transport, &self.config);
        let last_will = LastWill(Arc::clone(&shared));
        let (mut requests, mut delivered) = (0, 0);
        while delivered < enough {
            match sender.decide() {
                None => break,
                Some(Step::Sleep { .. }) => shared.wake.wait(),
                Some(Step::Start(batch)) => delivered += self.answer(&mut sender, batch),
                Some(Step::Cut) => {
                    requests += 1;
                    let batch = shared.books().cut(Uuid::from_u128(requests), Timestamp::now());
                    delivered += self.answer(&mut sender, batch.expect("only the sender cuts"));
                }
            }
        }
        // After so many the client goes on, as if the sender slept.
        if delivered < enough { drop(last_will) } else { std::mem::forget(last_will) }
    }

    fn answer(&self, sender: &mut Sender, batch: BatchId) -> u64 {
        let dispatch = self.client.life().shared.books().begin_attempt(batch, Timestamp::now());
        // A close was faster.
        let Some(dispatch) = dispatch else { return 0 };
        let results: Vec<_> =
            dispatch.cargo.uuids.iter().map(|uuid| format!("\"{uuid}\":{{\"result\":\"ok\"}}")).collect();
        let body = format!("{{\"results\":{{{}}}}}", results.join(",")).into_bytes();
        let outcome = Outcome::Answer(Answer { status: 200, body, ..Answer::default() });
        let attempt =
            Attempt { uuids: &dispatch.cargo.uuids, used: dispatch.used, can_change_codec: false, random: 0 };
        let judgement = judge(&outcome, &attempt, &self.config.policy());
        let events = dispatch.cargo.uuids.len() as u64;
        drop(dispatch);
        sender.settle(batch, judgement, 0, 0);
        events
    }

    fn check_ledger(&self) {
        let ledger = self.client.stats();
        assert!(ledger.adds_up(), "{ledger:?}");
    }
}

/// Runs `body` with the world in another thread of the model.
fn beside<T: 'static>(
    world: &Arc<World>,
    body: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

#[test]
fn the_first_event_wakes_the_sender() {
    explore(|| {
        let world = World::new(&[("flush_at", "1")]);
        let sender = beside(&world, |world| world.send(2));
        let other = beside(&world, World::capture);
        world.capture().unwrap();
        other.join().unwrap().unwrap();
        sender.join().unwrap();
        assert_eq!(world.client.stats().delivered, 2);
    });
}

#[test]
fn a_full_batch_wakes_the_sender() {
    explore(|| {
        let world = World::new(&[("flush_at", "2")]);
        let sender = beside(&world, |world| world.send(2));
        let other = beside(&world, World::capture);
        world.capture().unwrap();
        other.join().unwrap().unwrap();
        sender.join().unwrap();
        assert_eq!(world.client.stats().requests, 1);
    });
}

#[test]
fn a_flush_ends_and_has_seen_what_was_captured_before() {
    explore(|| {
        let world = World::new(&[]);
        let sender = beside(&world, |world| world.send(u64::MAX));
        let other = beside(&world, World::capture);
        world.capture().unwrap();
        let result = world.client.flush(None).unwrap();
        assert_eq!(result.pending, 0);
        assert!(result.delivered >= 1 && world.client.stats().delivered >= 1);
        other.join().unwrap().unwrap();
        world.client.close(None).unwrap();
        sender.join().unwrap();
        assert_eq!(world.client.stats().delivered, 2);
    });
}

#[test]
fn a_close_at_once_ends_everything_and_everybody() {
    explore(|| {
        let world = World::new(&[("flush_at", "1")]);
        let sender = beside(&world, |world| world.send(u64::MAX));
        let capturer = beside(&world, World::capture);
        let flusher = beside(&world, |world| world.client.flush(None).is_ok());
        let _ = world.client.close(Some(Duration::ZERO));
        world.check_ledger();
        let outcome = capturer.join().unwrap();
        flusher.join().unwrap();
        sender.join().unwrap();
        let ledger = world.client.stats();
        assert!(ledger.adds_up() && ledger.pending_events == 0, "{ledger:?}");
        assert_eq!(ledger.captured, u64::from(outcome.is_ok()));
        assert!(outcome.is_ok() || outcome == Err(Status::CLOSED));
    });
}

#[test]
fn the_counters_add_up_at_every_instant() {
    explore(|| {
        let world = World::new(&[("flush_at", "1")]);
        let sender = beside(&world, |world| world.send(2));
        let capturer = beside(&world, |world| [(); 2].map(|()| world.capture().is_ok()));
        world.check_ledger();
        world.check_ledger();
        assert_eq!(capturer.join().unwrap(), [true, true]);
        sender.join().unwrap();
        world.check_ledger();
    });
}

#[test]
fn a_blocked_capture_goes_on_when_there_is_room() {
    explore(|| {
        let world = World::new(&[("flush_at", "1"), ("queue_max_events", "1"), ("overflow", "block")]);
        let sender = beside(&world, |world| world.send(2));
        let other = beside(&world, World::capture);
        world.capture().unwrap();
        other.join().unwrap().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_flush_learns_of_an_eviction() {
    explore(|| {
        let world = World::new(&[("queue_max_events", "1"), ("overflow", "drop_oldest")]);
        world.capture().unwrap();
        let ticket = world.client.begin_flush().unwrap();
        let other = beside(&world, World::capture);
        let (_, result) = world.client.await_flush(ticket, None).unwrap_err();
        assert_eq!((result.lost, result.pending), (1, 0));
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_poller_is_told_of_a_report_and_of_the_end() {
    explore(|| {
        let world = World::new(&[("flush_at", "1"), ("reports", "all")]);
        let sender = beside(&world, |world| world.send(u64::MAX));
        let poller = beside(&world, |world| {
            let report = world.client.poll(None).expect("the close waits for the delivery");
            assert_eq!(report.events.len(), 1);
            assert!(world.client.poll(None).is_none());
        });
        world.capture().unwrap();
        world.client.close(None).unwrap();
        poller.join().unwrap();
        sender.join().unwrap();
    });
}

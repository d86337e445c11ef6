//! Captures, the sleeping send loop, flushes, pollers and a close at the same state.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use uuid::Uuid;

use super::explore;
use crate::client::Client;
use crate::config::Config;
use crate::delivery::{BatchId, SendLoop, SenderExitGuard, Step, Wake};
use crate::event::EventInput;
use crate::event::timestamp::Timestamp;
use crate::protocol::{Attempt, AttemptResult, decide};
use crate::status::Status;
use crate::transport::Transport;

/// A client and what its send loop is made of. In a model that fails it is leaked, for its
/// end would wait for threads that do not exist any more.
pub(super) struct World {
    config: Config,
    pub(super) client: Arc<Client>,
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
    pub(super) fn new(settings: &[(&str, &str)]) -> Arc<Self> {
        let mut config = Config::new("key");
        config.set("flush_interval_ms", "3600000").unwrap();
        for (key, value) in settings {
            config.set(key, value).unwrap();
        }
        let client = Client::new(config.clone()).unwrap();
        // The model runs the send loop itself.
        client.process().mark_started();
        Arc::new(World { config, client: Arc::new(client) })
    }

    /// Threads stage what they capture from the first event on, as if two of them had met before.
    fn staging(settings: &[(&str, &str)]) -> Arc<Self> {
        let world = World::new(settings);
        world.client.process().delivery.stage_from_now_on();
        world
    }

    pub(super) fn capture(&self) -> Result<Uuid, Status> {
        let json = br#"{"event":"e","distinct_id":"d"}"#;
        self.client.capture(&EventInput::Json(json)).map_err(|error| error.status)
    }

    /// The send loop, which responds to each request itself and at once. It ends with the
    /// client, or once `enough` events are delivered.
    pub(super) fn send(&self, enough: u64) {
        let delivery = Arc::clone(&self.client.process().delivery);
        let transport = Arc::new(Transport::new(&self.config).unwrap());
        let mut send_loop = SendLoop::new(Arc::clone(&delivery), transport, &self.config);
        let exit_guard = SenderExitGuard(Arc::clone(&delivery));
        let (mut requests, mut delivered) = (0, 0);
        while delivered < enough {
            match send_loop.next_step() {
                None => break,
                Some(Step::Sleep { .. }) => delivery.wait_sender_woken(),
                Some(Step::StartAttempt(batch)) => delivered += self.respond(&mut send_loop, batch),
                Some(Step::TakeBatch) => {
                    requests += 1;
                    let id = Uuid::from_u128(requests);
                    let batch = delivery.update(|state| (state.take_batch(id, Timestamp::now()), Wake::NONE));
                    let batch = batch.expect("only the send loop takes batches");
                    delivered += self.respond(&mut send_loop, batch);
                }
            }
        }
        // After `enough` events the client goes on, as if the send loop slept.
        if delivered < enough { drop(exit_guard) } else { std::mem::forget(exit_guard) }
    }

    fn respond(&self, send_loop: &mut SendLoop, batch: BatchId) -> u64 {
        let delivery = &self.client.process().delivery;
        let attempt =
            delivery.update(|state| (state.begin_attempt(batch, Timestamp::now()), Wake::NONE)).unwrap();
        // `None` if a close was faster.
        let Some(attempt) = attempt else { return 0 };
        let uuids = attempt.payload.uuids();
        let results: Vec<_> = uuids.iter().map(|uuid| format!("\"{uuid}\":{{\"result\":\"ok\"}}")).collect();
        let body = format!("{{\"results\":{{{}}}}}", results.join(",")).into_bytes();
        let result = AttemptResult::Response { status: 200, retry_after: None, location: None, body };
        let about = Attempt { uuids, used: attempt.used, can_change_codec: false, random: 0, spooled: None };
        let decision = decide(&result, &about, &self.config.retry_policy());
        let events = uuids.len() as u64;
        drop(attempt);
        send_loop.apply(batch, decision, 0, 0);
        events
    }

    fn check_stats(&self) {
        let stats = self.client.stats();
        assert!(stats.add_up(), "{stats:?}");
    }
}

/// Runs `body` in another thread of the model.
pub(super) fn beside<T: 'static>(
    world: &Arc<World>,
    body: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

#[test]
fn the_first_event_wakes_the_send_loop() {
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
fn a_full_batch_wakes_the_send_loop() {
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
fn a_close_without_time_ends_every_event_and_every_wait() {
    explore(|| {
        let world = World::new(&[("flush_at", "1")]);
        let sender = beside(&world, |world| world.send(u64::MAX));
        let capturer = beside(&world, World::capture);
        let flusher = beside(&world, |world| world.client.flush(None).is_ok());
        let _ = world.client.close(Some(Duration::ZERO));
        world.check_stats();
        let outcome = capturer.join().unwrap();
        flusher.join().unwrap();
        sender.join().unwrap();
        let stats = world.client.stats();
        assert!(stats.add_up() && stats.pending_events == 0, "{stats:?}");
        assert_eq!(stats.captured, u64::from(outcome.is_ok()));
        assert!(outcome.is_ok() || outcome == Err(Status::CLOSED));
    });
}

#[test]
fn the_counters_add_up_at_every_instant() {
    explore(|| {
        let world = World::new(&[("flush_at", "1")]);
        let sender = beside(&world, |world| world.send(2));
        let capturer = beside(&world, |world| [(); 2].map(|()| world.capture().is_ok()));
        world.check_stats();
        world.check_stats();
        assert_eq!(capturer.join().unwrap(), [true, true]);
        sender.join().unwrap();
        world.check_stats();
    });
}

#[test]
fn a_staged_event_is_counted_at_the_next_look() {
    explore(|| {
        let world = World::staging(&[("flush_at", "10")]);
        let capture_two = |world: &World| {
            world.capture().unwrap();
            world.capture().unwrap();
            let stats = world.client.stats();
            assert!(stats.add_up() && stats.captured >= 2, "{stats:?}");
        };
        let other = beside(&world, capture_two);
        capture_two(&world);
        other.join().unwrap();
        assert_eq!(world.client.stats().captured, 4);
    });
}

#[test]
fn a_flush_covers_what_its_thread_has_staged() {
    explore(|| {
        let world = World::staging(&[("flush_at", "10")]);
        let sender = beside(&world, |world| world.send(u64::MAX));
        world.capture().unwrap();
        world.capture().unwrap();
        let result = world.client.flush(None).unwrap();
        assert_eq!((result.delivered, result.pending), (2, 0));
        world.client.close(None).unwrap();
        sender.join().unwrap();
        world.check_stats();
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
fn an_eviction_ends_a_flush() {
    explore(|| {
        let world = World::new(&[("queue_max_events", "1"), ("overflow", "drop_oldest")]);
        world.capture().unwrap();
        let flush = world.client.begin_flush().unwrap();
        let other = beside(&world, World::capture);
        let result = world.client.wait_flush(flush, None).unwrap();
        assert_eq!((result.lost, result.pending), (1, 0));
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_poll_returns_at_a_report_and_at_the_end() {
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

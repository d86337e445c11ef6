//! The callback thread, while the host sets, replaces and removes callbacks.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::delivery::{World, beside};
use super::explore;
use crate::client::{LogFunction, ReportFunction};
use crate::config::LogLevel;

/// The callback thread of a client, as a thread of the model.
struct CallbackThread {
    thread: thread::JoinHandle<()>,
    stop_at: Arc<OnceLock<Option<Instant>>>,
}

impl CallbackThread {
    fn start(world: &Arc<World>) -> Self {
        let stop_at = Arc::new(OnceLock::new());
        let (world, stopped) = (Arc::clone(world), Arc::clone(&stop_at));
        let thread = thread::spawn(move || world.client.run_callback_thread(&stopped));
        CallbackThread { thread, stop_at }
    }

    /// As at the free of the client: what waits is passed on, then the thread ends.
    fn stop(self, world: &World) {
        self.stop_at.set(None).unwrap();
        world.client.process().delivery.wake_report_waiters();
        self.thread.join().unwrap();
    }
}

/// What a callback has counted. It is read by a change, which sees the newest value: that
/// the end of a callback happens before the setter's return is due to the counts of an
/// `Arc`, which is std's here and orders nothing in the model.
#[derive(Clone)]
struct Seen(Arc<AtomicU64>);

impl Seen {
    fn none() -> Self {
        Seen(Arc::new(AtomicU64::new(0)))
    }

    fn get(&self) -> u64 {
        self.0.fetch_add(0, Ordering::AcqRel)
    }

    fn events(&self) -> Option<ReportFunction> {
        let Seen(seen) = self.clone();
        Some(Box::new(move |report| {
            seen.fetch_add(report.events.len() as u64, Ordering::AcqRel);
        }))
    }

    fn lines(&self) -> Option<LogFunction> {
        let Seen(seen) = self.clone();
        Some(Box::new(move |_, _| {
            seen.fetch_add(1, Ordering::AcqRel);
        }))
    }
}

/// A client with this number of delivered events, each of which is in a report that waits.
fn with_reports(events: u64) -> Arc<World> {
    let world = World::new(&[("flush_at", "1"), ("max_batch_events", "1"), ("reports", "all")]);
    for _ in 0..events {
        world.capture().unwrap();
    }
    world.send(events);
    world
}

fn polled(world: &World) -> u64 {
    std::iter::from_fn(|| world.client.poll(Some(Duration::ZERO)))
        .map(|report| report.events.len() as u64 + report.missed_events)
        .sum()
}

#[test]
fn a_callback_that_is_removed_costs_no_report() {
    explore(|| {
        let world = with_reports(2);
        let seen = Seen::none();
        let thread = CallbackThread::start(&world);
        world.client.set_delivery_callback(seen.events()).unwrap();
        world.client.set_delivery_callback(None).unwrap();
        // At once: no report is on its way to a callback any more.
        assert_eq!(seen.get() + polled(&world), 2);
        thread.stop(&world);
    });
}

#[test]
fn a_callback_that_is_replaced_runs_no_more_and_costs_no_report() {
    explore(|| {
        let world = with_reports(2);
        let (first, second) = (Seen::none(), Seen::none());
        world.client.set_delivery_callback(first.events()).unwrap();
        let thread = CallbackThread::start(&world);
        world.client.set_delivery_callback(second.events()).unwrap();
        let before = first.get();
        thread.stop(&world);
        assert_eq!(first.get(), before);
        world.client.set_delivery_callback(None).unwrap();
        assert_eq!(first.get() + second.get(), 2);
    });
}

#[test]
fn a_report_that_comes_while_a_callback_is_removed_is_not_lost() {
    explore(|| {
        let world = World::new(&[("flush_at", "1"), ("reports", "all")]);
        let seen = Seen::none();
        world.client.set_delivery_callback(seen.events()).unwrap();
        let thread = CallbackThread::start(&world);
        let sender = beside(&world, |world| world.send(1));
        world.capture().unwrap();
        world.client.set_delivery_callback(None).unwrap();
        sender.join().unwrap();
        assert_eq!(seen.get() + polled(&world), 1);
        thread.stop(&world);
    });
}

#[test]
fn a_log_callback_that_is_removed_costs_no_line() {
    explore(|| {
        let world = World::new(&[]);
        let line = "a line".to_owned();
        world.client.process().delivery.update(|state| ((), state.log(LogLevel::Error, line)));
        let (first, second) = (Seen::none(), Seen::none());
        let thread = CallbackThread::start(&world);
        world.client.set_log_callback(first.lines()).unwrap();
        world.client.set_log_callback(None).unwrap();
        let before = first.get();
        world.client.set_log_callback(second.lines()).unwrap();
        thread.stop(&world);
        world.client.set_log_callback(None).unwrap();
        assert_eq!((first.get(), first.get() + second.get()), (before, 1));
    });
}

#[test]
fn a_line_is_polled_for_or_passed_to_the_callback() {
    explore(|| {
        let world = World::new(&[]);
        let line = || "a line".to_owned();
        world.client.process().delivery.update(|state| ((), state.log(LogLevel::Error, line())));
        let seen = Seen::none();
        let poller = beside(&world, |world| {
            let mut polled = 0;
            world.client.poll_log_line(|_, _| {
                polled += 1;
                true
            });
            polled
        });
        let thread = CallbackThread::start(&world);
        world.client.set_log_callback(seen.lines()).unwrap();
        let polled: u64 = poller.join().unwrap();
        // Once a callback is set, a line is for that, and not for who waits for the descriptor.
        let covered = world.client.process().delivery.update(|state| {
            let wake = state.log(LogLevel::Error, line());
            (state.has_something_to_poll(), wake)
        });
        assert!(!covered);
        thread.stop(&world);
        world.client.set_log_callback(None).unwrap();
        assert_eq!(polled + seen.get(), 2);
    });
}

//! What is staged, seen through the monitor: the law, the bounds and the wake-ups hold as without stages.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use crate::config::Config;
use crate::delivery::batch::BatchId;
use crate::delivery::monitor::Delivery;
use crate::delivery::scheduler::{Scheduler, Step};
use crate::delivery::state::{DeliveryState, Refusal};
use crate::delivery::wake::Wake;
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::status::Status;

const THREADS: usize = 3;

fn delivery(settings: &[(&str, &str)]) -> Arc<Delivery> {
    let delivery = unstaged(settings);
    delivery.stage_from_now_on();
    Arc::new(delivery)
}

/// One whose threads do not stage what they capture.
fn unstaged(settings: &[(&str, &str)]) -> Delivery {
    let mut config = Config::new("key");
    config.set("flush_interval_ms", "3600000").unwrap();
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    Delivery::new(&config)
}

fn event(number: u128, caller_uuid: bool) -> EncodedEvent {
    EncodedEvent { uuid: Uuid::from_u128(number), caller_uuid, repaired: true, uuid_replaced: true }
}

fn capture(delivery: &Delivery, number: u128, caller_uuid: bool) -> Result<(), Refusal> {
    let wire = format!("{{\"event\":\"{number}\"}}");
    delivery.enqueue(wire.as_bytes(), &event(number, caller_uuid), Duration::ZERO)
}

/// A thread that captures when it is asked to.
struct Capturer {
    ask: Sender<(u128, bool)>,
    result: Receiver<Result<(), Refusal>>,
}

impl Capturer {
    fn new(delivery: &Arc<Delivery>) -> Self {
        let ((ask, asked), (done, result)) = (channel(), channel());
        let delivery = Arc::clone(delivery);
        thread::spawn(move || {
            for (number, caller_uuid) in asked {
                done.send(capture(&delivery, number, caller_uuid)).unwrap();
            }
        });
        Capturer { ask, result }
    }

    fn capture(&self, number: u128, caller_uuid: bool) -> Result<(), Refusal> {
        self.ask.send((number, caller_uuid)).unwrap();
        self.result.recv().unwrap()
    }
}

fn capturers(delivery: &Arc<Delivery>) -> [Capturer; THREADS] {
    std::array::from_fn(|_| Capturer::new(delivery))
}

/// Takes the oldest batch, if any event waits.
fn take_batch(delivery: &Delivery) -> Option<BatchId> {
    let at = Timestamp::from_unix_ms(0).unwrap();
    delivery.update(|state| (state.take_batch(Uuid::nil(), at), Wake::NONE))
}

/// Takes all batches: the uuids in each of them, having checked that the body has these events.
fn batches(delivery: &Delivery) -> Vec<Vec<u128>> {
    let at = Timestamp::from_unix_ms(0).unwrap();
    std::iter::from_fn(|| take_batch(delivery))
        .map(|batch| {
            let attempt =
                delivery.update(|state| (state.begin_attempt(batch, at), Wake::NONE)).unwrap().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&attempt.request.body).unwrap();
            let uuids: Vec<u128> = attempt.payload.uuids().iter().map(Uuid::as_u128).collect();
            let events: Vec<u128> = body["batch"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["event"].as_str().unwrap().parse().unwrap())
                .collect();
            assert_eq!(events, uuids);
            for (wire, uuid) in attempt.payload.wires().zip(&uuids) {
                assert_eq!(wire, format!("{{\"event\":\"{uuid}\"}}").as_bytes());
            }
            uuids
        })
        .collect()
}

/// Whether the send loop has been woken since the last call.
fn was_woken(delivery: &Delivery) -> bool {
    pin!(delivery.sender_woken()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Lets the send loop look at the state and fall asleep.
fn sleep(delivery: &Delivery, scheduler: &mut Scheduler) {
    let step = delivery.update(|state| (state.next_step(scheduler, Duration::ZERO), Wake::NONE));
    assert!(matches!(step, Some(Step::Sleep { .. })), "{step:?}");
}

#[test]
fn events_are_staged_and_each_look_at_the_state_sees_them() {
    let delivery = delivery(&[]);
    let capturers = capturers(&delivery);
    for number in 0..60 {
        capturers[number as usize % THREADS].capture(number, false).unwrap();
        // Each thread's first capture locks the state.
        assert_eq!(delivery.is_any_staged(), number >= THREADS as u128);
    }
    let stats = delivery.read(|state| state.stats().clone());
    assert!(!delivery.is_any_staged());
    assert!(stats.add_up());
    assert_eq!([stats.captured, stats.pending_events, stats.repaired, stats.uuids_replaced], [60; 4]);
    // The events of a thread keep their order.
    let uuids = batches(&delivery).concat();
    for thread in 0..THREADS as u128 {
        let own: Vec<_> = uuids.iter().filter(|number| **number % THREADS as u128 == thread).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    assert_eq!(uuids.len(), 60);
}

#[test]
fn the_event_that_makes_a_batch_ready_wakes_the_send_loop() {
    for threads in 1..=THREADS {
        let delivery = delivery(&[("flush_at", "100")]);
        let capturers = capturers(&delivery);
        let config = Config::new("key");
        let mut scheduler = Scheduler::new(4, Duration::from_secs(3600), config.retry_policy().backoff);
        sleep(&delivery, &mut scheduler);
        for number in 0..100 {
            capturers[number as usize % threads].capture(number, false).unwrap();
            let woken = was_woken(&delivery);
            assert_eq!(woken, number == 0 || number == 99, "{threads} threads, event {number}");
            if number == 0 {
                sleep(&delivery, &mut scheduler);
            }
        }
        assert_eq!(batches(&delivery).concat().len(), 100);
    }
}

#[test]
fn the_bounds_of_the_queue_are_exact() {
    for (threads, bound) in (1..=THREADS).zip([50, 77, 200]) {
        let delivery = delivery(&[("queue_max_events", &bound.to_string()), ("flush_at", "1000")]);
        let capturers = capturers(&delivery);
        for number in 0..bound {
            let result = capturers[number as usize % threads].capture(number, false);
            assert_eq!(result, Ok(()), "event {number} of {bound}");
        }
        let full = Err(Refusal::Status(Status::QUEUE_FULL));
        assert_eq!(capturers[0].capture(bound, false), full);
        assert_eq!(u128::from(delivery.read(|state| state.stats().captured)), bound);
    }
}

#[test]
fn batches_are_as_full_as_without_stages() {
    for (settings, most) in [
        (&[("max_batch_events", "7")][..], 7),
        (&[("max_batch_events", "50"), ("max_batch_bytes", "1024")], 50),
        (&[("max_batch_bytes", "2000")], 2000),
        (&[("flush_at", "10"), ("max_batch_events", "33")], 33),
        (&[], 2000),
    ] {
        let delivery = delivery(settings);
        let capturers = capturers(&delivery);
        let mut staged_at_times = false;
        for number in 0..1000 {
            capturers[number as usize % THREADS].capture(number, false).unwrap();
            staged_at_times |= delivery.is_any_staged();
            // The first thread captures more than the others, so that stages are taken in unevenly.
            if number % 10 < 4 {
                capturers[0].capture(1000 + number, false).unwrap();
            }
        }
        let staged = batches(&delivery);
        assert!(delivery.read(DeliveryState::stats_add_up));
        assert!(staged.iter().all(|batch| (1..=most).contains(&batch.len())), "{settings:?}: {staged:?}");
        let order = staged.concat();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 1400);
        let alone = unstaged(settings);
        for number in &order {
            capture(&alone, *number, false).unwrap();
        }
        assert_eq!(staged, batches(&alone), "{settings:?}");
        assert!(staged_at_times);
    }
}

#[test]
fn a_uuid_of_the_callers_meets_the_staged_event_that_has_it() {
    let delivery = delivery(&[]);
    let capturers = capturers(&delivery);
    for number in 0..20 {
        capturers[number as usize % THREADS].capture(number, false).unwrap();
    }
    capturers[0].capture(19, true).unwrap();
    for batch in batches(&delivery) {
        assert_eq!(batch.iter().collect::<BTreeSet<_>>().len(), batch.len(), "{batch:?}");
    }
}

#[test]
fn a_shut_client_takes_nothing_and_its_staged_events_are_settled() {
    let delivery = delivery(&[]);
    let capturers = capturers(&delivery);
    for number in 0..20 {
        capturers[number as usize % THREADS].capture(number, false).unwrap();
    }
    delivery.update(|state| ((), state.shut(Status::CLOSED)));
    for capturer in &capturers {
        assert_eq!(capturer.capture(99, false), Err(Refusal::Status(Status::CLOSED)));
    }
    assert_eq!(batches(&delivery).concat().len(), 20);
}

#[test]
fn one_capturing_thread_uses_no_stage_for_long() {
    let delivery = delivery(&[]);
    for number in 0..1000 {
        capture(&delivery, number, false).unwrap();
    }
    assert!(!delivery.is_staging());
    assert_eq!(batches(&delivery).concat(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn the_counters_add_up_while_threads_capture_and_batches_leave() {
    let delivery = delivery(&[("queue_max_events", "3000"), ("flush_at", "1000")]);
    let ended = AtomicBool::new(false);
    let (taken, sent) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = Vec::new();
            loop {
                let last = ended.load(Ordering::Acquire);
                sent.extend(batches(&delivery).concat());
                // Everything was taken: nothing that is pending is anywhere else.
                if last {
                    return sent;
                }
            }
        });
        let reader = scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                assert!(delivery.read(DeliveryState::stats_add_up));
            }
        });
        let capturers: Vec<_> = (0..THREADS as u128)
            .map(|thread| {
                let delivery = &delivery;
                scope.spawn(move || {
                    let numbers = (0..2000).map(|number| number * THREADS as u128 + thread);
                    numbers.filter(|number| capture(delivery, *number, false).is_ok()).collect::<Vec<_>>()
                })
            })
            .collect();
        let taken: Vec<u128> = capturers.into_iter().flat_map(|capturer| capturer.join().unwrap()).collect();
        ended.store(true, Ordering::Release);
        reader.join().unwrap();
        (taken, sender.join().unwrap())
    });
    let unique: BTreeSet<u128> = sent.iter().copied().collect();
    assert_eq!((unique.len(), sent.len()), (taken.len(), taken.len()));
    assert_eq!(unique, taken.into_iter().collect());
}

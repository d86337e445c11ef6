//! What processes send, and the server that misbehaves.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::World;
use crate::delivery::{BatchId, DeliveryState, OpenAttempt, Step, Wake};
use crate::event::timestamp::Timestamp;
use crate::protocol::{Attempt, AttemptResult, SpooledBatch, decide};

#[derive(Default)]
pub(super) struct Server {
    pub is_down: bool,
    pub refuses: bool,
    /// It takes single events only, and does not respond to their requests.
    pub splits: bool,
    /// How often each event was stored.
    pub stored: HashMap<Uuid, u32>,
    pub dropped: HashSet<Uuid>,
}

/// What is known of a request, which is one batch.
#[derive(Default)]
pub(super) struct Request {
    /// The numbers of its last attempt, and of the last one that has ended.
    begun: u32,
    ended: u32,
    created_at: String,
}

impl World {
    /// Lets the send loop of a process do what it can do now; returns until when it sleeps.
    pub(super) fn run_sender(&mut self, at: usize) -> Option<u64> {
        loop {
            let process = &mut self.processes[at];
            let (now, started_at) = (process.since_start(self.now.boot_ms), process.started_at);
            let scheduler = &mut process.scheduler;
            let step = process.delivery.update(|state| (state.next_step(scheduler, now), Wake::NONE))?;
            let batch = match step {
                Step::StartAttempt(batch) => Some(batch),
                Step::TakeBatch => {
                    let id = self.uuid();
                    let time = self.time();
                    let process = &mut self.processes[at];
                    process.delivery.update(|state| (state.take_batch(id, time), Wake::NONE))
                }
                Step::Sleep { until, .. } => {
                    return until.map(|until| started_at + u64::try_from(until.as_millis()).unwrap() + 1);
                }
            };
            let time = self.time();
            let process = &mut self.processes[at];
            let begun = batch.and_then(|batch| {
                let begun = process.delivery.update(|state| (state.begin_attempt(batch, time), Wake::NONE));
                Some((batch, begun.unwrap()?))
            });
            match begun {
                Some((batch, attempt)) => self.send(at, batch, attempt),
                None => process.scheduler.step_cancelled(),
            }
        }
    }

    fn send(&mut self, at: usize, batch: BatchId, attempt: OpenAttempt) {
        let uuids = attempt.payload.uuids().to_vec();
        let distinct: HashSet<_> = uuids.iter().collect();
        assert_eq!(distinct.len(), uuids.len(), "a uuid twice in a batch");
        let body: serde_json::Value = serde_json::from_slice(&attempt.request.body).unwrap();
        let sent = body["batch"].as_array().unwrap();
        assert_eq!(sent.len(), uuids.len());
        for (uuid, sent) in uuids.iter().zip(sent) {
            let wire: serde_json::Value = serde_json::from_slice(&self.events[uuid].wire).unwrap();
            assert_eq!(*sent, wire, "the event changed");
            let seen = self.lost.contains_key(uuid);
            assert!(!seen || self.has_crashed || self.disk_fails, "sent again after it had ended");
        }
        let request = &attempt.request;
        self.check_request(request.request_id, request.attempt, body["created_at"].as_str().unwrap());
        let result = self.serve(&uuids);
        let arrival = self.now.boot_ms + 1 + self.random.below(500);
        self.processes[at].in_flight.insert((arrival, batch), (attempt, result));
    }

    /// A batch stays the same request, also in another process, which counts its attempts on.
    fn check_request(&mut self, id: Uuid, attempt: u32, created_at: &str) {
        // A process that is killed may not have written its last attempt.
        let is_known = !self.has_crashed && !self.disk_fails && !self.split.contains(&id);
        let request = self.requests.entry(id).or_default();
        if is_known {
            // One of which nothing was sent has its number again, unless another process has taken it over.
            let expected = request.ended + 1..=request.begun + 1;
            assert!(expected.contains(&attempt), "attempt {attempt} of {id}, and none of {expected:?}");
            assert!(request.begun == 0 || request.created_at == created_at, "{id} was made anew");
        }
        (request.begun, request.created_at) = (attempt, created_at.to_owned());
    }

    fn serve(&mut self, uuids: &[Uuid]) -> AttemptResult {
        let respond = |status: u16, body: String| AttemptResult::Response {
            status,
            retry_after: None,
            location: None,
            body: body.into_bytes(),
        };
        if self.server.is_down {
            return AttemptResult::NoResponse { message: "refused".into(), maybe_sent: false };
        }
        if self.server.refuses {
            return respond(401, String::new());
        }
        if self.server.splits {
            let cut = || AttemptResult::NoResponse { message: "cut".into(), maybe_sent: true };
            return if uuids.len() > 1 { respond(413, String::new()) } else { cut() };
        }
        let store = |server: &mut Server, uuid: &Uuid| *server.stored.entry(*uuid).or_default() += 1;
        match if self.misbehaves { self.random.below(24) } else { 23 } {
            0 | 1 => return respond(503, String::new()),
            2 => {
                for uuid in uuids {
                    store(&mut self.server, uuid);
                }
                return AttemptResult::NoResponse { message: "cut".into(), maybe_sent: true };
            }
            3 if uuids.len() > 1 => return respond(413, String::new()),
            4 => return AttemptResult::StaleConnection { message: "reset".into() },
            5 => return AttemptResult::LocalShortage { message: "no descriptors".into() },
            _ => {}
        }
        let mut results = Vec::new();
        for uuid in uuids {
            let code = match if self.misbehaves { self.random.below(20) } else { 19 } {
                0..=2 => "retry",
                3 => "drop",
                _ => "ok",
            };
            match code {
                "ok" => store(&mut self.server, uuid),
                "drop" => drop(self.server.dropped.insert(*uuid)),
                _ => {}
            }
            results.push(format!("\"{uuid}\":{{\"result\":\"{code}\"}}"));
        }
        respond(200, format!("{{\"results\":{{{}}}}}", results.join(",")))
    }

    /// A response arrives at a process, if one is due.
    pub(super) fn receive(&mut self, at: usize) -> bool {
        let process = &mut self.processes[at];
        let next = process.in_flight.first_key_value().map(|((arrival, _), _)| *arrival);
        if next.is_none_or(|arrival| arrival > self.now.boot_ms) {
            return false;
        }
        let Some(((_, batch), (attempt, result))) = process.in_flight.pop_first() else { return false };
        let random = u16::try_from(self.random.below(65_536)).unwrap();
        let host_is_down = process.scheduler.is_circuit_open();
        let about = Attempt {
            uuids: attempt.payload.uuids(),
            used: attempt.used,
            can_change_codec: false,
            random,
            spooled: Some(SpooledBatch { host_is_down, times_postponed: attempt.times_postponed }),
        };
        let mut decision = decide(&result, &about, &process.policy);
        let ids = [self.random.next(), self.random.next()].map(|half| Uuid::from_u64_pair(half, 1));
        let id = attempt.request.request_id;
        if let Some(request) = self.requests.get_mut(&id).filter(|_| !decision.unsent) {
            request.ended = attempt.request.attempt;
        }
        if decision.split {
            self.split.extend([id, ids[0], ids[1]]);
        }
        let time = Timestamp::from_unix_ms(self.now.wall_ms).unwrap();
        let again = process
            .delivery
            .update(|state| state.complete_attempt(batch, &mut decision, 0, || Some((ids, time))));
        let now = process.since_start(self.now.boot_ms);
        process.scheduler.attempt_ended(now, &decision, random, &again);
        let is_open = process.scheduler.is_circuit_open();
        process.delivery.update(|state| (state.set_holding(is_open), Wake::NONE));
        self.read_reports(at);
        true
    }

    pub(super) fn read_reports(&mut self, at: usize) {
        loop {
            let delivery = &self.processes[at].delivery;
            let Some(report) = delivery.update(DeliveryState::pop_report_for_poll) else { return };
            self.lost_without_uuid += report.missed_events;
            for event in report.events {
                let Some(loss) = event.loss else { continue };
                let before = self.lost.insert(event.uuid, loss);
                assert!(
                    before.is_none() || self.has_crashed || self.disk_fails,
                    "lost twice: {before:?} {loss:?}"
                );
            }
        }
    }
}

//! Decides what the result of an attempt means for each event of its batch, and
//! what to do with the events that are still pending.

use std::time::Duration;

use super::attempt::{Attempt, AttemptResult, RetryPolicy};
use super::circuit_breaker::HostSign;
use super::resend::Resend;
use super::statuses::{Class, classify};
use super::verdict::Verdict;
use super::{explain, response};
use crate::failpoint;

/// Whether a gateway says that it has no response of the server, which may have stored the events. A 502 and a 504
/// always say that. Each other 5xx and a 408 may say it, unless the body is an error of Capture v1: some gateways send
/// 503 or 520 when they have lost the connection.
fn is_of_a_gateway(status: u16, body: &[u8]) -> bool {
    match status {
        502 | 504 => true,
        408 | 500..=599 => response::error_members(body).is_empty(),
        _ => false,
    }
}

/// Why the protocol gives up on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server's verdict was `drop`.
    Dropped,
    /// The server's verdict was `retry` until the budget was spent.
    RetryExhausted,
    /// An HTTP status ended the batch.
    Rejected,
    /// The last attempt of the batch got no complete response.
    Transport,
    /// The response to the batch was not one of Capture v1.
    MalformedResponse,
}

/// What becomes of one event after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is stored.
    Delivered,
    /// It is lost.
    Lost(Failure),
    /// It is sent again.
    Retry,
}

/// The decision on one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptDecision {
    /// What becomes of each event, in the order of the batch.
    pub dispositions: Vec<Disposition>,
    /// The server's verdicts in the same order; empty if there are none.
    pub verdicts: Vec<Option<Box<Verdict>>>,
    /// How long to wait before the events of [`Disposition::Retry`] are sent again.
    pub wait: Duration,
    /// Whether they become two batches of half the size, with new request ids,
    /// instead of the next attempt of this one.
    pub split: bool,
    /// Whether the attempt does not count against the budget.
    pub refund: bool,
    /// Whether the budget is spent and begins anew after the wait, while other batches go on.
    pub postpone: bool,
    /// Whether nothing was sent, so that there was no attempt at all. Then every event is sent
    /// again, as soon as this machine can.
    pub unsent: bool,
    /// The HTTP status; 0 if there was none.
    pub status: u16,
    /// What went wrong with the batch as a whole; empty if nothing did.
    pub error: String,
    /// Whether the server may have stored events without our knowing: the request
    /// was sent, and no whole, well-formed response of the server itself arrived.
    pub response_unknown: bool,
    /// What the attempt says about the host.
    pub host: HostSign,
    /// The wait that `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

/// Decides on one attempt.
pub fn decide(result: &AttemptResult, attempt: &Attempt<'_>, policy: &RetryPolicy) -> AttemptDecision {
    failpoint::pass("protocol");
    let mut decision = AttemptDecision::default();
    let resend = |host, retry_after| Resend::after(attempt, policy, host, retry_after);
    match result {
        AttemptResult::Response { status, retry_after, location, body } => {
            decision.status = *status;
            decision.retry_after = *retry_after;
            decision.host = HostSign::of_status(*status);
            decision.response_unknown = is_of_a_gateway(*status, body);
            let resend = resend(decision.host, *retry_after);
            match classify(*status, &policy.retry_statuses) {
                Class::Success => decision.read_verdicts(body, attempt, resend),
                Class::TooLarge if attempt.uuids.len() > 1 => {
                    decision.split = true;
                    decision.resend_all(attempt, Resend::AT_ONCE);
                }
                Class::UnknownCodec if attempt.can_change_codec => {
                    decision.resend_all(attempt, Resend { refund: true, ..Resend::AT_ONCE });
                }
                Class::UnknownCodec if policy.retry_statuses.contains(status) => {
                    decision.resend_or_lose(attempt, resend, Failure::Rejected);
                }
                Class::Retryable => decision.resend_or_lose(attempt, resend, Failure::Rejected),
                Class::Refused => {
                    let (host, resend) = Resend::after_refusal(attempt, policy, *retry_after);
                    decision.host = host;
                    decision.resend_or_lose(attempt, resend, Failure::Rejected);
                }
                Class::TooLarge | Class::UnknownCodec | Class::Terminal => {
                    decision.lose_all(attempt, Failure::Rejected);
                }
            }
            if !matches!(status, 200..=299) {
                decision.error = explain::status(*status, location.as_deref(), body);
            }
        }
        AttemptResult::Oversized { status } => {
            decision.status = *status;
            decision.host = HostSign::of_status(*status);
            decision.response_unknown = matches!(status, 200..=299);
            decision.error = explain::oversized(*status, response::max_bytes(attempt.uuids.len()));
            decision.lose_all(attempt, Failure::MalformedResponse);
        }
        AttemptResult::NoResponse { message, maybe_sent } => {
            decision.host = HostSign::Fails;
            decision.no_response(message, *maybe_sent, attempt, resend(HostSign::Fails, None));
        }
        AttemptResult::StaleConnection { message } => {
            decision.host = HostSign::None;
            // Only the next attempt shows how the host is.
            let at_once = |resend: Resend| if resend.postpone { resend } else { Resend::AT_ONCE };
            decision.no_response(message, true, attempt, resend(HostSign::None, None).map(at_once));
        }
        AttemptResult::LocalShortage { message } => {
            decision.host = HostSign::None;
            decision.unsent = true;
            decision.no_response(message, false, attempt, Some(Resend::AT_ONCE));
        }
    }
    decision
}

impl AttemptDecision {
    /// Whether this event is sent again, by its position in the batch.
    pub(crate) fn retries(&self) -> impl Iterator<Item = bool> + Clone {
        self.dispositions.iter().map(|disposition| *disposition == Disposition::Retry)
    }

    fn resend_all(&mut self, attempt: &Attempt<'_>, resend: Resend) {
        self.dispositions = vec![Disposition::Retry; attempt.uuids.len()];
        self.wait = resend.wait;
        self.refund = resend.refund;
        self.postpone = resend.postpone;
    }

    fn lose_all(&mut self, attempt: &Attempt<'_>, failure: Failure) {
        self.dispositions = vec![Disposition::Lost(failure); attempt.uuids.len()];
    }

    fn resend_or_lose(&mut self, attempt: &Attempt<'_>, resend: Option<Resend>, failure: Failure) {
        match resend {
            Some(resend) => self.resend_all(attempt, resend),
            None => self.lose_all(attempt, failure),
        }
    }

    /// Out of line, so that what is decided for each event of a response stays in one place.
    #[cold]
    #[inline(never)]
    fn no_response(
        &mut self,
        message: &str,
        maybe_sent: bool,
        attempt: &Attempt<'_>,
        resend: Option<Resend>,
    ) {
        self.response_unknown = maybe_sent;
        message.clone_into(&mut self.error);
        self.resend_or_lose(attempt, resend, Failure::Transport);
    }

    fn read_verdicts(&mut self, body: &[u8], attempt: &Attempt<'_>, resend: Option<Resend>) {
        self.verdicts = match response::verdicts(body, attempt.uuids) {
            Ok(verdicts) => verdicts,
            // A broken success must not loop, so it is final.
            Err(reason) => {
                self.error = explain::malformed(&reason, body);
                self.response_unknown = true;
                return self.lose_all(attempt, Failure::MalformedResponse);
            }
        };
        let disposition =
            |verdict: &Option<Box<Verdict>>| match verdict.as_deref().map(|verdict| verdict.code.as_ref()) {
                Some("drop") => Disposition::Lost(Failure::Dropped),
                Some("retry") if resend.is_some() => Disposition::Retry,
                Some("retry") => Disposition::Lost(Failure::RetryExhausted),
                _ => Disposition::Delivered,
            };
        self.dispositions = self.verdicts.iter().map(disposition).collect();
        if let Some(resend) = resend {
            self.wait = resend.wait;
            self.postpone = resend.postpone;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::attempt::SpooledBatch;
    use super::super::backoff::Backoff;
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_retries: 3,
            backoff: Backoff {
                initial: Duration::from_millis(200),
                max: Duration::from_secs(30),
                retry_after_max: Duration::from_secs(30),
            },
            retry_statuses: vec![408, 500, 502, 503, 504],
        }
    }

    fn uuids(count: u128) -> Vec<Uuid> {
        (1..=count).map(Uuid::from_u128).collect()
    }

    fn attempt(uuids: &[Uuid], used: u32) -> Attempt<'_> {
        Attempt { uuids, used, can_change_codec: false, random: 0, spooled: None }
    }

    fn response(status: u16, body: &str) -> AttemptResult {
        AttemptResult::Response { status, retry_after: None, location: None, body: body.into() }
    }

    fn decided(status: u16, body: &str, count: u128, used: u32) -> AttemptDecision {
        let uuids = uuids(count);
        decide(&response(status, body), &attempt(&uuids, used), &policy())
    }

    fn body(codes: &[&str]) -> String {
        let results: Vec<_> = uuids(codes.len() as u128)
            .iter()
            .zip(codes)
            .map(|(uuid, code)| format!(r#""{uuid}":{{"result":"{code}"}}"#))
            .collect();
        format!(r#"{{"results":{{{}}}}}"#, results.join(","))
    }

    fn retries(decision: &AttemptDecision) -> bool {
        decision.retries().any(|retry| retry)
    }

    #[test]
    fn drops_are_final_in_their_attempt_and_only_retries_stay() {
        let decision = decided(200, &body(&["ok", "drop", "retry", "warning", "limited"]), 6, 1);
        let kinds: String = decision
            .dispositions
            .iter()
            .map(|disposition| match disposition {
                Disposition::Delivered => 'd',
                Disposition::Lost(Failure::Dropped) => 'x',
                Disposition::Lost(_) => '?',
                Disposition::Retry => 'r',
            })
            .collect();
        assert_eq!(kinds, "dxrddd");
        assert_eq!(decision.wait, Duration::from_millis(200));
        assert!(decision.host == HostSign::Responds && !decision.response_unknown);
    }

    #[test]
    fn a_spent_budget_names_what_ended_each_event() {
        let decision = decided(200, &body(&["retry", "drop"]), 2, 4);
        assert_eq!(decision.dispositions[0], Disposition::Lost(Failure::RetryExhausted));
        assert_eq!(decision.dispositions[1], Disposition::Lost(Failure::Dropped));
        assert!(!retries(&decision));
        assert_eq!(decided(503, "", 1, 4).dispositions, [Disposition::Lost(Failure::Rejected)]);
        assert!(retries(&decided(503, "", 1, 3)));
    }

    #[test]
    fn every_status_is_decided_by_its_class() {
        for status in 100..=599_u16 {
            let decision = decided(status, "{}", 2, 1);
            assert_eq!(decision.response_unknown, matches!(status, 200..=299 | 408 | 500..=599));
            let by_the_server = decided(status, r#"{"error":"server_error","error_uri":null}"#, 2, 1);
            assert_eq!(by_the_server.response_unknown, matches!(status, 200..=299 | 502 | 504), "{status}");
            let expected = match status {
                200..=299 => Failure::MalformedResponse,
                408 | 500 | 502 | 503 | 504 => {
                    assert!(retries(&decision) && !decision.split && !decision.refund, "{status}");
                    continue;
                }
                413 => {
                    assert!(retries(&decision) && decision.split);
                    assert_eq!(decided(413, "", 1, 1).dispositions, [Disposition::Lost(Failure::Rejected)]);
                    continue;
                }
                _ => Failure::Rejected,
            };
            assert_eq!(decision.dispositions, [Disposition::Lost(expected); 2], "{status}");
            assert_eq!(decision.host, HostSign::of_status(status));
        }
    }

    #[test]
    fn another_codec_is_tried_only_while_there_is_one() {
        let uuids = uuids(1);
        for can_change_codec in [true, false] {
            let attempt = Attempt { can_change_codec, ..attempt(&uuids, 4) };
            let decision = decide(&response(415, ""), &attempt, &policy());
            assert_eq!((retries(&decision), decision.refund), (can_change_codec, can_change_codec));
            assert_eq!(decision.wait, Duration::ZERO);
        }
        let policy = RetryPolicy { retry_statuses: vec![415], ..policy() };
        for (used, again) in [(3, true), (4, false)] {
            let decision = decide(&response(415, ""), &attempt(&uuids, used), &policy);
            assert_eq!((retries(&decision), decision.refund), (again, false));
        }
    }

    #[test]
    fn a_redirect_names_its_target() {
        let result = AttemptResult::Response {
            status: 302,
            retry_after: None,
            location: Some("https://elsewhere/".into()),
            body: Vec::new(),
        };
        let decision = decide(&result, &attempt(&uuids(1), 1), &policy());
        assert!(decision.error.contains("https://elsewhere/"), "{}", decision.error);
        assert!(!retries(&decision));
    }

    #[test]
    fn transport_errors_count_as_attempts() {
        let result = AttemptResult::NoResponse { message: "refused".into(), maybe_sent: false };
        let uuids = uuids(1);
        let used = |used| decide(&result, &attempt(&uuids, used), &policy());
        assert_eq!(used(2).wait, Duration::from_millis(400));
        assert_eq!(used(4).dispositions, [Disposition::Lost(Failure::Transport)]);
        assert!(used(1).host == HostSign::Fails && !used(1).response_unknown);
    }

    #[test]
    fn a_stale_connection_costs_an_attempt_and_no_wait() {
        let result = AttemptResult::StaleConnection { message: "reset".into() };
        let uuids = uuids(2);
        let used = |used| decide(&result, &Attempt { random: 9, ..attempt(&uuids, used) }, &policy());
        for attempt in 1..=3 {
            let decision = used(attempt);
            assert_eq!(decision.dispositions, [Disposition::Retry; 2]);
            assert_eq!(
                (decision.wait, decision.host, decision.refund),
                (Duration::ZERO, HostSign::None, false)
            );
            assert!(decision.response_unknown);
        }
        assert_eq!(used(4).dispositions, [Disposition::Lost(Failure::Transport); 2]);
    }

    #[test]
    fn with_a_spool_an_outage_spends_nothing_and_a_spent_budget_is_postponed() {
        let uuids = uuids(2);
        let decided = |result: &AttemptResult, used, host_is_down, times_postponed| {
            let spooled = Some(SpooledBatch { host_is_down, times_postponed });
            let attempt = Attempt { spooled, ..attempt(&uuids, used) };
            decide(result, &attempt, &policy())
        };
        let refused = AttemptResult::NoResponse { message: "refused".into(), maybe_sent: false };
        for result in [&refused, &response(503, "")] {
            let decision = decided(result, 99, true, 0);
            assert!(retries(&decision) && decision.refund && !decision.postpone);
            // While others succeed, it counts, and the budget begins anew after a while: 1, 2, 4, ... 60 minutes.
            assert!(!decided(result, 3, false, 0).refund);
            for (times_postponed, minutes) in [(0, 1), (1, 2), (5, 32), (6, 60), (7, 60)] {
                let decision = decided(result, 4, false, times_postponed);
                assert!(retries(&decision) && decision.postpone && !decision.refund);
                assert_eq!(decision.wait, Duration::from_secs(60 * minutes));
            }
            assert!(!retries(&decided(result, 4, false, 8)));
        }
        // With fewer retries than failures open the circuit, the batch is not postponed before.
        let none = RetryPolicy { max_retries: 0, ..policy() };
        for (result, used, postpone) in
            [(&refused, 3, false), (&refused, 4, true), (&response(408, ""), 1, true)]
        {
            let spooled = Some(SpooledBatch::default());
            let attempt = Attempt { spooled, ..attempt(&uuids, used) };
            assert_eq!(decide(result, &attempt, &none).postpone, postpone, "{result:?} {used}");
        }
        let again = response(200, &body(&["retry", "ok"]));
        let decision = decided(&again, 4, false, 0);
        assert_eq!(decision.dispositions, [Disposition::Retry, Disposition::Delivered]);
        assert!(decision.postpone);
        for status in 300..=599 {
            let decision = decided(&response(status, ""), 1, false, 0);
            let is_held = matches!(status, 300..=399 | 401..=404 | 407);
            assert_eq!(decision.host == HostSign::Refuses, is_held, "{status}");
            assert!(!is_held || (retries(&decision) && decision.wait == policy().backoff.max));
        }
    }

    #[test]
    fn a_refusal_counts_when_others_have_succeeded_since_the_last_one() {
        let uuids = uuids(2);
        let decided = |status, used, host_is_down, times_postponed| {
            let spooled = Some(SpooledBatch { host_is_down, times_postponed });
            let attempt = Attempt { spooled, ..attempt(&uuids, used) };
            decide(&response(status, ""), &attempt, &policy())
        };
        for status in [301, 401, 402, 403, 404, 407] {
            // The circuit is open: it may be the host, whatever was before.
            for used in [1, 2, 99] {
                let held = decided(status, used, true, 8);
                assert!(retries(&held) && held.refund && !held.postpone && held.host == HostSign::Refuses);
            }
            let first = decided(status, 1, false, 8);
            assert!(retries(&first) && !first.refund && first.host == HostSign::Refuses);
            for used in [2, 3] {
                let counted = decided(status, used, false, 0);
                assert!(retries(&counted) && !counted.refund && !counted.postpone);
                assert_eq!((counted.host, counted.wait), (HostSign::None, policy().backoff.max));
            }
            let postponed = decided(status, 4, false, 2);
            assert!(retries(&postponed) && postponed.postpone && postponed.wait == Duration::from_secs(240));
            assert_eq!(decided(status, 4, false, 8).dispositions, [Disposition::Lost(Failure::Rejected); 2]);
        }
    }

    #[test]
    fn what_is_held_or_postponed_waits_for_as_long_as_the_server_asks() {
        let policy = RetryPolicy {
            backoff: Backoff { retry_after_max: Duration::from_secs(90), ..policy().backoff },
            ..policy()
        };
        let uuids = uuids(1);
        let wait = |status, used, seconds| {
            let result = AttemptResult::Response {
                status,
                retry_after: Some(Duration::from_secs(seconds)),
                location: None,
                body: Vec::new(),
            };
            let spooled = Some(SpooledBatch::default());
            let attempt = Attempt { spooled, ..attempt(&uuids, used) };
            decide(&result, &attempt, &policy).wait.as_secs()
        };
        // Refused first, refused again, postponed.
        for (status, used, least) in [(403, 1, 30), (403, 2, 30), (403, 4, 60), (503, 4, 60)] {
            let waits = [1, 80, 3600].map(|seconds| wait(status, used, seconds));
            assert_eq!(waits, [least, 80, 90], "{status} {used}");
        }
    }

    #[test]
    fn a_shortage_on_this_machine_loses_nothing_whatever_is_left_of_the_budget() {
        let result = AttemptResult::LocalShortage { message: "no descriptors".into() };
        let uuids = uuids(2);
        for used in [1, 4, 99] {
            let decision = decide(&result, &attempt(&uuids, used), &policy());
            assert_eq!(decision.dispositions, [Disposition::Retry; 2]);
            assert!(decision.unsent && decision.host == HostSign::None && !decision.response_unknown);
        }
    }
}

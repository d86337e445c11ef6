//! Decides whether the events of an attempt are sent again, when, and whether the attempt
//! counts against the budget of their batch.
//!
//! Without a spool each failure counts. With one, no outage ends a batch: while the host is
//! down its failures do not count, and a batch that fails while others succeed is postponed
//! several times before its events are lost.

use std::time::Duration;

use super::attempt::{Attempt, RetryPolicy, SpooledBatch};
use super::circuit_breaker::{HostSign, THRESHOLD};

/// How many times a batch with a spent budget is postponed before its events are lost.
const MAX_POSTPONEMENTS: u32 = 8;
/// How long it is postponed the first time. The time doubles up to [`LONGEST_POSTPONEMENT`].
const FIRST_POSTPONEMENT: Duration = Duration::from_secs(60);
const LONGEST_POSTPONEMENT: Duration = Duration::from_secs(3600);

/// How the events of an attempt are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resend {
    /// How long they wait before.
    pub(super) wait: Duration,
    /// Whether the attempt does not count.
    pub(super) refund: bool,
    /// Whether the budget begins anew after the wait, while other batches go on.
    pub(super) postpone: bool,
}

impl Resend {
    /// At once, as one more attempt.
    pub(super) const AT_ONCE: Resend = Resend { wait: Duration::ZERO, refund: false, postpone: false };

    /// Decides after an attempt that says this about the host; `None` when the budget of the batch is spent.
    pub(super) fn after(
        attempt: &Attempt<'_>,
        policy: &RetryPolicy,
        host: HostSign,
        retry_after: Option<Duration>,
    ) -> Option<Resend> {
        let wait = policy.backoff.wait(attempt.used, attempt.random, retry_after);
        // Until the circuit opens, it is not known whether the host fails or the batch.
        let is_undecided = attempt.spooled.is_some() && host == HostSign::Fails;
        let budget = if is_undecided { policy.max_retries.max(THRESHOLD) } else { policy.max_retries };
        match attempt.spooled {
            Some(SpooledBatch { host_is_down: true, .. }) if host == HostSign::Fails => {
                Some(Resend { wait, refund: true, postpone: false })
            }
            _ if attempt.used <= budget => Some(Resend { wait, refund: false, postpone: false }),
            Some(SpooledBatch { times_postponed, .. }) if times_postponed < MAX_POSTPONEMENTS => {
                let wait = FIRST_POSTPONEMENT.saturating_mul(1 << times_postponed).min(LONGEST_POSTPONEMENT);
                let wait = policy.backoff.at_least(wait, retry_after);
                Some(Resend { wait, refund: false, postpone: true })
            }
            _ => None,
        }
    }

    /// Decides after an attempt that was refused; also returns what the refusal says about the host.
    ///
    /// Whether the host refuses all that is sent, or this batch only, shows in the others: the first refusal opens the
    /// circuit, and what closes it is another batch. So a batch that was refused, and is again while the circuit is
    /// closed, is itself the reason, and that counts.
    pub(super) fn after_refusal(
        attempt: &Attempt<'_>,
        policy: &RetryPolicy,
        retry_after: Option<Duration>,
    ) -> (HostSign, Option<Resend>) {
        let wait = policy.backoff.at_least(policy.backoff.max, retry_after);
        match attempt.spooled {
            None => (HostSign::Responds, None),
            Some(SpooledBatch { host_is_down, .. }) if host_is_down || attempt.used <= 1 => {
                (HostSign::Refuses, Some(Resend { wait, refund: host_is_down, postpone: false }))
            }
            Some(_) => {
                let resend = Resend::after(attempt, policy, HostSign::None, retry_after);
                (HostSign::None, resend.map(|resend| Resend { wait: wait.max(resend.wait), ..resend }))
            }
        }
    }
}

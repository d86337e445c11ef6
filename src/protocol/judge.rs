//! What an attempt's outcome means for each event of its batch, and what to do
//! with those that are left.

use std::time::Duration;

use uuid::Uuid;

use super::answer;
use super::backoff::Backoff;
use super::statuses::{Class, classify};
use super::verdict::{Verdict, Word};
use crate::fault;

/// What came back from one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer.
    Answer(Answer),
    /// An answer over [`answer::max_bytes`].
    Oversized {
        /// Its HTTP status.
        status: u16,
    },
    /// No answer, or a cut-off one.
    Transport {
        /// What happened, for people.
        message: String,
        /// Whether the request may have reached the server.
        maybe_sent: bool,
    },
}

/// A complete HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// Where a redirect points.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The rules that settings can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Retries after the first attempt (`max_retries`).
    pub max_retries: u32,
    /// The waits.
    pub backoff: Backoff,
    /// Statuses worth another attempt (`retry_statuses`).
    pub retry_statuses: Vec<u16>,
}

/// The attempt that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The uuids of its events, in order.
    pub uuids: &'a [Uuid],
    /// How many attempts of the budget are used, this one included.
    pub used: u32,
    /// Whether another codec remains to be tried after a 415.
    pub can_change_codec: bool,
    /// Spreads the back-off.
    pub random: u16,
}

/// Why an event is lost; the numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Loss {
    /// The server refused it for good.
    Dropped = 1,
    /// The server kept asking for a retry until the budget was spent.
    RetryExhausted = 2,
    /// An HTTP status ended its batch.
    Rejected = 3,
    /// Its batch did not get through the network.
    Transport = 4,
    /// The answer to its batch was not understood.
    MalformedAnswer = 5,
    /// It made room for newer events (`overflow` = `drop_oldest`).
    Evicted = 6,
    /// The client was closed first.
    Closed = 7,
    /// A fault inside libphc.
    Internal = 8,
}

impl Loss {
    /// Every reason, in the order of the numbers.
    pub const ALL: [(Loss, &'static str); 8] = [
        (Loss::Dropped, "dropped"),
        (Loss::RetryExhausted, "retry_exhausted"),
        (Loss::Rejected, "rejected"),
        (Loss::Transport, "transport"),
        (Loss::MalformedAnswer, "malformed_answer"),
        (Loss::Evicted, "evicted"),
        (Loss::Closed, "closed"),
        (Loss::Internal, "internal"),
    ];

    /// The reason's name in reports.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(loss, _)| *loss == self).map_or("", |(_, name)| name)
    }
}

/// What becomes of one event after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Done: accepted, with the server's word.
    Delivered(Word),
    /// Done: lost.
    Lost(Loss, Word),
    /// Goes into the next attempt.
    Pending,
}

/// What to do with the events that are still pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// None is.
    Done,
    /// The next attempt of the same request id, after this wait.
    Retry(Duration),
    /// The next attempt at once, with another codec; costs no retry.
    ChangeCodec,
    /// Two new batches of half the size.
    Split,
}

/// An attempt, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// For each event of the attempt, in order.
    pub fates: Vec<Fate>,
    /// What to do with the pending ones.
    pub next: Next,
    /// The HTTP status; 0 when there was none.
    pub status: u16,
    /// What went wrong with the batch as a whole; empty when nothing did.
    pub error: String,
    /// Whether the server may have stored events without our knowing: true when
    /// no whole, well-formed answer of its own to a request that was sent has
    /// arrived.
    pub answer_unknown: bool,
    /// Whether this was a failure of the host (transport or 5xx).
    pub host_failed: bool,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

/// Judges one attempt.
pub fn judge(outcome: &Outcome, attempt: &Attempt<'_>, policy: &Policy) -> Judgement {
    fault::point("protocol");
    let mut judgement = Judgement {
        fates: Vec::new(),
        next: Next::Done,
        status: 0,
        error: String::new(),
        answer_unknown: false,
        host_failed: false,
        retry_after: None,
    };
    let retry_wait = |retry_after| {
        (attempt.used <= policy.max_retries)
            .then(|| Next::Retry(policy.backoff.wait(attempt.used, attempt.random, retry_after)))
    };
    match outcome {
        Outcome::Answer(answer) => {
            judgement.status = answer.status;
            judgement.retry_after = answer.retry_after;
            judgement.host_failed = answer.status >= 500;
            // A gateway answers these when it lost the server's own answer.
            judgement.answer_unknown = matches!(answer.status, 502 | 504);
            let next = retry_wait(answer.retry_after);
            match classify(answer.status, &policy.retry_statuses) {
                Class::Success => judgement.read_verdicts(&answer.body, attempt, next),
                Class::TooLarge if attempt.uuids.len() > 1 => judgement.keep_all(attempt, Next::Split),
                Class::UnknownCodec if attempt.can_change_codec => {
                    judgement.keep_all(attempt, Next::ChangeCodec);
                }
                Class::Retryable => judgement.keep_or_lose(attempt, next, Loss::Rejected),
                _ => judgement.keep_or_lose(attempt, None, Loss::Rejected),
            }
            if !matches!(answer.status, 200..=299) {
                judgement.error = status_text(answer);
            }
        }
        Outcome::Oversized { status } => {
            judgement.status = *status;
            judgement.host_failed = *status >= 500;
            judgement.answer_unknown = matches!(status, 200..=299);
            judgement.error = format!(
                "the answer (HTTP {status}) is over its bound of {} bytes",
                answer::max_bytes(attempt.uuids.len())
            );
            judgement.keep_or_lose(attempt, None, Loss::MalformedAnswer);
        }
        Outcome::Transport { message, maybe_sent } => {
            judgement.host_failed = true;
            judgement.answer_unknown = *maybe_sent;
            judgement.error.clone_from(message);
            judgement.keep_or_lose(attempt, retry_wait(None), Loss::Transport);
        }
    }
    judgement
}

impl Judgement {
    fn keep_all(&mut self, attempt: &Attempt<'_>, next: Next) {
        self.fates = vec![Fate::Pending; attempt.uuids.len()];
        self.next = next;
    }

    fn keep_or_lose(&mut self, attempt: &Attempt<'_>, next: Option<Next>, loss: Loss) {
        match next {
            Some(next) => self.keep_all(attempt, next),
            None => self.fates = vec![Fate::Lost(loss, Word::ABSENT); attempt.uuids.len()],
        }
    }

    fn read_verdicts(&mut self, body: &[u8], attempt: &Attempt<'_>, next: Option<Next>) {
        let words = match answer::verdicts(body, attempt.uuids) {
            Ok(words) => words,
            // A broken success must not loop: it is final.
            Err(reason) => {
                self.error = reason;
                self.answer_unknown = true;
                return self.keep_or_lose(attempt, None, Loss::MalformedAnswer);
            }
        };
        let fate = |word: Word| match word.verdict {
            Verdict::Drop => Fate::Lost(Loss::Dropped, word),
            Verdict::Retry if next.is_some() => Fate::Pending,
            Verdict::Retry => Fate::Lost(Loss::RetryExhausted, word),
            _ => Fate::Delivered(word),
        };
        self.fates = words.into_iter().map(fate).collect();
        if self.fates.contains(&Fate::Pending) {
            self.next = next.unwrap_or(Next::Done);
        }
    }
}

fn status_text(answer: &Answer) -> String {
    let mut text = format!("HTTP {}", answer.status);
    if let (300..=399, Some(target)) = (answer.status, &answer.location) {
        text += &format!(": redirect to {target:?} not followed; set `host` to it if it is right");
    }
    if answer.status == 407 {
        text += ": the proxy wants a name and a password (proxy = http://name:password@host:port)";
    }
    let body = answer::error_text(&answer.body);
    if !body.is_empty() {
        text += &format!(": {body}");
    }
    answer::shortened(&answer::one_line(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
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

    fn answered(status: u16, body: &str, count: u128, used: u32) -> Judgement {
        let outcome = Outcome::Answer(Answer { status, body: body.into(), ..Answer::default() });
        let uuids = uuids(count);
        let attempt = Attempt { uuids: &uuids, used, can_change_codec: false, random: 0 };
        judge(&outcome, &attempt, &policy())
    }

    fn body(codes: &[&str]) -> String {
        let results: Vec<_> = uuids(codes.len() as u128)
            .iter()
            .zip(codes)
            .map(|(uuid, code)| format!(r#""{uuid}":{{"result":"{code}"}}"#))
            .collect();
        format!(r#"{{"results":{{{}}}}}"#, results.join(","))
    }

    #[test]
    fn drops_are_seen_in_their_attempt_and_only_retries_stay() {
        let judgement = answered(200, &body(&["ok", "drop", "retry", "warning", "limited"]), 6, 1);
        let kinds: String = judgement
            .fates
            .iter()
            .map(|fate| match fate {
                Fate::Delivered(_) => 'd',
                Fate::Lost(Loss::Dropped, _) => 'x',
                Fate::Lost(..) => '?',
                Fate::Pending => 'p',
            })
            .collect();
        assert_eq!(kinds, "dxpddd");
        assert_eq!(judgement.next, Next::Retry(Duration::from_millis(200)));
        assert!(!judgement.host_failed && !judgement.answer_unknown);
    }

    #[test]
    fn a_spent_budget_names_what_ended_each_event() {
        let judgement = answered(200, &body(&["retry", "drop"]), 2, 4);
        assert!(matches!(judgement.fates[0], Fate::Lost(Loss::RetryExhausted, _)));
        assert!(matches!(judgement.fates[1], Fate::Lost(Loss::Dropped, _)));
        assert_eq!(judgement.next, Next::Done);
        assert!(matches!(answered(503, "", 1, 4).fates[0], Fate::Lost(Loss::Rejected, _)));
        assert!(matches!(answered(503, "", 1, 3).next, Next::Retry(_)));
    }

    #[test]
    fn every_status_ends_in_its_row() {
        for status in 100..=599_u16 {
            let judgement = answered(status, "{}", 2, 1);
            assert_eq!(judgement.answer_unknown, matches!(status, 200..=299 | 502 | 504));
            let expected = match status {
                200..=299 => Loss::MalformedAnswer,
                408 | 500 | 502 | 503 | 504 => {
                    assert!(matches!(judgement.next, Next::Retry(_)), "{status}");
                    continue;
                }
                413 => {
                    assert_eq!(judgement.next, Next::Split);
                    assert!(matches!(answered(413, "", 1, 1).fates[0], Fate::Lost(Loss::Rejected, _)));
                    continue;
                }
                _ => Loss::Rejected,
            };
            assert!(matches!(judgement.fates[0], Fate::Lost(loss, _) if loss == expected), "{status}");
            assert_eq!(judgement.host_failed, status >= 500);
        }
    }

    #[test]
    fn another_codec_is_tried_only_while_there_is_one() {
        let outcome = Outcome::Answer(Answer { status: 415, ..Answer::default() });
        let uuids = uuids(1);
        for (can_change_codec, expected) in [(true, Next::ChangeCodec), (false, Next::Done)] {
            let attempt = Attempt { uuids: &uuids, used: 4, can_change_codec, random: 0 };
            assert_eq!(judge(&outcome, &attempt, &policy()).next, expected);
        }
    }

    #[test]
    fn a_redirect_names_its_target() {
        let outcome = Outcome::Answer(Answer {
            status: 302,
            location: Some("https://elsewhere/".into()),
            ..Answer::default()
        });
        let attempt = Attempt { uuids: &uuids(1), used: 1, can_change_codec: false, random: 0 };
        let judgement = judge(&outcome, &attempt, &policy());
        assert!(judgement.error.contains("https://elsewhere/"), "{}", judgement.error);
        assert_eq!(judgement.next, Next::Done);
    }

    #[test]
    fn transport_errors_count_as_attempts() {
        let outcome = Outcome::Transport { message: "refused".into(), maybe_sent: false };
        let uuids = uuids(1);
        let used = |used| {
            judge(&outcome, &Attempt { uuids: &uuids, used, can_change_codec: false, random: 0 }, &policy())
        };
        assert_eq!(used(2).next, Next::Retry(Duration::from_millis(400)));
        assert!(matches!(used(4).fates[0], Fate::Lost(Loss::Transport, _)));
        assert!(used(1).host_failed && !used(1).answer_unknown);
    }
}

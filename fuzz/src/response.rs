//! The response to an attempt: each event gets one disposition, the one that a JSON tree
//! of the same body says, and what is kept of the server's texts is bounded.

use std::time::Duration;

use phc::internals::{
    Attempt, AttemptDecision, AttemptResult, Backoff, Disposition, Failure, HostSign, RetryPolicy, Verdict,
    decide,
};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::json_model::{MAX_DEPTH, Members, depth, last, members, repaired, value};

const STATUSES: [u16; 18] =
    [200, 201, 204, 299, 301, 302, 400, 401, 404, 408, 413, 415, 429, 500, 502, 503, 504, 599];
/// From this byte on, the first byte is another result than a response.
const NO_RESPONSE: u8 = 252;
/// The bound of a kept text, in bytes, and the mark of a cut.
const KEPT: usize = 500;
const CUT: &str = "…";
/// The bound of an error's text, which also says what is probably wrong.
const MAX_ERROR: usize = 1200;
const RETRY_AFTER_MAX: u64 = 20;

/// Three bytes (result, events and `Retry-After`, attempt), then the body. Event n has the
/// uuid 00000000-0000-0000-0000-00000000000n.
pub fn run(data: &[u8]) {
    let [result, events, attempt, body @ ..] = data else { return };
    let uuids: Vec<_> = (1..=u128::from(events % 8 + 1)).map(Uuid::from_u128).collect();
    let retry_after = Some(u64::from(events >> 3)).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let status = STATUSES[usize::from(*result) % STATUSES.len()];
    let attempt = Attempt {
        uuids: &uuids,
        used: u32::from(attempt % 6 + 1),
        can_change_codec: attempt & 0x80 != 0,
        random: u16::from(*attempt) << 8,
        spooled: None,
    };
    let policy = RetryPolicy {
        max_retries: 3,
        backoff: Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(10),
            retry_after_max: Duration::from_secs(RETRY_AFTER_MAX),
        },
        retry_statuses: vec![408, 500, 502, 503, 504],
    };
    let result = if *result < NO_RESPONSE {
        let location = matches!(status, 301 | 302).then(|| String::from_utf8_lossy(body).into_owned());
        AttemptResult::Response { status, retry_after, location, body: body.to_vec() }
    } else {
        let message = "refused".to_owned();
        match result - NO_RESPONSE {
            0 => AttemptResult::Oversized { status },
            1 => AttemptResult::NoResponse { message, maybe_sent: attempt.can_change_codec },
            2 => AttemptResult::StaleConnection { message },
            _ => AttemptResult::LocalShortage { message },
        }
    };
    let decision = decide(&result, &attempt, &policy);
    check_decision(&decision, &attempt, &policy);
    check_texts(&decision);
    match result {
        AttemptResult::Response { .. } => {
            assert_eq!((decision.status, decision.retry_after), (status, retry_after));
            assert_eq!(decision.host == HostSign::Fails, status >= 500);
            if matches!(status, 200..=299) {
                check_success(&decision, &attempt, &policy, body);
            } else {
                assert!(!decision.error.is_empty() && decision.verdicts.is_empty());
                // An error of Capture v1 says what was stored: nothing.
                let (least, most) = (matches!(status, 502 | 504), matches!(status, 408 | 500..=599));
                assert!(least <= decision.response_unknown && decision.response_unknown <= most);
            }
        }
        AttemptResult::Oversized { .. } => {
            assert!(are_all(&decision, Disposition::Lost(Failure::MalformedResponse)));
            assert_eq!(decision.response_unknown, matches!(status, 200..=299));
        }
        AttemptResult::NoResponse { maybe_sent, .. } => {
            let lost = Disposition::Lost(Failure::Transport);
            let retried = attempt.used <= policy.max_retries;
            assert!(are_all(&decision, if retried { Disposition::Retry } else { lost }));
            assert_eq!((decision.status, decision.host), (0, HostSign::Fails));
            assert_eq!(decision.response_unknown, maybe_sent);
        }
        AttemptResult::StaleConnection { .. } => {
            let lost = Disposition::Lost(Failure::Transport);
            let retried = attempt.used <= policy.max_retries;
            assert!(are_all(&decision, if retried { Disposition::Retry } else { lost }));
            assert_eq!((decision.status, decision.host), (0, HostSign::None));
            assert!(decision.response_unknown && !decision.unsent);
        }
        AttemptResult::LocalShortage { .. } => {
            assert!(are_all(&decision, Disposition::Retry));
            assert_eq!((decision.status, decision.host), (0, HostSign::None));
            assert!(decision.unsent && !decision.response_unknown);
        }
    }
}

fn are_all(decision: &AttemptDecision, expected: Disposition) -> bool {
    decision.dispositions.iter().all(|disposition| *disposition == expected)
}

/// What holds for every decision.
fn check_decision(decision: &AttemptDecision, attempt: &Attempt<'_>, policy: &RetryPolicy) {
    let AttemptDecision { dispositions, verdicts, wait, split, refund, status, .. } = decision;
    let events = attempt.uuids.len();
    assert_eq!(dispositions.len(), events);
    assert!(verdicts.is_empty() || verdicts.len() == events);
    let all_are_retried = are_all(decision, Disposition::Retry);
    if *split {
        assert!(*status == 413 && all_are_retried && events > 1 && wait.is_zero() && !refund);
    } else if *refund {
        assert!(*status == 415 && all_are_retried && attempt.can_change_codec && wait.is_zero());
    } else if decision.status == 0 && decision.host == HostSign::None {
        // Nothing was sent, or the next attempt goes on a new connection at once.
        assert!(wait.is_zero());
    } else if dispositions.contains(&Disposition::Retry) {
        assert!(attempt.used <= policy.max_retries);
        let asked = decision.retry_after.unwrap_or_default().min(policy.backoff.retry_after_max);
        let ours = policy.backoff.wait(attempt.used, attempt.random, None);
        assert!(ours <= policy.backoff.max);
        assert_eq!(*wait, ours.max(asked));
    }
}

/// What is kept of the server's texts is bounded, and the error is one line.
fn check_texts(decision: &AttemptDecision) {
    let is_bounded = |text: &str| text.len() <= KEPT + CUT.len();
    assert!(decision.error.len() <= MAX_ERROR + CUT.len(), "{}", decision.error.len());
    assert!(!decision.error.contains(char::is_control), "{:?}", decision.error);
    for verdict in decision.verdicts.iter().flatten() {
        assert!(is_bounded(&verdict.code) && verdict.details.as_deref().is_none_or(is_bounded));
    }
}

fn check_success(decision: &AttemptDecision, attempt: &Attempt<'_>, policy: &RetryPolicy, body: &[u8]) {
    // A success that cannot be read is final; one that can says nothing of the batch as a
    // whole.
    let is_read = decision.error.is_empty();
    assert_eq!((decision.verdicts.is_empty(), decision.response_unknown), (!is_read, !is_read));
    if !is_read {
        assert!(are_all(decision, Disposition::Lost(Failure::MalformedResponse)));
    }
    for (disposition, verdict) in decision.dispositions.iter().zip(&decision.verdicts) {
        let expected = match verdict.as_ref().map(|verdict| verdict.code.as_ref()) {
            Some("drop") => Disposition::Lost(Failure::Dropped),
            Some("retry") if attempt.used <= policy.max_retries => Disposition::Retry,
            Some("retry") => Disposition::Lost(Failure::RetryExhausted),
            _ => Disposition::Delivered,
        };
        assert_eq!(*disposition, expected, "{verdict:?}");
    }
    let verdicts: Vec<_> = decision.verdicts.iter().map(|verdict| verdict.as_deref().cloned()).collect();
    compare_with_tree(body, attempt.uuids, is_read.then_some(&verdicts));
}

fn compare_with_tree(body: &[u8], uuids: &[Uuid], verdicts: Option<&[Option<Verdict>]>) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let padding = body.iter().rev().take_while(|byte| **byte == 0 || byte.is_ascii_whitespace()).count();
    let (text, _) = repaired(&body[..body.len() - padding]);
    if verdicts.is_some() {
        let syntax: Result<&RawValue, _> = serde_json::from_str(&text);
        assert!(syntax.is_ok(), "read: {text}");
    }
    // A tree refuses numbers beyond a double and deep nesting, which a response may have.
    if value(&text).is_none_or(|value| depth(&value) > MAX_DEPTH) {
        return;
    }
    let top = members(&text).unwrap_or_default();
    // Of two members `results`, both are read.
    let objects =
        top.iter().filter(|(key, _)| key == "results").filter_map(|(_, value)| members(value.get()));
    let objects: Vec<Members> = objects.collect();
    if objects.is_empty() {
        return assert_eq!(verdicts, None, "{text}");
    }
    let mut expected = vec![None; uuids.len()];
    for (key, result) in objects.iter().flatten() {
        let uuid = Uuid::try_parse(key).ok();
        let position = uuid.and_then(|uuid| uuids.iter().position(|known| *known == uuid));
        let member = |key| {
            let text = last(&members(result.get())?, key).and_then(|value| value.get().parse::<Value>().ok());
            text?.as_str().map(kept)
        };
        if let (Some(position), Some(code)) = (position, member("result")) {
            let details = member("details").filter(|details| !details.is_empty());
            let is_plain = code == "ok" && details.is_none();
            expected[position] = (!is_plain).then(|| Verdict { code: code.into(), details });
        }
    }
    assert_eq!(verdicts, Some(&*expected), "{text}");
}

/// A text of the server as it is kept: cut at the bound, at a character.
fn kept(text: &str) -> String {
    let mut cut = KEPT;
    if text.len() <= cut {
        return text.to_owned();
    }
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{CUT}", &text[..cut])
}

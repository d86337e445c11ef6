//! Answers of a server: each event gets one fate, the one that a JSON tree of the
//! same body says; what is kept of the server's words is bounded.

use std::time::Duration;

use phc::protocol::answer;
use phc::protocol::backoff::Backoff;
use phc::protocol::judge::{Answer, Attempt, Fate, Loss, Next, Outcome, Policy, judge};
use phc::protocol::verdict::Verdict;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::{last, members, repaired, value};

const STATUSES: [u16; 18] =
    [200, 201, 204, 299, 301, 302, 400, 401, 404, 408, 413, 415, 429, 500, 502, 503, 504, 599];
/// The bound of a kept text, and what may stand before it and for its cut.
const KEPT: usize = 500 + 3;

/// Three bytes (status, events, attempt), then the body. Event n has the uuid
/// 00000000-0000-0000-0000-00000000000n.
pub fn run(data: &[u8]) {
    let [status, events, attempt, body @ ..] = data else { return };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let uuids: Vec<_> = (1..=u128::from(events % 8 + 1)).map(Uuid::from_u128).collect();
    let attempt = Attempt {
        uuids: &uuids,
        used: u32::from(attempt % 6 + 1),
        can_change_codec: attempt & 0x80 != 0,
        random: u16::from(*attempt) << 8,
    };
    let policy = Policy {
        max_retries: 3,
        backoff: Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(30),
        },
        retry_statuses: vec![408, 500, 502, 503, 504],
    };
    let location = matches!(status, 301 | 302).then(|| String::from_utf8_lossy(body).into_owned());
    let answer = Answer { status, retry_after: None, location, body: body.to_vec() };
    let judgement = judge(&Outcome::Answer(answer), &attempt, &policy);

    assert_eq!(judgement.status, status);
    assert_eq!(judgement.fates.len(), uuids.len());
    let pending = judgement.fates.iter().filter(|fate| **fate == Fate::Pending).count();
    assert_eq!(pending > 0, judgement.next != Next::Done);
    match judgement.next {
        Next::Done => {}
        Next::Retry(wait) => {
            assert!(attempt.used <= policy.max_retries && wait <= policy.backoff.max);
        }
        Next::Split => assert!(status == 413 && pending == uuids.len() && pending > 1),
        Next::ChangeCodec => assert!(status == 415 && pending == uuids.len() && attempt.can_change_codec),
    }
    assert!(judgement.error.len() <= KEPT, "{}", judgement.error.len());
    assert!(answer::error_text(body).len() <= KEPT);
    for fate in &judgement.fates {
        let (Fate::Delivered(word) | Fate::Lost(_, word)) = fate else { continue };
        let Some(remark) = &word.remark else { continue };
        assert!(remark.code.len() <= KEPT && remark.details.as_ref().is_none_or(|text| text.len() <= KEPT));
    }
    if !(200..=299).contains(&status) {
        assert!(!judgement.error.is_empty());
        return;
    }
    // A broken success is final; a good one says nothing of the batch as a whole.
    let read = answer::verdicts(body, &uuids);
    assert_eq!(read.is_ok(), judgement.error.is_empty());
    match &read {
        Err(reason) => {
            assert!(!reason.is_empty() && pending == 0);
            assert!(judgement.fates.iter().all(|fate| matches!(fate, Fate::Lost(Loss::MalformedAnswer, _))));
        }
        Ok(words) => {
            for (fate, word) in judgement.fates.iter().zip(words) {
                let agrees = match word.verdict {
                    Verdict::Drop => matches!(fate, Fate::Lost(Loss::Dropped, _)),
                    Verdict::Retry if attempt.used <= policy.max_retries => *fate == Fate::Pending,
                    Verdict::Retry => matches!(fate, Fate::Lost(Loss::RetryExhausted, _)),
                    _ => matches!(fate, Fate::Delivered(_)),
                };
                assert!(agrees, "{fate:?} for {word:?}");
            }
        }
    }
    let read = read.ok().map(|words| words.into_iter().map(|word| word.verdict).collect::<Vec<_>>());
    agrees_with_a_tree(body, &uuids, read);
}

fn agrees_with_a_tree(body: &[u8], uuids: &[Uuid], read: Option<Vec<Verdict>>) {
    let (text, _) = repaired(body);
    if read.is_some() {
        let syntax: Result<&RawValue, _> = serde_json::from_str(&text);
        assert!(syntax.is_ok(), "read: {text}");
    }
    // A tree refuses numbers beyond a double and deep nesting, which are no
    // fault in what is only read.
    if value(&text).is_none_or(|value| crate::model::depth(&value) > 100) {
        return;
    }
    let results = members(&text).and_then(|top| {
        // Twice the key is read twice; a tree would know only the last.
        let once = top.iter().filter(|(key, _)| key == "results").count() < 2;
        once.then(|| last(&top, "results").and_then(|results| members(results.get())))
    });
    let Some(results) = results else { return };
    let Some(results) = results else {
        assert_eq!(read, None, "{text}");
        return;
    };
    let mut expected = vec![Verdict::Absent; uuids.len()];
    for (key, word) in results {
        let code = value(word.get()).and_then(|word| Some(word.get("result")?.as_str()?.to_owned()));
        let at = Uuid::try_parse(&key).ok().and_then(|uuid| uuids.iter().position(|known| *known == uuid));
        if let (Some(code), Some(at)) = (code, at) {
            expected[at] = match code.as_str() {
                "ok" => Verdict::Ok,
                "warning" => Verdict::Warning,
                "drop" => Verdict::Drop,
                "retry" => Verdict::Retry,
                _ => Verdict::Other,
            };
        }
    }
    assert_eq!(read, Some(expected), "{text}");
}

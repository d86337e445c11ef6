//! The `Retry-After` header: delta seconds and dates, of any text.

use std::time::{Duration, SystemTime};

use phc::internals::{Backoff, parse_retry_after as parse};

/// The last second that an HTTP date can name.
const LAST: u64 = 253_402_300_799;

/// The header's text, then perhaps a line with that of `Date`. The first eight
/// bytes are also taken for an instant.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (value, date) = match text.split_once('\n') {
        Some((value, date)) => (value, Some(date)),
        None => (text.as_ref(), None),
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let wait = parse(value, date, now);

    let trimmed = value.trim();
    let digits = !trimmed.is_empty() && trimmed.chars().all(|c| c.is_ascii_digit());
    let as_date = httpdate::parse_http_date(trimmed).ok();
    let expected = match (digits, as_date) {
        (true, _) => Some(Duration::from_secs(trimmed.parse().unwrap_or(u64::MAX))),
        (false, None) => None,
        (false, Some(until)) => {
            let from = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
            Some(until.duration_since(from).unwrap_or(Duration::ZERO))
        }
    };
    assert_eq!(wait, expected, "{value:?}, {date:?}");

    let bounds = Backoff {
        initial: Duration::from_millis(200),
        max: Duration::from_secs(30),
        retry_after_max: Duration::from_secs(20),
    };
    let first = data.first().copied().unwrap_or(0);
    let (retry, random) = (u32::from(first) + 1, u16::from(first) << 8);
    let plain = bounds.wait(retry, random, None);
    let asked = bounds.wait(retry, random, wait);
    assert!(plain <= bounds.max && asked == plain.max(wait.unwrap_or_default().min(bounds.retry_after_max)));

    // A date that was written is read back to the second.
    if let Some(bytes) = data.first_chunk() {
        let at = Duration::from_secs(u64::from_le_bytes(*bytes) % (LAST + 1));
        let until = SystemTime::UNIX_EPOCH + at;
        let text = httpdate::fmt_http_date(until);
        assert_eq!(parse(&text, None, SystemTime::UNIX_EPOCH), Some(at), "{text}");
        assert_eq!(parse(&text, Some(&text), now), Some(Duration::ZERO), "{text}");
    }
}

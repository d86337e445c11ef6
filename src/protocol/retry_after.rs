//! The `Retry-After` header in both its forms (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

/// Returns how long the header asks to wait: delta seconds, or the time until an
/// HTTP date. A date is compared with the response's own `Date` header if it has one,
/// so that a wrong clock on this machine does not matter. A value that is neither
/// form is ignored.
pub fn parse(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean a long wait, which the caller clamps.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let from = date.and_then(|text| httpdate::parse_http_date(text.trim()).ok()).unwrap_or(now);
    Some(until.duration_since(from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = |value, date| parse(value, date, now).map(|wait| wait.as_secs());
        let table = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("١", None),
        ];
        for (value, expected) in table {
            assert_eq!(seconds(value, None), expected, "{value:?}");
        }
        let date = Some("Sun, 06 Nov 1994 08:49:42 GMT");
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:47 GMT", date), Some(5));
    }
}

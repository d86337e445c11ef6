//! Instants of filters and properties.
//!
//! The server reads text without an offset in the time zone of the project, which is not known here, and many more
//! forms than are read here. So there is a third result beside "this instant" and "no instant": unknown.

use crate::event::timestamp::{Timestamp, civil_from_days, days_from_civil, days_in_month};

/// Nanoseconds since the Unix epoch. The server compares nanoseconds.
pub(crate) type Nanoseconds = i128;

const NS_PER_MS: i128 = 1_000_000;
const NS_PER_SECOND: i128 = 1_000_000_000;
const NS_PER_HOUR: i128 = 3600 * NS_PER_SECOND;
const NS_PER_DAY: i128 = 24 * NS_PER_HOUR;
/// The last second that the server can represent, roughly: 262,000 years.
const LAST_SECOND: f64 = 8.2e12;
/// A relative date with this number or a larger one is not accepted.
const TOO_FAR: u32 = 10_000;

/// What a text or a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    At(Nanoseconds),
    /// So many units before now. Only filters have it in practice; the server reads it from properties, too.
    Before(u32, Unit),
    Never,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Moment {
    /// From the text of a filter.
    pub(super) fn of_filter(text: &str) -> Self {
        if let Some(moment) = relative(text) {
            return moment;
        }
        // What the server reads has digits.
        if !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return Moment::Never;
        }
        if text.trim() != text {
            return Moment::Unknown;
        }
        match Timestamp::parse(text) {
            Some(instant) => Moment::At(i128::from(instant.unix_ms()) * NS_PER_MS + beyond_ms(text)),
            None => Moment::Unknown,
        }
    }

    /// From the text of a property, which may be a number of seconds.
    pub(super) fn of_property(text: &str) -> Self {
        match text.parse() {
            Ok(seconds) => Self::of_seconds(seconds),
            Err(_) => Self::of_filter(text),
        }
    }

    /// From seconds since the Unix epoch.
    #[allow(clippy::cast_possible_truncation, reason = "checked")]
    pub(super) fn of_seconds(seconds: f64) -> Self {
        if !(-LAST_SECOND..=LAST_SECOND).contains(&seconds) {
            // NaN is the second 0 to the server, and what is beyond its calendar is not an instant.
            return if seconds.is_nan() { Moment::At(0) } else { Moment::Never };
        }
        // The part behind the point of a negative number is lost there.
        let part = ((seconds % 1.0) * 1e9).round().max(0.0);
        if part >= 1e9 {
            return Moment::Unknown;
        }
        Moment::At(seconds.floor() as i128 * NS_PER_SECOND + part as i128)
    }

    /// The instant, now being `now`.
    pub(super) fn resolve(self, now: Nanoseconds) -> Option<Nanoseconds> {
        let Moment::Before(number, unit) = self else {
            return if let Moment::At(instant) = self { Some(instant) } else { None };
        };
        let count = i128::from(number);
        match unit {
            Unit::Hour => Some(now - count * NS_PER_HOUR),
            Unit::Day => Some(now - count * NS_PER_DAY),
            Unit::Week => Some(now - count * 7 * NS_PER_DAY),
            Unit::Month => {
                back(now, number, |year, month| if month == 1 { (year - 1, 12) } else { (year, month - 1) })
            }
            Unit::Year => back(now, number, |year, month| (year - 1, month)),
        }
    }
}

/// `-7d`, `3m`: always into the past.
fn relative(text: &str) -> Option<Moment> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "h" => Unit::Hour,
        "d" => Unit::Day,
        "w" => Unit::Week,
        "m" => Unit::Month,
        "y" => Unit::Year,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number that is too large is no other form of a date, either.
    let number = digits.parse().ok().filter(|number| *number < TOO_FAR);
    Some(number.map_or(Moment::Never, |number| Moment::Before(number, unit)))
}

/// Goes back step by step; at each step the day is limited to the month that is reached, so that a 31st stays a 28th
/// once it has passed a February.
fn back(now: Nanoseconds, steps: u32, step: impl Fn(i64, i64) -> (i64, i64)) -> Option<Nanoseconds> {
    let (days, rest) = (now.div_euclid(NS_PER_DAY), now.rem_euclid(NS_PER_DAY));
    let (mut year, mut month, mut day) = civil_from_days(i64::try_from(days).ok()?);
    for _ in 0..steps {
        (year, month) = step(year, month);
        day = day.min(days_in_month(year, month));
    }
    Some(i128::from(days_from_civil(year, month, day)) * NS_PER_DAY + rest)
}

/// The nanoseconds that the digits from the fourth on behind the point of an RFC 3339 text stand for.
fn beyond_ms(text: &str) -> i128 {
    let Some((_, fraction)) = text.split_once('.') else { return 0 };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).chain(std::iter::repeat(b'0'));
    digits.skip(3).take(6).fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> Nanoseconds {
        let Moment::At(instant) = Moment::of_filter(text) else { panic!("{text}") };
        instant
    }

    #[test]
    fn relative_dates_go_back_a_step_at_a_time() {
        let now = ns("2024-03-31T12:00:00.000000007Z");
        for (text, expected) in [
            ("-1h", "2024-03-31T11:00:00.000000007Z"),
            ("1d", "2024-03-30T12:00:00.000000007Z"),
            ("-2w", "2024-03-17T12:00:00.000000007Z"),
            ("-1m", "2024-02-29T12:00:00.000000007Z"),
            ("-2m", "2024-01-29T12:00:00.000000007Z"),
            ("-13m", "2023-02-28T12:00:00.000000007Z"),
            ("0y", "2024-03-31T12:00:00.000000007Z"),
            ("-0001y", "2023-03-31T12:00:00.000000007Z"),
        ] {
            assert_eq!(Moment::of_filter(text).resolve(now), Some(ns(expected)), "{text}");
        }
        let leap = ns("2024-02-29T00:00:00Z");
        assert_eq!(Moment::of_filter("-1y").resolve(leap), Some(ns("2023-02-28T00:00:00Z")));
        assert_eq!(Moment::of_filter("-4y").resolve(leap), Some(ns("2020-02-28T00:00:00Z")));
    }

    #[test]
    fn what_the_server_might_read_is_unknown_and_what_it_cannot_is_never() {
        for (text, expected) in [
            ("10000d", Moment::Never),
            ("99999999999999999999y", Moment::Never),
            ("yesterday", Moment::Never),
            ("", Moment::Never),
            ("d", Moment::Never),
            ("2024-06-01", Moment::Unknown),
            ("2024-06-01T00:00:00", Moment::Unknown),
            (" 2024-06-01T00:00:00Z", Moment::Unknown),
            ("June 1, 2024", Moment::Unknown),
            ("1é", Moment::Unknown),
        ] {
            assert_eq!(Moment::of_filter(text), expected, "{text:?}");
        }
        assert_eq!(Moment::of_property("1700000000.5"), Moment::At(1_700_000_000_500_000_000));
        assert_eq!(Moment::of_property("-1.5"), Moment::At(-2_000_000_000));
        assert_eq!(Moment::of_property("inf"), Moment::Never);
        assert_eq!(Moment::of_property("1e300"), Moment::Never);
        assert_eq!(Moment::of_filter("1700000000"), Moment::Unknown);
    }
}

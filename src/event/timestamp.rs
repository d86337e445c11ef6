//! Instants as the wire wants them: RFC 3339, UTC, three digits of milliseconds, `Z`. Reads RFC 3339 with
//! any offset.

use crate::runtime::unix_ms;
use crate::status::{Error, Status};

/// The length of the text of one instant: `2026-11-23T21:20:05.123Z`.
pub(crate) const LENGTH: usize = 24;

/// Milliseconds since the Unix epoch, for years 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(i64);

const MS_PER_DAY: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z
const MIN: i64 = -719_528 * MS_PER_DAY;
/// 9999-12-31T23:59:59.999Z
const MAX: i64 = 2_932_897 * MS_PER_DAY - 1;

impl Timestamp {
    /// The instant; `None` when its year does not have four digits.
    pub(crate) fn from_unix_ms(ms: i64) -> Option<Self> {
        (MIN..=MAX).contains(&ms).then_some(Timestamp(ms))
    }

    /// The time of the system clock, limited to the years that can be written.
    pub(crate) fn now() -> Self {
        Timestamp(unix_ms().min(MAX))
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads `date "T" time [fraction] offset` (RFC 3339, section 5.6; `t`, `z` and a space instead of `T`
    /// are accepted too). Digits beyond milliseconds are cut off. Second 60 is the first instant of the
    /// next minute, as in POSIX.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut input = Reader(text.trim().as_bytes());
        let year = input.number(4)?;
        input.one_of(b"-")?;
        let month = input.number(2)?;
        input.one_of(b"-")?;
        let day = input.number(2)?;
        input.one_of(b"Tt ")?;
        let hour = input.number(2)?;
        input.one_of(b":")?;
        let minute = input.number(2)?;
        input.one_of(b":")?;
        let second = input.number(2)?;
        let ms = input.fraction()?;
        let offset_minutes = input.offset()?;
        if !input.0.is_empty()
            || !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
        Self::from_unix_ms(days_from_civil(year, month, day) * MS_PER_DAY + seconds * 1000 + ms)
    }

    /// The text of the instant.
    pub(crate) fn format(self) -> [u8; LENGTH] {
        let (days, ms) = (self.0.div_euclid(MS_PER_DAY), self.0.rem_euclid(MS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, ms / 3_600_000),
            (14, 2, ms / 60_000 % 60),
            (17, 2, ms / 1000 % 60),
            (20, 3, ms % 1000),
        ];
        for (start, width, value) in fields {
            let mut rest = value;
            for digit in text.iter_mut().skip(start).take(width).rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        text
    }
}

/// The instant that a text names, or an error that says what is expected.
pub(super) fn parse_timestamp(text: &str) -> Result<Timestamp, Error> {
    Timestamp::parse(text).ok_or_else(|| not_an_instant(text))
}

/// The error for a text, or its beginning, that names no instant.
#[cold]
pub(super) fn not_an_instant(text: &str) -> Error {
    let message = format_args!(
        "the timestamp {text:?} is not RFC 3339 with an offset (2026-01-31T12:00:00Z) in a year of four digits"
    );
    Error::new(Status::INVALID_TIMESTAMP, message)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year; 400 of them are
/// 146,097 days.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leap_free = day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096;
    let year_of_era = leap_free / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn one_of(&mut self, expected: &[u8]) -> Option<u8> {
        self.byte().filter(|byte| expected.contains(byte))
    }

    fn digit(&mut self) -> Option<i64> {
        self.byte().filter(u8::is_ascii_digit).map(|byte| i64::from(byte - b'0'))
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    fn fraction(&mut self) -> Option<i64> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.byte();
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).filter(|_| count > 0)?;
        self.0 = rest;
        let padded = digits.iter().copied().chain(*b"000").take(3);
        Some(padded.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0')))
    }

    /// Minutes east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.byte()? {
            b'Z' | b'z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2).filter(|hours| *hours <= 23)?;
        self.one_of(b":")?;
        let minutes = self.number(2).filter(|minutes| *minutes <= 59)?;
        Some(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        Timestamp::parse(text).map(|t| String::from_utf8(t.format().to_vec()).unwrap())
    }

    #[test]
    fn converts_to_the_same_instant_in_utc() {
        let table = [
            ("2026-11-23T21:20:05.123Z", "2026-11-23T21:20:05.123Z"),
            ("2026-11-23t21:20:05z", "2026-11-23T21:20:05.000Z"),
            ("2026-11-23 21:20:05+00:00", "2026-11-23T21:20:05.000Z"),
            ("2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00.000Z"),
            ("2023-02-28T23:30:00.5-01:00", "2023-03-01T00:30:00.500Z"),
            ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
            ("2026-01-01T05:45:00.123456789+05:45", "2026-01-01T00:00:00.123Z"),
        ];
        for (given, expected) in table {
            assert_eq!(utc(given).as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_instant() {
        for text in [
            "",
            "now",
            "2026-11-23",
            "2026-11-23T21:20:05",
            "2026-11-23T21:20Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00Zx",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "+2026-01-01T00:00:00Z",
            "1700000000",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn days_of_the_range_survive_the_round_trip() {
        // Steps of eleven days meet every day of a month in every leap cycle.
        let mut days = 0;
        for day in (MIN / MS_PER_DAY..=MAX / MS_PER_DAY).step_by(11) {
            let instant = Timestamp(day * MS_PER_DAY);
            let text = instant.format();
            assert_eq!(Timestamp::parse(std::str::from_utf8(&text).unwrap()), Some(instant));
            days += 1;
        }
        assert_eq!(days, 3_652_425_usize.div_ceil(11));
        assert_eq!(Timestamp::from_unix_ms(MAX + 1), None);
        assert_eq!(Timestamp::from_unix_ms(MIN - 1), None);
    }
}

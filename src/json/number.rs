//! Numbers as JSON text: their grammar, and how they are written.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "exact within the bounds that are checked"
)]
#![allow(clippy::inline_always, reason = "part of the cursor's loop")]

use std::io::Write;

/// Appends a whole number.
#[inline]
pub(crate) fn write_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_unsigned(out, value.unsigned_abs());
}

/// Appends a whole number that is not negative.
#[inline]
pub(crate) fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    write_digits(out, value, 1);
}

/// Appends a number with at least this many digits.
fn write_digits(out: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut written = 0;
    for digit in digits.iter_mut().rev() {
        if number == 0 && written >= least {
            break;
        }
        *digit += (number % 10) as u8;
        number /= 10;
        written += 1;
    }
    out.extend_from_slice(digits.get(digits.len() - written..).unwrap_or_default());
}

/// Appends a finite number with as few digits as read back to the same double;
/// a whole one ends in `.0`.
pub(crate) fn write_double(out: &mut Vec<u8>, value: f64) {
    if !write_short_double(out, value) {
        // Writing into memory does not fail.
        let _ = write!(out, "{value:?}");
    }
}

/// Appends a double that is a decimal of few digits, as most are, and returns whether it was one. This is
/// much cheaper than a search for the shortest decimal. If n / 10^k gives the double back, then n and k
/// are that decimal: below 2^53 n is exact, so the quotient is the double nearest to the decimal, and no
/// other decimal of up to 15 digits has the same one.
fn write_short_double(out: &mut Vec<u8>, value: f64) -> bool {
    let size = value.abs();
    for (places, scale) in [(1, 10_u32), (2, 100), (3, 1000), (4, 10_000)] {
        let scaled = size * f64::from(scale);
        if scaled >= 1e15 {
            return false;
        }
        let number = (scaled + 0.5) as u64;
        if number as f64 / f64::from(scale) == size {
            if value.is_sign_negative() {
                out.push(b'-');
            }
            let scale = u64::from(scale);
            write_digits(out, number / scale, 1);
            out.push(b'.');
            write_digits(out, number % scale, places);
            return true;
        }
    }
    false
}

/// A number of fewer bytes cannot leave a double's range, unless it has an exponent.
const ALWAYS_IN_RANGE: usize = 300;

/// The rest of the text behind a number of the common form: digits that do not begin with zero, perhaps
/// a point and more digits, no exponent. `None` for any other text, number or not.
#[inline(always)]
pub(super) fn skip_common_number(number: &[u8]) -> Option<&[u8]> {
    let whole = match number.split_first() {
        Some((b'1'..=b'9', digits)) => skip_digits(digits),
        _ => return None,
    };
    let rest = match whole.split_first() {
        Some((b'.', fraction @ [b'0'..=b'9', ..])) => skip_digits(fraction),
        Some((b'.', _)) => return None,
        _ => whole,
    };
    let in_range = number.len() - rest.len() < ALWAYS_IN_RANGE;
    (in_range && !matches!(rest.first(), Some(b'e' | b'E'))).then_some(rest)
}

/// What stands behind a part of a number; or the text from the offending byte on, and what is wrong with
/// that byte.
pub(super) type Skipped<'a, T = &'a [u8]> = Result<T, (&'a [u8], &'static str)>;

/// The rest of the text behind any number, and whether the number may be beyond a double's range.
pub(super) fn skip_number(number: &[u8]) -> Skipped<'_, (&[u8], bool)> {
    let whole = number.strip_prefix(b"-").unwrap_or(number);
    let mut rest = skip_digits(whole);
    let digits = whole.len() - rest.len();
    if digits == 0 || (digits > 1 && whole.first() == Some(&b'0')) {
        return Err((number, "this is not a JSON number"));
    }
    let mut may_overflow = digits > ALWAYS_IN_RANGE;
    if let Some((b'.', fraction)) = rest.split_first() {
        rest = skip_some_digits(fraction, "a digit is expected after the decimal point")?;
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let unsigned = match exponent.split_first() {
            Some((b'+' | b'-', unsigned)) => unsigned,
            _ => exponent,
        };
        rest = skip_some_digits(unsigned, "a digit is expected in the exponent")?;
        may_overflow = true;
    }
    Ok((rest, may_overflow))
}

#[inline]
fn skip_digits(mut rest: &[u8]) -> &[u8] {
    while let Some((b'0'..=b'9', behind)) = rest.split_first() {
        rest = behind;
    }
    rest
}

fn skip_some_digits<'a>(digits: &'a [u8], missing: &'static str) -> Skipped<'a> {
    let rest = skip_digits(digits);
    if rest.len() == digits.len() { Err((digits, missing)) } else { Ok(rest) }
}

/// The number's value as a double; infinite when it is beyond a double's range.
pub(crate) fn as_double(number: &[u8]) -> Option<f64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn numbers_are_written_as_rust_writes_them() {
        let mut out = Vec::new();
        let mut check = |value: f64| {
            out.clear();
            write_double(&mut out, value);
            assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{value:?}"));
        };
        let bounds = [
            1e15,
            1e16,
            1e-4,
            1e-5,
            0.0001,
            99_999_999_999_999.9,
            999_999_999_999_999.9,
            9_007_199_254_740_993.0,
        ];
        for value in
            bounds.into_iter().chain([0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 0.3, 1.0 / 3.0])
        {
            for value in [value, value.next_up(), value.next_down(), value / 10.0, value * 10.0] {
                for value in [value, -value] {
                    if value.is_finite() {
                        check(value);
                    }
                }
            }
        }
        let mut random = Random::new(1);
        for _ in 0..200_000 {
            let number = random.next() >> random.below(64);
            check(number as f64);
            for scale in [10.0, 100.0, 1000.0, 1e4, 1e5] {
                let near = number as f64 / scale;
                check(near);
                check(near.next_up());
                check(-near.next_down());
            }
            let any = f64::from_bits(random.next());
            if any.is_finite() {
                check(any);
            }
            for number in
                [number.cast_signed(), number.wrapping_neg().cast_signed(), i64::MIN, i64::MAX, 0, -1]
            {
                let mut out = Vec::new();
                write_integer(&mut out, number);
                assert_eq!(out, number.to_string().as_bytes());
            }
        }
    }
}

//! Numbers as JSON text.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "exact within the bounds that are checked"
)]

use std::io::Write;

/// Appends a whole number.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_digits(out, value.unsigned_abs(), 1);
}

/// Appends a number with at least so many digits.
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
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if !write_short_double(out, value) {
        // Writing into memory does not fail.
        let _ = write!(out, "{value:?}");
    }
}

/// Appends a double that is a decimal of few digits, as most are: much cheaper
/// than to look for the shortest one. If n / 10^k is the double again, then n
/// and k are it: below 2^53 n is exact, so the quotient is the double next to
/// that decimal, and no other decimal of up to 15 digits has the same one.
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

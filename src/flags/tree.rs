//! JSON as a tree: definitions while they are compiled, and the values of properties.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json::{Cursor, Sound, SyntaxError, read_checked, repair, unescape, write_string};

/// One value. A number is its text.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Reads a JSON text and passes its tree on. The reader of `json/` bounds its depth.
pub(crate) fn read<T>(text: &[u8], then: impl FnOnce(&Value<'_>) -> T) -> Result<T, SyntaxError> {
    let sound = checked(text)?;
    let mut cursor = Cursor::new(&sound.text);
    match value(&mut cursor, 0) {
        Some((tree, _)) => Ok(then(&tree)),
        None => Err(cursor.error()),
    }
}

/// The same for text that is read and not sent on: a number beyond a double's range is accepted.
pub(crate) fn read_lenient<T>(text: &[u8], then: impl FnOnce(&Value<'_>) -> T) -> Result<T, SyntaxError> {
    let text = repair(text);
    let mut cursor = Cursor::lenient(text.as_bytes());
    if cursor.value(0, 0).and_then(|end| cursor.end(end)).is_none() {
        return Err(cursor.error());
    }
    let mut cursor = Cursor::lenient(text.as_bytes());
    match value(&mut cursor, 0) {
        Some((tree, _)) => Ok(then(&tree)),
        None => Err(cursor.error()),
    }
}

#[inline(never)]
fn checked(text: &[u8]) -> Result<Sound<'_>, SyntaxError> {
    read_checked(text, |cursor| cursor.value(0, 0))
}

/// The value that begins here, and where it ends. The text was checked before.
#[inline(never)]
fn value<'a>(cursor: &mut Cursor<'a>, at: usize) -> Option<(Value<'a>, usize)> {
    let (byte, at) = cursor.token(at);
    match byte {
        b'{' => object(cursor, at),
        b'[' => array(cursor, at),
        _ => {
            let end = cursor.value(at, 0)?;
            let value = match byte {
                b'"' => Value::Text(unescape(cursor.slice(&(at + 1..end - 1)))),
                b't' => Value::Bool(true),
                b'f' => Value::Bool(false),
                b'n' => Value::Null,
                _ => Value::Number(std::str::from_utf8(cursor.slice(&(at..end))).unwrap_or_default()),
            };
            Some((value, end))
        }
    }
}

fn object<'a>(cursor: &mut Cursor<'a>, at: usize) -> Option<(Value<'a>, usize)> {
    let mut members = Vec::new();
    let (mut more, mut at) = cursor.open_object(at, 0)?;
    while more {
        let (key, start) = cursor.key(at)?;
        let key = unescape(cursor.slice(&key.inside));
        let (member, end) = value(cursor, start)?;
        members.push((key, member));
        (more, at) = cursor.next_member(end)?;
    }
    Some((Value::Object(members), at))
}

fn array<'a>(cursor: &mut Cursor<'a>, at: usize) -> Option<(Value<'a>, usize)> {
    let mut elements = Vec::new();
    let (byte, mut at) = cursor.token(at + 1);
    if byte == b']' {
        return Some((Value::Array(elements), at + 1));
    }
    loop {
        let (element, end) = value(cursor, at)?;
        elements.push(element);
        let (byte, place) = cursor.token(end);
        at = place + 1;
        if byte != b',' {
            return Some((Value::Array(elements), at));
        }
    }
}

impl<'a> Value<'a> {
    /// The member of an object; of several with this key the last one. JSON's null is like an absent member.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.member(key).filter(|value| !matches!(value, Value::Null))
    }

    /// The same, with null as a value of its own.
    pub(super) fn member(&self, key: &str) -> Option<&Value<'a>> {
        let Value::Object(members) = self else { return None };
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    pub(super) fn as_array(&self) -> Option<&[Value<'a>]> {
        if let Value::Array(elements) = self { Some(elements) } else { None }
    }

    /// The number of a JSON number.
    pub(super) fn as_number(&self) -> Option<f64> {
        if let Value::Number(text) = self { text.parse().ok() } else { None }
    }

    /// A whole number, also one that is written with `.0`.
    #[allow(clippy::cast_possible_truncation, reason = "checked")]
    pub(super) fn as_whole(&self) -> Option<i64> {
        let Value::Number(text) = self else { return None };
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        })
    }

    /// The text that operators compare: a string as it is, everything else as serde_json writes it.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Text(text) => Cow::Borrowed(text),
            Value::Null => Cow::Borrowed("null"),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            other => {
                let mut out = String::new();
                other.write(&mut out);
                Cow::Owned(out)
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Number(number) => write_number(out, number),
            Value::Text(text) => {
                let mut quoted = Vec::new();
                write_string(&mut quoted, text);
                out.push_str(&String::from_utf8_lossy(&quoted));
            }
            Value::Array(elements) => {
                out.push('[');
                for (i, element) in elements.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    element.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (i, (key, at)) in sorted(members.iter().map(|(key, _)| key.as_ref())).enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    Value::Text(Cow::Borrowed(key)).write(out);
                    out.push(':');
                    if let Some((_, value)) = members.get(at) {
                        value.write(out);
                    }
                }
                out.push('}');
            }
            simple => out.push_str(&simple.text()),
        }
    }

    /// What the server takes for true: `true`, its text in any case, a list of only such.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Value::Bool(value) => *value,
            Value::Text(text) => text.to_lowercase() == "true",
            Value::Array(elements) => elements.iter().all(Value::is_truthy),
            _ => false,
        }
    }

    /// Whether the value is a truth value, its text in any case, or a list of only such.
    pub(super) fn is_boolean_like(&self) -> bool {
        match self {
            Value::Bool(_) => true,
            Value::Text(text) => matches!(text.to_lowercase().as_str(), "true" | "false"),
            Value::Array(elements) => elements.iter().all(Value::is_boolean_like),
            _ => false,
        }
    }
}

/// Writes a number as serde_json does: whole numbers of 64 bits by their digits, others by the shortest digits that
/// read back to the same double.
fn write_number(out: &mut String, text: &str) {
    let whole = !text.contains(['.', 'e', 'E']);
    if whole && text != "-0" {
        let fits =
            if text.starts_with('-') { text.parse::<i64>().is_ok() } else { text.parse::<u64>().is_ok() };
        if fits {
            return out.push_str(text);
        }
    }
    // Numbers beyond a double's range are in text that was read leniently only, and keep their text.
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => write_double(out, number),
        _ => out.push_str(text),
    }
}

fn write_double(out: &mut String, number: f64) {
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if number.is_sign_negative() {
        out.push('-');
    }
    // Where the decimal point is, counted from the first digit.
    let point = exponent + 1;
    round_tie_to_even(&mut digits, point, number);
    let count = i32::try_from(digits.len()).unwrap_or(0);
    match usize::try_from(point) {
        Ok(0) => _ = write!(out, "0.{digits}"),
        Ok(place) if point <= 16 && point >= count => {
            _ = write!(out, "{digits}{}.0", "0".repeat(place.saturating_sub(digits.len())));
        }
        Ok(place) if point <= 16 => {
            let (whole, fraction) = digits.split_at_checked(place).unwrap_or((&digits, "0"));
            _ = write!(out, "{whole}.{fraction}");
        }
        Err(_) if point > -5 => {
            let zeros = "0".repeat(point.unsigned_abs() as usize);
            _ = write!(out, "0.{zeros}{digits}");
        }
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            let dot = if rest.is_empty() { "" } else { "." };
            _ = write!(out, "{first}{dot}{rest}e{exponent:+}");
        }
    }
}

/// Rust rounds a number that is exactly between two decimals up, serde_json to the even one. Only long decimals can be:
/// those of 0.1, 0.01 and so on of large numbers, which are few bits behind the point.
fn round_tie_to_even(digits: &mut String, point: i32, number: f64) {
    let places = i32::try_from(digits.len()).unwrap_or(0) - point;
    let bits = number.to_bits();
    let fraction_bits = 1075 - i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    if digits.len() < 16 || !(1..=18).contains(&places) || !(1..=63).contains(&fraction_bits) {
        return;
    }
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    let scaled = mantissa * 10_u128.pow(places.unsigned_abs());
    if scaled & ((1 << fraction_bits) - 1) == 1 << (fraction_bits - 1) {
        let below = scaled >> fraction_bits;
        *digits = (below + (below & 1)).to_string();
    }
}

/// Keys in their order, each with its position; of those that are equal, the last.
pub(super) fn sorted<'k>(keys: impl Iterator<Item = &'k str>) -> impl Iterator<Item = (&'k str, usize)> {
    let mut sorted: Vec<_> = keys.enumerate().map(|(at, key)| (key, at)).collect();
    sorted.sort_unstable();
    sorted.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            *earlier = *later;
        }
        same
    });
    sorted.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_value_has_the_text_that_serde_json_writes() {
        let mut random = Random::new(3);
        let check = |text: &str| {
            let tree: serde_json::Value = serde_json::from_str(text).unwrap();
            // serde_json's default reader of floats is not exact, so what it wrote is read again.
            let text = tree.to_string();
            let expected = match tree {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            assert_eq!(read(text.as_bytes(), |value| value.text().into_owned()).unwrap(), expected, "{text}");
        };
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1.0",
            "1e5",
            "1e15",
            "1e16",
            "1e17",
            "1e20",
            "12345678901234567890",
            "123456789012345678901",
            "0.1",
            "0.001",
            "0.0001",
            "0.00001",
            "0.000001",
            "1.5e-7",
            "5e-324",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "1.7976931348623157e308",
            "null",
            "true",
            r#""a\u00e9""#,
            r#"{"b":1,"a":[1.0,2,{}],"b":"\n"}"#,
            "[]",
            "[null,[true]]",
        ] {
            check(text);
        }
        for _ in 0..20_000 {
            let double = f64::from_bits(random.next());
            if double.is_finite() {
                check(&format!("{double:e}"));
            }
            check(&format!("{}e{}", random.next() >> random.below(64), random.below(40).cast_signed() - 30));
        }
    }
}

//! Uuids that follow from the input, so that an event has the same one whenever its line is read: the server counts it
//! once.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::{Builder, Uuid};

/// What is looked at of a line. Of two members of one name the last counts, as for libphc.
#[derive(Default)]
struct Line<'a> {
    is_event: bool,
    /// As it is written: serde_json does not read all text that libphc repairs.
    uuid: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(line: D) -> Result<Self, D::Error> {
        line.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Line<'de>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("an event as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line<'de>, A::Error> {
        let mut line = Line::default();
        while let Some(name) = members.next_key::<String>()? {
            if name == "uuid" {
                line.uuid = Some(members.next_value()?);
            } else {
                line.is_event |= name == "event";
                let _: IgnoredAny = members.next_value()?;
            }
        }
        Ok(line)
    }
}

/// The uuid of a line, and the line with it. A uuid that the line has itself stays; a line that is not an event stays as
/// it is, without one: libphc says what is wrong with it.
pub(super) fn with_uuid(number: u64, line: &[u8]) -> (Option<Uuid>, Option<Vec<u8>>) {
    // As libphc repairs it.
    let text = String::from_utf8_lossy(line);
    let Ok(Line { is_event: true, uuid }) = serde_json::from_str(&text) else { return (None, None) };
    let own: Option<String> = uuid.and_then(|value| serde_json::from_str(value.get()).ok());
    // Any spelling, as libphc reads it.
    let own = own.and_then(|text| text.trim().parse().ok());
    if own.is_some() {
        return (own, None);
    }
    let Some(inside) = line.strip_suffix(b"}") else { return (None, None) };
    let uuid = uuid_of(number, line);
    let member = format!(",\"uuid\":\"{uuid}\"}}");
    (Some(uuid), Some([inside, member.as_bytes()].concat()))
}

/// A uuid of version 8 (RFC 9562) from the number of a line and its bytes: the same event may well be in a file twice.
fn uuid_of(number: u64, line: &[u8]) -> Uuid {
    let mut digest = Context::new(&SHA256);
    for part in [&b"phc-cli import 1\0"[..], &number.to_le_bytes(), line] {
        digest.update(part);
    }
    let digest = digest.finish();
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    Builder::from_custom_bytes(first).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: u64, line: &str) -> (Option<Uuid>, Option<String>) {
        let (uuid, line) = with_uuid(number, line.as_bytes());
        (uuid, line.map(|line| String::from_utf8(line).unwrap()))
    }

    #[test]
    fn a_line_has_the_same_uuid_whenever_it_is_read() {
        let line = r#"{"event":"a","distinct_id":"x"}"#;
        let (uuid, with) = of(7, line);
        let uuid = uuid.unwrap();
        // What it is may never change: an import that was begun with another version goes on with it.
        assert_eq!(uuid.to_string(), "cd4b0dea-553d-8b8f-9359-7809bf6a59e7");
        assert_eq!(with.unwrap(), format!(r#"{{"event":"a","distinct_id":"x","uuid":"{uuid}"}}"#));
        assert_ne!(of(8, line).0, Some(uuid));
        assert_ne!(of(7, r#"{"event":"b","distinct_id":"x"}"#).0, Some(uuid));
    }

    #[test]
    fn a_uuid_of_its_own_stays_and_what_is_none_is_replaced() {
        let own = "01980000-0000-7000-8000-00000000abcd";
        for text in [own, "0198000000007000800000000000ABCD", " {01980000-0000-7000-8000-00000000abcd} "] {
            let line = format!(r#"{{"uuid":"{text}","event":"a"}}"#);
            assert_eq!(of(1, &line), (own.parse().ok(), None), "{text}");
        }
        for text in ["null", "12", "\"\"", "\"x\"", "[]"] {
            let line = format!(r#"{{"event":"a","uuid":{text}}}"#);
            let (uuid, with) = of(1, &line);
            let ending = format!(",\"uuid\":\"{}\"}}", uuid.unwrap());
            assert!(with.unwrap().ends_with(&ending), "{text}");
        }
        // Of two the last counts.
        let line = format!(r#"{{"uuid":null,"event":"a","event":"b","uuid":"{own}"}}"#);
        assert_eq!(of(1, &line), (own.parse().ok(), None));
        let (uuid, with) = of(1, &format!(r#"{{"uuid":"{own}","event":"a","uuid":7}}"#));
        assert!(with.unwrap().ends_with(&format!(",\"uuid\":7,\"uuid\":\"{}\"}}", uuid.unwrap())));
    }

    #[test]
    fn what_is_not_an_event_stays_as_it_is() {
        for line in
            ["", "{}", "[]", "{\"distinct_id\":\"x\"}", "{\"event\":\"a\"", "{\"event\":\"a\"} x", "1"]
        {
            assert_eq!(of(1, line), (None, None), "{line}");
        }
    }

    #[test]
    fn text_that_libphc_repairs_is_no_obstacle() {
        for line in [
            &b"{\"event\":\"a\xFF\"}"[..],
            b"{\"event\":\"a\",\"uuid\":\"a\xFF\"}",
            b"{\"event\":\"a\",\"uuid\":\"01980000-0000-7000-8000-00000000abcd\xC3\"}",
            b"{\"event\":\"a\",\"uuid\":[\"\xFF\"]}",
            br#"{"event":"a","uuid":"\ud800"}"#,
            br#"{"event":"a","uuid":"\udc00\ud800x"}"#,
            br#"{"uuid":{"a":"\ud800"},"event":"\ud800"}"#,
        ] {
            let shown = line.escape_ascii();
            let (Some(uuid), Some(with)) = with_uuid(1, line) else { panic!("{shown}") };
            assert_eq!(uuid, uuid_of(1, line), "{shown}");
            // The bytes stay as they are.
            let inside = line.strip_suffix(b"}").unwrap();
            assert_eq!(with, [inside, format!(",\"uuid\":\"{uuid}\"}}").as_bytes()].concat(), "{shown}");
        }
        let own = "01980000-0000-7000-8000-00000000abcd";
        for line in [
            format!(r#"{{"event":"\ud800","uuid":"{own}"}}"#).into_bytes(),
            format!(r#"{{"event":"a","uuid":"\u0030{}"}}"#, &own[1..]).into_bytes(),
            [b"{\"event\":\"\xFF\",\"uuid\":\"", own.as_bytes(), b"\"}"].concat(),
        ] {
            assert_eq!(with_uuid(1, &line), (own.parse().ok(), None), "{}", line.escape_ascii());
        }
    }
}

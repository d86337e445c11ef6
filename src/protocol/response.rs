//! Reads the body of a response: the verdicts by uuid, or the text of an error.

use std::borrow::Cow;
use std::collections::HashMap;

use uuid::Uuid;

use super::verdict::Verdict;
use crate::event::uuid::{UUID_TEXT, parse_canonical, parse_uuid, write_uuid};
use crate::json::{Cursor, repair, unescape};

/// Longest text of the server that is kept, in bytes.
const KEPT_TEXT: usize = 500;

/// The largest acceptable body of a response to a batch of `events`, in bytes.
pub(crate) const fn max_bytes(events: usize) -> usize {
    64 * 1024 + events * 1024
}

/// What the server said about one event, `None` if it stored the event and said no
/// more about it, or did not mention it.
type EventVerdict = Option<Box<Verdict>>;

/// Returns the verdicts of a 2xx body in the order of `uuids`. The error says why the
/// body does not have the shape `{"results": {…}}`.
///
/// Results are matched by the uuid's value, not by its spelling. An unexpected key
/// or value is skipped and does not spoil the others; of two results for one event
/// the last one counts.
pub(crate) fn verdicts(body: &[u8], uuids: &[Uuid]) -> Result<Vec<EventVerdict>, String> {
    let mut verdicts = vec![None; uuids.len()];
    let text = text_of(body);
    let mut cursor = Cursor::lenient(text.as_bytes());
    let mut index = Index::new(uuids);
    let mut found = false;
    let mut read = |cursor: &mut Cursor<'_>| {
        let (mut more, mut at) = cursor.open_object(0, 0)?;
        while more {
            let (key, start) = cursor.key(at)?;
            let is_results = unescape(cursor.slice(&key.inside)) == "results";
            let end = if is_results && cursor.token(start).0 == b'{' {
                found = true;
                read_results(cursor, start, &mut index, &mut verdicts)?
            } else {
                cursor.value(start, 1)?
            };
            (more, at) = cursor.next_member(end)?;
        }
        cursor.end(at)
    };
    match read(&mut cursor) {
        Some(()) if found => Ok(verdicts),
        Some(()) => Err("the response has no object `results`".to_owned()),
        None => Err(format!("the response is not a JSON object with verdicts: {}", cursor.error())),
    }
}

/// The text of a body, repaired: without a byte order mark before it, and without the
/// NUL bytes and white space behind it that some servers add.
pub(super) fn text_of(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let end = body.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
    repair(body.get(..end).unwrap_or_default())
}

/// The result of nearly every event, as every server writes it.
const STORED: &str = r#"{"result":"ok"}"#;
/// Its length with the uuid before it.
const STORED_MEMBER: usize = r#""":"#.len() + UUID_TEXT + STORED.len();

/// Reads the object that begins at `start`; returns where it ends.
fn read_results(
    cursor: &mut Cursor<'_>,
    start: usize,
    index: &mut Index<'_>,
    verdicts: &mut [EventVerdict],
) -> Option<usize> {
    let (mut more, mut at) = cursor.open_object(start, 1)?;
    while more {
        // Fast path: compare with the exact bytes of `"<uuid>":{"result":"ok"}` of
        // the next event instead of parsing.
        if let Some(end) = index.next_stored().and_then(|stored| cursor.skip(at, &stored)) {
            if let Some(slot) = verdicts.get_mut(index.take_next()) {
                *slot = None;
            }
            (more, at) = cursor.next_member(end)?;
            continue;
        }
        let (uuid, verdict, end) = if let Some((uuid, end)) = stored_in_any_order(cursor, at) {
            (Some(uuid), Some(None), end)
        } else {
            let (key, start) = cursor.key(at)?;
            let (verdict, end) = read_result(cursor, start)?;
            (parse_uuid(unescape(cursor.slice(&key.inside)).as_bytes()), verdict, end)
        };
        let position = uuid.and_then(|uuid| index.find(uuid));
        if let (Some(verdict), Some(slot)) = (verdict, position.and_then(|i| verdicts.get_mut(i))) {
            *slot = verdict;
        }
        (more, at) = cursor.next_member(end)?;
    }
    Some(at)
}

/// The same comparison for an event at any place in the batch; returns its uuid and
/// where the member ends.
fn stored_in_any_order(cursor: &Cursor<'_>, at: usize) -> Option<(Uuid, usize)> {
    let inside = cursor.skip(at, b"\"")?;
    let after_key = cursor.skip(inside + UUID_TEXT, b"\":")?;
    let end = cursor.skip(after_key, STORED.as_bytes())?;
    let key = cursor.slice(&(inside..inside + UUID_TEXT)).first_chunk()?;
    Some((parse_canonical(key)?, end))
}

/// Reads `{"result": "…", "details": "…"}` at `start`. Returns what the server said of
/// the event (nothing, if the value is not such an object) and where the value ends.
fn read_result(cursor: &mut Cursor<'_>, start: usize) -> Option<(Option<EventVerdict>, usize)> {
    if cursor.token(start).0 != b'{' {
        return Some((None, cursor.value(start, 2)?));
    }
    let text = cursor.text();
    let (mut result, mut details) = (None, None);
    let end = cursor.members(start, 2, |member| {
        let key = unescape(text.get(member.key.inside).unwrap_or_default());
        let value = string_content(text.get(member.value));
        match key.as_ref() {
            "result" => result = value,
            "details" => details = value,
            _ => {}
        }
    })?;
    let Some(code) = result.map(unescape) else { return Some((None, end)) };
    let details = details.map(|raw| shortened(&unescape(raw))).filter(|details| !details.is_empty());
    let is_plain = code == "ok" && details.is_none();
    let verdict = (!is_plain).then(|| Box::new(Verdict::new(&shortened(&code), details)));
    Some((Some(verdict), end))
}

/// What is between the quotes of a string; nothing for another value.
fn string_content(value: Option<&[u8]>) -> Option<&[u8]> {
    value?.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Finds an event of the batch by its uuid. Servers list the results in the order
/// of the batch, so the next event is tried first; at the first one that is out of
/// order, all uuids are entered into a map.
struct Index<'a> {
    uuids: &'a [Uuid],
    next: usize,
    positions: HashMap<Uuid, usize>,
}

impl<'a> Index<'a> {
    fn new(uuids: &'a [Uuid]) -> Self {
        Index { uuids, next: 0, positions: HashMap::new() }
    }

    /// The member that says that the next event was stored; `None` once the response
    /// has shown another order.
    fn next_stored(&self) -> Option<[u8; STORED_MEMBER]> {
        let uuid = self.uuids.get(self.next).filter(|_| self.positions.is_empty())?;
        let mut member = [b'"'; STORED_MEMBER];
        let mut text = [0; UUID_TEXT];
        write_uuid(*uuid, &mut text);
        member[1..=UUID_TEXT].copy_from_slice(&text);
        member[UUID_TEXT + 2] = b':';
        member[UUID_TEXT + 3..].copy_from_slice(STORED.as_bytes());
        Some(member)
    }

    fn take_next(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn find(&mut self, uuid: Uuid) -> Option<usize> {
        if self.uuids.get(self.next) == Some(&uuid) {
            return Some(self.take_next());
        }
        if self.positions.is_empty() {
            self.positions = self.uuids.iter().copied().zip(0..).collect();
        }
        let position = *self.positions.get(&uuid)?;
        self.next = position + 1;
        Some(position)
    }
}

/// The text of an error response, empty unless it is JSON with such members:
/// `error: error_description (error_uri)`.
pub(super) fn error_members(body: &[u8]) -> String {
    let text = text_of(body);
    let mut cursor = Cursor::lenient(text.as_bytes());
    let mut parts: [Option<String>; 3] = [None, None, None];
    let end = cursor.members(0, 0, |member| {
        let part = |range| text.as_bytes().get(range);
        let slot = match part(member.key.inside).unwrap_or_default() {
            b"error" => parts.get_mut(0),
            b"error_description" => parts.get_mut(1),
            b"error_uri" => parts.get_mut(2),
            _ => None,
        };
        if let (Some(slot), Some(content)) = (slot, string_content(part(member.value))) {
            *slot = Some(unescape(content).into_owned());
        }
    });
    let [error, description, uri] = parts;
    let words: Vec<String> = error.into_iter().chain(description).collect();
    if end.is_none() || words.is_empty() {
        return String::new();
    }
    let uri = uri.map(|uri| format!(" ({uri})")).unwrap_or_default();
    shortened(&format!("{}{uri}", words.join(": ")))
}

/// Replaces runs of white space and control characters by one space: this text ends
/// up in the host's log, where a server must not be able to begin a line.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Cuts the text at a character boundary, to about [`KEPT_TEXT`] bytes.
pub(crate) fn shortened(text: &str) -> String {
    shortened_to(text, KEPT_TEXT)
}

/// Cuts the text at a character boundary, to about this many bytes.
pub(super) fn shortened_to(text: &str, bytes: usize) -> String {
    match text.char_indices().map(|(at, _)| at).take_while(|at| *at <= bytes).last() {
        Some(cut) if text.len() > bytes => format!("{}…", text.get(..cut).unwrap_or_default()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn uuids(count: u128) -> Vec<Uuid> {
        (1..=count).map(Uuid::from_u128).collect()
    }

    /// The codes of the verdicts; `-` where the event is stored without comment.
    fn codes(verdicts: &[EventVerdict]) -> Vec<&str> {
        verdicts.iter().map(|verdict| verdict.as_ref().map_or("-", |verdict| &verdict.code)).collect()
    }

    fn read(body: &str, count: u128) -> Result<Vec<EventVerdict>, String> {
        verdicts(body.as_bytes(), &uuids(count))
    }

    #[test]
    fn reads_each_verdict() {
        let u = uuids(6);
        let body = format!(
            r#"{{"results":{{"{}":{{"result":"ok"}},"{}":{{"details":"d\u0021","result":"warning"}},
               "{}":{{"result":"drop"}},"{}":{{"result":"retry"}},"{}":{{"result":"limited","x":1}}}},"more":[1]}}"#,
            u[0], u[1], u[2], u[3], u[4]
        );
        let read = verdicts(body.as_bytes(), &u).unwrap();
        assert_eq!(codes(&read), ["-", "warning", "drop", "retry", "limited", "-"]);
        assert_eq!(read[1].as_ref().unwrap().details.as_deref(), Some("d!"));
    }

    #[test]
    fn details_of_an_ok_are_kept() {
        let u = uuids(5);
        let result = |i: usize, rest: &str| format!(r#""{}":{{"result":"ok"{rest}}}"#, u[i]);
        let body = [
            result(0, r#","details":"person_processing_disabled""#),
            result(1, ""),
            result(2, r#","details":"""#),
            result(3, r#","details":{"code":3}"#),
            format!(r#""{}":{{"details":"first", "result":"ok"}}"#, u[4]),
        ];
        let body = format!(r#"{{"results":{{{}}}}}"#, body.join(","));
        let read = verdicts(body.as_bytes(), &u).unwrap();
        assert_eq!(codes(&read), ["ok", "-", "-", "-", "ok"]);
        let details = |i: usize| read[i].as_ref().unwrap().details.as_deref();
        assert_eq!((details(0), details(4)), (Some("person_processing_disabled"), Some("first")));
    }

    #[test]
    fn a_byte_order_mark_before_a_body_and_padding_behind_it_are_accepted() {
        let u = uuids(1);
        let body = format!(r#"{{"results":{{"{}":{{"result":"drop"}}}}}}"#, u[0]);
        for (before, behind) in [("\u{feff}", ""), ("", "\0"), ("", " \r\n\0\0\t"), ("\u{feff} \n", "\n\0")] {
            let padded = format!("{before}{body}{behind}");
            assert_eq!(codes(&verdicts(padded.as_bytes(), &u).unwrap()), ["drop"], "{padded:?}");
        }
        for (before, behind) in [("\0", ""), ("\u{feff}\u{feff}", ""), ("", "\0x"), ("", "\u{feff}")] {
            assert!(
                verdicts(format!("{before}{body}{behind}").as_bytes(), &u).is_err(),
                "{before:?} {behind:?}"
            );
        }
    }

    #[test]
    fn matches_by_value_in_any_order_and_spelling() {
        let u = uuids(3);
        let body = format!(
            r#"{{"results":{{"{}":{{"result":"drop"}},"{}":{{"result":"retry"}},"nonsense":{{"result":"drop"}}}}}}"#,
            u[2].simple().to_string().to_uppercase(),
            u[0].urn()
        );
        assert_eq!(codes(&read(&body, 3).unwrap()), ["retry", "-", "drop"]);
    }

    #[test]
    fn the_last_result_of_an_event_counts_whether_compared_or_parsed() {
        let u = uuids(9);
        for seed in 0..20_000 {
            let mut random = Random::new(seed);
            // The server may mention events that are not in the batch.
            let events = usize::try_from(random.below(4)).unwrap() + 6;
            let (in_order, space) = (random.percent(50), random.one_of(&["", "", " "]));
            let mut expected = vec!["-"; u.len()];
            let members: Vec<_> = (0..random.below(12))
                .map(|i| {
                    let at = usize::try_from(if in_order { i.min(8) } else { random.below(9) }).unwrap();
                    let code = random.one_of(&["ok", "ok", "ok", "ok", "drop", "retry", "okay", ""]);
                    expected[at] = if code == "ok" { "-" } else { code };
                    let uuid = u[at].to_string();
                    let uuid = if random.percent(10) { uuid.to_uppercase() } else { uuid };
                    format!("{space}\"{uuid}\"{space}:{space}{{\"result\":\"{code}\"}}")
                })
                .collect();
            let body = format!("{{\"results\":{{{}}}}}", members.join(","));
            let read = verdicts(body.as_bytes(), &u[..events]).unwrap();
            assert_eq!(codes(&read), expected[..events], "{body}");
        }
    }

    #[test]
    fn unexpected_values_do_not_spoil_the_others() {
        let u = uuids(2);
        for value in
            ["7", "null", "[]", "{}", r#"{"result":7}"#, r#"{"result":null}"#, "\"\\ud800\"", "1e999"]
        {
            let body = format!(r#"{{"results":{{"{}":{value},"{}":{{"result":"drop"}}}}}}"#, u[0], u[1]);
            assert_eq!(codes(&read(&body, 2).unwrap()), ["-", "drop"], "{value}");
        }
    }

    #[test]
    fn rejects_every_other_shape() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "ok",
            r#"{"results":null}"#,
            r#"{"results":[]}"#,
            r#"{"results":{}"#,
            r#"{"results":{}}x"#,
            "\u{0}",
        ] {
            assert!(read(body, 1).is_err(), "{body}");
        }
        assert_eq!(read(r#"{"results":{}}"#, 1).unwrap(), [None]);
    }

    #[test]
    fn a_server_cannot_begin_a_line_in_the_log() {
        assert_eq!(one_line(" a\n\tb\r\n\u{1b}[31mERROR\u{2028}c\u{0}"), "a b [31mERROR c");
    }

    #[test]
    fn errors_of_capture_v1_are_read_as_far_as_they_go() {
        let table = [
            (
                r#"{"error":"bad","error_description":"no batch","error_uri":"https://x"}"#,
                "bad: no batch (https://x)",
            ),
            ("\u{feff}{\"error\":\"bad\"}\n\0", "bad"),
            (r#"{"detail":"x"}"#, ""),
            (r#"{"error":"bad""#, ""),
            ("<html>", ""),
            ("", ""),
        ];
        for (body, expected) in table {
            assert_eq!(error_members(body.as_bytes()), expected);
        }
        let long = format!(r#"{{"error":"{}"}}"#, "é".repeat(1000));
        assert!((KEPT_TEXT..=KEPT_TEXT + 3).contains(&error_members(long.as_bytes()).len()));
    }
}

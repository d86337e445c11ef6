//! Reading the body of an answer: verdicts by uuid, or the text of an error.

use std::collections::HashMap;

use uuid::Uuid;

use super::verdict::{Remark, Verdict, Word};
use crate::event::uuid::{UUID_TEXT, parse_uuid, write_uuid};
use crate::json::{Cursor, repair, unescape};

/// No text of the server is kept beyond this many bytes.
const KEPT_TEXT: usize = 500;

/// The bound of an answer to a batch of `events`: larger ones are not read on.
pub const fn max_bytes(events: usize) -> usize {
    64 * 1024 + events * 1024
}

/// The verdicts of a 2xx body, in the order of `uuids`. An error says why the
/// body is not of the shape `{"results": {…}}`.
///
/// Results are matched by the uuid's value, not by its spelling; an odd key or
/// value is passed over and spoils no other.
pub fn verdicts(body: &[u8], uuids: &[Uuid]) -> Result<Vec<Word>, String> {
    let mut words = vec![Word::ABSENT; uuids.len()];
    let text = repair(body);
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
                read_results(cursor, start, &mut index, &mut words)?
            } else {
                cursor.value(start, 1)?
            };
            (more, at) = cursor.next_member(end)?;
        }
        cursor.end(at)
    };
    match read(&mut cursor) {
        Some(()) if found => Ok(words),
        Some(()) => Err("the answer has no object `results`".to_owned()),
        None => Err(format!("the answer is not the JSON object it should be: {}", cursor.error())),
    }
}

/// What is said of nearly every event, as every server writes it.
const STORED: &str = r#"{"result":"ok"}"#;
/// Its length with the uuid before it.
const STORED_MEMBER: usize = r#""":"#.len() + UUID_TEXT + STORED.len();

fn read_results(
    cursor: &mut Cursor<'_>,
    start: usize,
    index: &mut Index<'_>,
    words: &mut [Word],
) -> Option<usize> {
    let (mut more, mut at) = cursor.open_object(start, 1)?;
    while more {
        // That the next event of the batch was stored is not parsed, but compared.
        if let Some(end) = index.next_stored().and_then(|stored| cursor.skip(at, &stored)) {
            if let Some(slot) = words.get_mut(index.take_next()) {
                *slot = Word::STORED;
            }
            (more, at) = cursor.next_member(end)?;
            continue;
        }
        let (uuid, word, end) = if let Some((uuid, end)) = stored_in_any_order(cursor, at) {
            (Some(uuid), Some(Word::STORED), end)
        } else {
            let (key, start) = cursor.key(at)?;
            let (word, end) = read_word(cursor, start)?;
            (parse_uuid(unescape(cursor.slice(&key.inside)).as_bytes()), word, end)
        };
        let position = uuid.and_then(|uuid| index.find(uuid));
        if let (Some(word), Some(slot)) = (word, position.and_then(|i| words.get_mut(i))) {
            *slot = word;
        }
        (more, at) = cursor.next_member(end)?;
    }
    Some(at)
}

/// The same comparison for an event of any place in the batch; returns its uuid and where the member ends.
/// What passes as a uuid has no byte that would have to be escaped.
fn stored_in_any_order(cursor: &Cursor<'_>, at: usize) -> Option<(Uuid, usize)> {
    let inside = cursor.skip(at, b"\"")?;
    let behind_key = cursor.skip(inside + UUID_TEXT, b"\":")?;
    let end = cursor.skip(behind_key, STORED.as_bytes())?;
    Some((parse_uuid(cursor.slice(&(inside..inside + UUID_TEXT)))?, end))
}

/// Reads `{"result": "…", "details": "…"}`; returns the word, if it is such an object, and where it ends.
fn read_word(cursor: &mut Cursor<'_>, start: usize) -> Option<(Option<Word>, usize)> {
    if cursor.token(start).0 != b'{' {
        return Some((None, cursor.value(start, 2)?));
    }
    let text = cursor.text();
    let (mut result, mut details) = (None, None);
    let end = cursor.members(start, 2, |member| {
        let key = unescape(text.get(member.key.inside).unwrap_or_default());
        let value = text.get(member.value).unwrap_or_default();
        let string = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        match key.as_ref() {
            "result" => result = string,
            "details" => details = string,
            _ => {}
        }
    })?;
    let word = result.map(unescape).map(|result| {
        let verdict = Verdict::from_code(&result);
        let details = details.map(|raw| shortened(&unescape(raw)));
        let remark = || Box::new(Remark { code: shortened(&result), details });
        Word { verdict, remark: (verdict != Verdict::Ok).then(remark) }
    });
    Some((word, end))
}

/// Finds an event of the batch by its uuid. Servers answer in the order of the
/// batch, so the next one is tried first; where they do not, on the first miss all
/// are entered into a map.
struct Index<'a> {
    uuids: &'a [Uuid],
    next: usize,
    positions: HashMap<Uuid, usize>,
}

impl<'a> Index<'a> {
    fn new(uuids: &'a [Uuid]) -> Self {
        Index { uuids, next: 0, positions: HashMap::new() }
    }

    /// The member that says that the next event was stored; none once the answer
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

/// The text of an error answer: `error: error_description (error_uri)` where it
/// is JSON, else the start of the text.
pub fn error_text(body: &[u8]) -> String {
    let text = repair(body);
    let mut cursor = Cursor::lenient(text.as_bytes());
    let mut parts: [Option<String>; 3] = [None, None, None];
    let end = cursor.members(0, 0, |member| {
        let part = |range| text.as_bytes().get(range).unwrap_or_default();
        let string = part(member.value).strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let slot = match part(member.key.inside) {
            b"error" => parts.get_mut(0),
            b"error_description" => parts.get_mut(1),
            b"error_uri" => parts.get_mut(2),
            _ => None,
        };
        if let (Some(slot), Some(string)) = (slot, string) {
            *slot = Some(unescape(string).into_owned());
        }
    });
    let [error, description, uri] = parts;
    let words: Vec<String> = error.into_iter().chain(description).collect();
    if end.is_none() || words.is_empty() {
        return shortened(text.trim());
    }
    let uri = uri.map(|uri| format!(" ({uri})")).unwrap_or_default();
    shortened(&format!("{}{uri}", words.join(": ")))
}

/// White space and control characters are one space each: these words end up in
/// the host's log, where a server must not begin a line of its own.
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// At most [`KEPT_TEXT`] bytes, cut at a character.
pub fn shortened(text: &str) -> String {
    match text.char_indices().map(|(at, _)| at).take_while(|at| *at <= KEPT_TEXT).last() {
        Some(cut) if text.len() > KEPT_TEXT => format!("{}…", text.get(..cut).unwrap_or_default()),
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

    fn read(body: &str, count: u128) -> Result<Vec<Verdict>, String> {
        verdicts(body.as_bytes(), &uuids(count)).map(|words| words.iter().map(|w| w.verdict).collect())
    }

    #[test]
    fn reads_each_verdict() {
        let u = uuids(6);
        let body = format!(
            r#"{{"results":{{"{}":{{"result":"ok"}},"{}":{{"details":"d\u0021","result":"warning"}},
               "{}":{{"result":"drop"}},"{}":{{"result":"retry"}},"{}":{{"result":"limited","x":1}}}},"more":[1]}}"#,
            u[0], u[1], u[2], u[3], u[4]
        );
        let words = verdicts(body.as_bytes(), &u).unwrap();
        let seen: Vec<_> = words.iter().map(|w| w.verdict).collect();
        use Verdict::*;
        assert_eq!(seen, [Ok, Warning, Drop, Retry, Other, Absent]);
        assert_eq!(words[1].remark.as_ref().unwrap().details.as_deref(), Some("d!"));
        assert_eq!(words[4].remark.as_ref().unwrap().code, "limited");
    }

    #[test]
    fn matches_by_value_in_any_order_and_spelling() {
        let u = uuids(3);
        let body = format!(
            r#"{{"results":{{"{}":{{"result":"drop"}},"{}":{{"result":"retry"}},"nonsense":{{"result":"drop"}}}}}}"#,
            u[2].simple().to_string().to_uppercase(),
            u[0].urn()
        );
        assert_eq!(read(&body, 3).unwrap(), [Verdict::Retry, Verdict::Absent, Verdict::Drop]);
    }

    #[test]
    fn each_event_has_the_last_word_of_it_whether_compared_or_parsed() {
        let u = uuids(9);
        for seed in 0..20_000 {
            let mut random = Random::new(seed);
            // The server may speak of events that are not in the batch.
            let events = usize::try_from(random.below(4)).unwrap() + 6;
            let (in_order, space) = (random.percent(50), random.one_of(&["", "", " "]));
            let mut expected = vec![Verdict::Absent; u.len()];
            let members: Vec<_> = (0..random.below(12))
                .map(|i| {
                    let at = usize::try_from(if in_order { i.min(8) } else { random.below(9) }).unwrap();
                    let word = random.one_of(&["ok", "ok", "ok", "ok", "drop", "retry", "okay", ""]);
                    expected[at] = Verdict::from_code(word);
                    let uuid = u[at].to_string();
                    let uuid = if random.percent(10) { uuid.to_uppercase() } else { uuid };
                    format!("{space}\"{uuid}\"{space}:{space}{{\"result\":\"{word}\"}}")
                })
                .collect();
            let body = format!("{{\"results\":{{{}}}}}", members.join(","));
            let words = verdicts(body.as_bytes(), &u[..events]).unwrap();
            let words: Vec<_> = words.iter().map(|word| word.verdict).collect();
            assert_eq!(words, expected[..events], "{body}");
        }
    }

    #[test]
    fn odd_values_spoil_no_other() {
        let u = uuids(2);
        for odd in ["7", "null", "[]", "{}", r#"{"result":7}"#, r#"{"result":null}"#, "\"\\ud800\"", "1e999"]
        {
            let body = format!(r#"{{"results":{{"{}":{odd},"{}":{{"result":"drop"}}}}}}"#, u[0], u[1]);
            assert_eq!(read(&body, 2).unwrap(), [Verdict::Absent, Verdict::Drop], "{odd}");
        }
    }

    #[test]
    fn refuses_every_other_shape() {
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
        assert_eq!(read(r#"{"results":{}}"#, 1).unwrap(), [Verdict::Absent]);
    }

    #[test]
    fn a_server_begins_no_line_in_the_log() {
        assert_eq!(one_line(" a\n\tb\r\n\u{1b}[31mERROR\u{2028}c\u{0}"), "a b [31mERROR c");
    }

    #[test]
    fn error_bodies_are_read_as_far_as_they_go() {
        let table = [
            (
                r#"{"error":"bad","error_description":"no batch","error_uri":"https://x"}"#,
                "bad: no batch (https://x)",
            ),
            (r#"{"error":"bad"}"#, "bad"),
            (r#"{"detail":"x"}"#, r#"{"detail":"x"}"#),
            (" <html> ", "<html>"),
            ("", ""),
        ];
        for (body, expected) in table {
            assert_eq!(error_text(body.as_bytes()), expected);
        }
        let long = "é".repeat(1000);
        assert!(error_text(long.as_bytes()).len() <= KEPT_TEXT + 3);
    }
}

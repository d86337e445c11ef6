//! The two ways through a text against each other: where the walk from quote to
//! quote says yes, it says what the scanner says. Where it says no, nobody may see
//! that it was asked.

use super::additions::Additions;
use super::properties::Properties;
use super::quick::Quick;
use super::scan::Scanner;
use super::timestamp::Timestamp;
use super::*;
use crate::random::Random;
use crate::status::Error;

const KEYS: [&str; 24] = [
    "a",
    "b",
    "",
    "é\u{1F600}",
    "plan",
    "a key that is longer than a block of sixteen, and than one of sixty-four bytes too",
    "{",
    "],:",
    "lib",
    "$",
    "$other",
    "$librarian",
    "$lib",
    "$lib_version",
    "$cookieless_mode",
    "$ignore_sent_at",
    "$process_person_profile",
    "$product_tour_id",
    "$session_id",
    "$window_id",
    "$set",
    "$set_once",
    "$groups",
    "$session_id ",
];
const SCALARS: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-7",
    "0.0",
    "10.50",
    "12345678901234567890",
    "1e5",
    "-2.5E-3",
    "\"\"",
    "\"text\"",
    "\" TRUE \"",
    "\"false\"",
    "\"0\"",
    "\"yes\"",
    "\"}\"",
    "\"],[\"",
    "\",\"",
    "\":{\"",
    "\"é\u{1F600} text beyond ASCII\"",
    "\"a value that is longer than a block of sixteen, and than one of sixty-four bytes too\"",
    "\"0190a5b4-7c3d-7abc-8def-0123456789ab\"",
    "\"2026-01-31T12:00:00.5+01:00\"",
];
/// What the walk leaves to the scanner, and what neither takes.
const ODD: [&str; 12] = [
    "\"\\u0041\"",
    "\"\\\"\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\n1",
    "1\t",
    "1e999",
    "01",
    "1.",
    "tru",
    "\"\u{1}\"",
    "[1,]",
];

/// Texts by seed; in so many of a thousand places stands something odd.
struct Maker {
    random: Random,
    odd: u64,
}

impl Maker {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let odd = random.one_of(&[0, 0, 20]);
        Maker { random, odd }
    }

    fn space(&mut self) -> &'static str {
        self.random.one_of(&["", "", "", "", " ", "  "])
    }

    fn value(&mut self, depth: u32) -> String {
        if self.random.below(1000) < self.odd {
            return self.random.one_of(&ODD).to_owned();
        }
        match self.random.below(if depth == 0 { 8 } else { 10 }) {
            8 => {
                let items: Vec<_> = (0..self.random.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}{}{}]", self.space(), items.join(&format!("{},", self.space())), self.space())
            }
            9 => self.object(&KEYS, depth - 1),
            _ => self.random.one_of(&SCALARS).to_owned(),
        }
    }

    fn object(&mut self, keys: &[&str], depth: u32) -> String {
        let members: Vec<_> = (0..self.random.below(9))
            .map(|_| {
                let key = self.random.one_of(keys);
                let value = self.value(depth);
                self.member(key, &value)
            })
            .collect();
        format!("{{{}{}}}", self.space(), members.join(","))
    }

    fn member(&mut self, key: &str, value: &str) -> String {
        let key = match key.chars().next() {
            Some(first) if self.random.below(1000) < self.odd => {
                format!("\\u{:04x}{}", first as u32 & 0xFFFF, &key[first.len_utf8()..])
            }
            _ => key.to_owned(),
        };
        format!("{}\"{key}\"{}:{}{value}{}", self.space(), self.space(), self.space(), self.space())
    }

    /// A whole event, with keys given twice, keys that nobody knows, and values
    /// that do not belong there.
    fn event(&mut self) -> String {
        let mut members = vec![self.member("event", "\"name\""), self.member("distinct_id", "\"somebody\"")];
        for _ in 0..self.random.below(6) {
            let key = self.random.one_of(&[
                "event",
                "distinct_id",
                "properties",
                "properties",
                "properties",
                "timestamp",
                "uuid",
                "$set",
                "$set_once",
                "$groups",
                "groups",
                "options",
                "session_id",
                "window_id",
                "unknown",
            ]);
            let right = !self.random.percent(10);
            let value = match key {
                "event" | "distinct_id" if right => {
                    self.random.one_of(&["\"é\"", "\"e\"", "\"\""]).to_owned()
                }
                "unknown" if right => continue,
                "properties" | "$set" | "$set_once" | "$groups" | "groups" if right => self.object(&KEYS, 2),
                "options" if right => self.object(&["process_person_profile", "product_tour_id"], 1),
                "uuid" if right => SCALARS[24].to_owned(),
                "timestamp" if right => SCALARS[25].to_owned(),
                _ => self.value(1),
            };
            let member = self.member(key, &value);
            let at = self.random.below(members.len() as u64 + 1);
            members.insert(usize::try_from(at).unwrap(), member);
        }
        format!("{}{{{}}}{}", self.space(), members.join(","), self.space())
    }

    /// Changes up to three bytes of every other text.
    fn mutated(&mut self, text: String) -> Vec<u8> {
        let mut text = text.into_bytes();
        if self.random.percent(50) {
            return text;
        }
        for _ in 0..=self.random.below(3) {
            let at = usize::try_from(self.random.below(text.len() as u64)).unwrap();
            let byte = self.random.one_of(b"{}[]:,\"\"\"\\$ue0-+.9 tfn\n\x1f\x7f\x80\xc3\xff");
            match self.random.below(3) {
                0 => text[at] = byte,
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.insert(at, byte),
            }
        }
        text
    }
}

/// What a client may add: nothing, what stays, what goes elsewhere, both.
fn additions() -> [Additions; 4] {
    let registered = |pairs: &[(&str, &str)]| {
        let mut additions = Additions::default();
        for (key, value) in pairs {
            additions.register(key, value.as_bytes()).unwrap();
        }
        additions
    };
    let stay = [("plan", "\"free\""), ("a", "[1]"), ("$other", "1")];
    let go = [("$session_id", "\"added\""), ("$ignore_sent_at", "1"), ("$set", "{\"added\":1}")];
    [registered(&[]), registered(&stay), registered(&go), registered(&[stay, go].concat())]
}

/// The same text, but for white space that the walk leaves to the scanner.
fn unusual(text: &[u8]) -> Option<Vec<u8>> {
    let open = text.iter().position(|byte| *byte != b' ').filter(|at| text[*at] == b'{')?;
    Some([&text[..=open], b"\n", &text[open + 1..]].concat())
}

/// What is wrong, but for where.
fn without_place(error: &Error) -> String {
    let mut message = format!("{:?}: {}", error.status, error.message);
    if let Some(at) = message.find("at byte ") {
        let digits = message[at + 8..].find(|c: char| !c.is_ascii_digit()).unwrap();
        message.replace_range(at + 8..at + 8 + digits, "");
    }
    message
}

#[test]
fn the_walk_finds_in_properties_what_the_scanner_finds() {
    let additions = additions();
    // Each has what was found in the text before still in it.
    let (mut walked, mut scanned) = (Properties::default(), Properties::default());
    let (mut taken, mut special) = (0, 0);
    for seed in 0..60_000 {
        let mut maker = Maker::new(seed);
        let text = maker.object(&KEYS, 2);
        let text = maker.mutated(text);
        let additions = maker.random.one_of(&additions.each_ref());
        let mut walk = Quick::new(&text);
        let usual = walked.walk(&mut walk, 0, additions).and_then(|behind| walk.end(behind));
        if usual.is_none() {
            continue;
        }
        let text = std::str::from_utf8(&text).unwrap();
        let mut reader = Scanner::new(text);
        let outcome = scanned.scan(&mut reader, additions).and_then(|()| reader.end());
        assert!(outcome.is_some() && reader.lone_surrogates.is_empty(), "{seed}: {text}");
        assert_eq!(walked, scanned, "{seed}: {text}");
        taken += 1;
        special += usize::from(walked.special && walked.runs.len() > 1);
    }
    assert!(taken > 20_000 && special > 5_000, "{taken} taken, {special} of them special");
}

#[test]
fn an_event_is_the_same_by_either_way() {
    let additions = additions();
    let (mut scratch, mut taken, mut sent) = (Scratch::take(0), 0, 0);
    for seed in 0..60_000 {
        let mut maker = Maker::new(seed);
        // A whole event, or the properties of one.
        let whole = maker.random.percent(70);
        let text = if whole { maker.event() } else { maker.object(&KEYS, 2) };
        let text = maker.mutated(text);
        let additions = maker.random.one_of(&additions.each_ref());
        let Some(other) = unusual(&text) else { continue };
        let mut outcome = |text: &[u8]| {
            let mut draft = if whole {
                Draft::from_json(text, &mut scratch.properties, additions)?
            } else {
                Draft::loose(b"user", b"event", Some(text))
            };
            // What the event says of them, and the same for all on the wire.
            let said = (draft.uuid.take().map(String::from), draft.timestamp.take());
            draft.uuid = Some("0190a5b4-7c3d-7abc-8def-0123456789ab".into());
            draft.timestamp = Timestamp::from_unix_ms(0);
            let encoded = encode(&draft, additions, 1 << 20, &mut scratch)?;
            Ok((said, encoded, String::from_utf8(scratch.wire.clone()).unwrap()))
        };
        let (usual, scanned) = (outcome(&text), outcome(&other));
        let shown = String::from_utf8_lossy(&text);
        match (&usual, &scanned) {
            (Ok(usual), Ok(scanned)) => assert_eq!(usual, scanned, "{seed}: {shown}"),
            (Err(usual), Err(scanned)) => {
                assert_eq!(without_place(usual), without_place(scanned), "{seed}: {shown}");
            }
            _ => panic!("{seed}: {shown}\n{usual:?}\n{scanned:?}"),
        }
        sent += usize::from(usual.is_ok());
        let mut walk = Quick::new(&text);
        let start = walk.token(0).map(|(_, at)| at);
        let behind = start.and_then(|at| walk.value(at));
        taken += usize::from(usual.is_ok() && behind.and_then(|behind| walk.end(behind)).is_some());
    }
    assert!(taken > 15_000 && sent > taken, "{taken} walked of {sent} sent");
}

//! The properties object: which of its members stay, which are lifted out of it
//! and which are stripped.
//!
//! Only the top level is looked at, and keys are compared after unescaping. The
//! members that stay are remembered as runs of text, so that writing them is a
//! copy: in the usual case, one run.
#![allow(clippy::inline_always, reason = "as the scan that it is a part of")]

use std::ops::Range;

use super::additions::Additions;
use super::number::as_double;
use super::quick::Quick;
use super::scan::{Member, Scanner};
use super::text::{repaired, unescaped};

/// Where a lifted property goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A key of the event's `options`.
    Option(&'static str),
    /// A key of the event itself.
    Event(&'static str),
}

/// What type a lifted property is coerced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON bool, or what counts as one.
    Bool,
    /// A JSON string only.
    Text,
}

/// Properties that the server reads from elsewhere in the event
/// (docs/protocol.md, "Lifting").
pub const LIFTED: [(&str, Destination, Kind); 6] = [
    ("$cookieless_mode", Destination::Option("cookieless_mode"), Kind::Bool),
    ("$ignore_sent_at", Destination::Option("disable_skew_correction"), Kind::Bool),
    ("$process_person_profile", Destination::Option("process_person_profile"), Kind::Bool),
    ("$product_tour_id", Destination::Option("product_tour_id"), Kind::Text),
    ("$session_id", Destination::Event("session_id"), Kind::Text),
    ("$window_id", Destination::Event("window_id"), Kind::Text),
];

/// Properties that the server derives from the request's headers.
const STRIPPED: [&str; 2] = ["$lib", "$lib_version"];

/// Object properties that are also taken from outside `properties` and merged.
pub const MERGED: [&str; 3] = ["$set", "$set_once", "$groups"];

/// A lifted value, after coercion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifted<Text> {
    /// A bool.
    Bool(bool),
    /// A string: its JSON text, quotes included, or where that is.
    Text(Text),
    /// The property is there but its value does not coerce: nothing is sent, for
    /// a mistyped option makes the server drop the event.
    Mistyped,
}

/// By position in [`LIFTED`].
pub type LiftedValues<Text> = [Option<Lifted<Text>>; LIFTED.len()];

/// What one properties object holds. All ranges are of the scanned text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Runs of members that stay as they are; each is one or more members with
    /// the commas between them.
    pub runs: Vec<Range<usize>>,
    /// What was lifted; on duplicate keys the last.
    pub lifted: LiftedValues<Range<usize>>,
    /// By position in [`MERGED`]: the value; on duplicate keys the last.
    pub merged: [Option<Range<usize>>; MERGED.len()],
    /// Whether anything was lifted, or is to be merged.
    pub special: bool,
    /// By position in the client's additions: whether the caller has the key.
    pub overridden: Vec<bool>,
}

/// Where a property belongs, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `properties`, as it is.
    Stays,
    /// Nowhere.
    Stripped,
    /// At a position of [`LIFTED`].
    Lifted(usize),
    /// At a position of [`MERGED`].
    Merged(usize),
}

impl Properties {
    /// The properties of an event that has none.
    pub fn clear(&mut self, additions: &Additions) {
        self.runs.clear();
        if std::mem::take(&mut self.special) {
            self.lifted = LiftedValues::default();
            self.merged = Default::default();
        }
        self.overridden.clear();
        self.overridden.resize(additions.members.len(), false);
    }

    /// Scans the properties object at the scanner's position.
    pub fn scan(&mut self, scanner: &mut Scanner<'_>, additions: &Additions) -> Option<()> {
        let text = scanner.text().as_bytes();
        let mut sorting = Sorting::new(self, text, additions);
        scanner.members(0, |member| sorting.take(&member))?;
        sorting.end();
        Some(())
    }

    /// The same for text of the usual kind; answers what is behind the object.
    #[inline]
    pub fn walk(&mut self, walk: &mut Quick<'_>, at: usize, additions: &Additions) -> Option<usize> {
        let text = walk.text();
        let mut sorting = Sorting::new(self, text, additions);
        let (mut more, mut at) = walk.open_object(at)?;
        while more {
            let (key, value) = walk.key(at)?;
            let end = walk.value(value)?;
            sorting.take(&Member { key, escaped: false, value: value..end });
            (more, at) = walk.more_members(end)?;
        }
        sorting.end();
        Some(at)
    }

    /// Takes members of `text` that are known without a scan.
    pub fn fill(&mut self, text: &[u8], members: impl Iterator<Item = Member>, additions: &Additions) {
        let mut sorting = Sorting::new(self, text, additions);
        for member in members {
            sorting.take(&member);
        }
        sorting.end();
    }

    /// Takes a run of members that all stay. The client must add none, which
    /// they could stand in for.
    #[inline]
    pub fn fill_with_run(&mut self, run: Range<usize>, additions: &Additions) {
        self.clear(additions);
        self.runs.push(run);
    }

    /// Takes note of a member that may be special; answers where it belongs.
    #[inline(never)]
    fn place(&mut self, text: &[u8], member: &Member, additions: &Additions) -> Place {
        let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let raw = slice(&member.key);
        let unescaped = member.escaped.then(|| unescaped(&repaired(raw)).into_owned());
        let key = unescaped.as_ref().map_or(raw, |key| key.as_bytes());
        additions.mark(key, &mut self.overridden);
        let place = place_of(key);
        self.special |= matches!(place, Place::Lifted(_) | Place::Merged(_));
        match place {
            Place::Stays | Place::Stripped => {}
            Place::Lifted(i) => {
                if let (Some(slot), Some((_, _, kind))) = (self.lifted.get_mut(i), LIFTED.get(i)) {
                    *slot = Some(coerce(*kind, slice(&member.value), || member.value.clone()));
                }
            }
            Place::Merged(i) => {
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = Some(member.value.clone());
                }
            }
        }
        place
    }
}

/// Members are taken one after the other and sorted.
struct Sorting<'a> {
    found: &'a mut Properties,
    text: &'a [u8],
    additions: &'a Additions,
    nothing_added: bool,
    /// The run that the last member belongs to; empty after one that went.
    run: Range<usize>,
}

impl<'a> Sorting<'a> {
    #[inline(always)]
    fn new(found: &'a mut Properties, text: &'a [u8], additions: &'a Additions) -> Self {
        found.clear(additions);
        Sorting { found, text, additions, nothing_added: additions.members.is_empty(), run: 0..0 }
    }

    #[inline(always)]
    fn take(&mut self, member: &Member) {
        let may_be_sentinel = member.escaped || self.text.get(member.key.start) == Some(&b'$');
        let stays = if may_be_sentinel {
            self.found.place(self.text, member, self.additions) == Place::Stays
        } else {
            if !self.nothing_added {
                let key = self.text.get(member.key.clone()).unwrap_or_default();
                self.additions.mark(key, &mut self.found.overridden);
            }
            true
        };
        if stays {
            if self.run.is_empty() {
                self.run.start = member.key.start - 1;
            }
            self.run.end = member.value.end;
        } else {
            self.end();
        }
    }

    fn end(&mut self) {
        if !self.run.is_empty() {
            self.found.runs.push(std::mem::take(&mut self.run));
        }
    }
}

/// Where the property with this (unescaped) key belongs.
#[inline]
pub fn place_of(key: &[u8]) -> Place {
    if key.first() == Some(&b'$') { place_of_sentinel(key) } else { Place::Stays }
}

fn place_of_sentinel(key: &[u8]) -> Place {
    if let Some(i) = LIFTED.iter().position(|(name, _, _)| name.as_bytes() == key) {
        Place::Lifted(i)
    } else if let Some(i) = MERGED.iter().position(|name| name.as_bytes() == key) {
        Place::Merged(i)
    } else if STRIPPED.iter().any(|name| name.as_bytes() == key) {
        Place::Stripped
    } else {
        Place::Stays
    }
}

/// The value as the type its destination wants.
pub fn coerce<Text>(kind: Kind, value: &[u8], text: impl FnOnce() -> Text) -> Lifted<Text> {
    match (kind, value.first()) {
        (Kind::Text, Some(b'"')) => Lifted::Text(text()),
        (Kind::Bool, Some(b't')) => Lifted::Bool(true),
        (Kind::Bool, Some(b'f')) => Lifted::Bool(false),
        (Kind::Bool, Some(b'-' | b'0'..=b'9')) => {
            as_double(value).map_or(Lifted::Mistyped, |number| Lifted::Bool(number != 0.0))
        }
        (Kind::Bool, Some(b'"')) => {
            let word = value.get(1..value.len() - 1).unwrap_or_default();
            match unescaped(&repaired(word)).trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Lifted::Bool(true),
                "false" | "0" => Lifted::Bool(false),
                _ => Lifted::Mistyped,
            }
        }
        _ => Lifted::Mistyped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coerces_each_cell_of_the_table() {
        let bool_cells = [
            ("true", Some(true)),
            ("false", Some(false)),
            ("1", Some(true)),
            ("0", Some(false)),
            ("-0.0", Some(false)),
            ("0e9", Some(false)),
            ("0.1", Some(true)),
            ("-2", Some(true)),
            (r#""true""#, Some(true)),
            (r#"" TRUE	""#, Some(true)),
            (r#""1""#, Some(true)),
            (r#""False""#, Some(false)),
            (r#""0 ""#, Some(false)),
            (r#""yes""#, None),
            (r#""""#, None),
            (r#""2""#, None),
            ("null", None),
            ("{}", None),
            ("[true]", None),
        ];
        for (value, expected) in bool_cells {
            let lifted = coerce(Kind::Bool, value.as_bytes(), || ());
            assert_eq!(lifted, expected.map_or(Lifted::Mistyped, Lifted::Bool), "{value}");
        }
        for (value, text) in [(r#""a""#, true), ("1", false), ("true", false), ("null", false), ("{}", false)]
        {
            let lifted = coerce(Kind::Text, value.as_bytes(), || ());
            assert_eq!(lifted, if text { Lifted::Text(()) } else { Lifted::Mistyped }, "{value}");
        }
    }

    #[test]
    fn keeps_runs_and_takes_out_sentinels() {
        let text =
            r#"{"a":1, "b":2,"$lib":"x","$session_id":"s","c":3,"$\u006cib_version":1,"$set":{"k":1}}"#;
        let mut found = Properties::default();
        found.scan(&mut Scanner::new(text), &Additions::default()).unwrap();
        let runs: Vec<_> = found.runs.iter().map(|r| &text[r.clone()]).collect();
        assert_eq!(runs, [r#""a":1, "b":2"#, r#""c":3"#]);
        assert!(matches!(&found.lifted[4], Some(Lifted::Text(r)) if &text[r.clone()] == r#""s""#));
        assert_eq!(&text[found.merged[0].clone().unwrap()], r#"{"k":1}"#);
    }

    #[test]
    fn the_last_duplicate_decides_and_every_copy_goes() {
        let text = r#"{"$ignore_sent_at":true,"x":1,"$ignore_sent_at":"no"}"#;
        let mut found = Properties::default();
        found.scan(&mut Scanner::new(text), &Additions::default()).unwrap();
        assert_eq!(found.lifted[1], Some(Lifted::Mistyped));
        assert_eq!(found.runs.len(), 1);
    }
}

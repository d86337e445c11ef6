//! The properties object: which of its members stay, which are lifted out of it
//! and which are stripped.
//!
//! Only the top level is looked at, and keys are compared after unescaping. The
//! members that stay are remembered as runs of text, so that writing them is a
//! copy: in the usual case, one run.

use std::ops::Range;

use super::additions::Additions;
use super::scan::{Member, Scanner, as_double};
use super::text::unescaped;

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
#[derive(Debug, Default)]
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
        self.clear(additions);
        let text = scanner.text();
        // The run that the last member belongs to; empty after one that went.
        let mut run = 0..0;
        scanner.members(0, |member| self.sort(text, member, &mut run, additions))?;
        if !run.is_empty() {
            self.runs.push(run);
        }
        Some(())
    }

    /// Takes members of `text` that are known without a scan.
    pub fn fill<'a>(&mut self, text: &'a str, members: impl Iterator<Item = Member<'a>>, additions: &Additions) {
        self.clear(additions);
        let mut run = 0..0;
        for member in members {
            self.sort(text, &member, &mut run, additions);
        }
        if !run.is_empty() {
            self.runs.push(run);
        }
    }

    /// Takes a run of members that all stay. The client must add none, which
    /// they could stand in for.
    #[inline]
    pub fn fill_with_run(&mut self, run: Range<usize>, additions: &Additions) {
        self.clear(additions);
        self.runs.push(run);
    }

    /// Adds a member to the run before it, or ends that run.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as the scan that it is a part of")]
    fn sort(&mut self, text: &str, member: &Member<'_>, run: &mut Range<usize>, additions: &Additions) {
        let plain = additions.members.is_empty() && !member.may_be_sentinel();
        if plain || self.place(text, member.key(), member.value(), additions) == Place::Stays {
            if Range::is_empty(run) {
                run.start = member.start();
            }
            run.end = member.end();
        } else if !Range::is_empty(run) {
            self.runs.push(std::mem::take(run));
        }
    }

    /// Takes note of a member that may be special; answers where it belongs.
    #[inline(never)]
    fn place(&mut self, text: &str, key: Range<usize>, value: Range<usize>, additions: &Additions) -> Place {
        let key = unescaped(text.get(key).unwrap_or_default());
        additions.mark(&key, &mut self.overridden);
        let place = place_of(&key);
        self.special |= matches!(place, Place::Lifted(_) | Place::Merged(_));
        match place {
            Place::Stays | Place::Stripped => {}
            Place::Lifted(i) => {
                if let (Some(slot), Some((_, _, kind))) = (self.lifted.get_mut(i), LIFTED.get(i)) {
                    *slot = Some(coerce(*kind, text.get(value.clone()).unwrap_or_default(), || value));
                }
            }
            Place::Merged(i) => {
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = Some(value);
                }
            }
        }
        place
    }
}

/// Where the property with this (unescaped) key belongs.
#[inline]
pub fn place_of(key: &str) -> Place {
    if key.as_bytes().first() == Some(&b'$') { place_of_sentinel(key) } else { Place::Stays }
}

fn place_of_sentinel(key: &str) -> Place {
    if let Some(i) = LIFTED.iter().position(|(name, _, _)| *name == key) {
        Place::Lifted(i)
    } else if let Some(i) = MERGED.iter().position(|name| *name == key) {
        Place::Merged(i)
    } else if STRIPPED.contains(&key) {
        Place::Stripped
    } else {
        Place::Stays
    }
}

/// The value as the type its destination wants.
pub fn coerce<Text>(kind: Kind, value: &str, text: impl FnOnce() -> Text) -> Lifted<Text> {
    match (kind, value.as_bytes().first()) {
        (Kind::Text, Some(b'"')) => Lifted::Text(text()),
        (Kind::Bool, Some(b't')) => Lifted::Bool(true),
        (Kind::Bool, Some(b'f')) => Lifted::Bool(false),
        (Kind::Bool, Some(b'-' | b'0'..=b'9')) => {
            as_double(value.as_bytes()).map_or(Lifted::Mistyped, |number| Lifted::Bool(number != 0.0))
        }
        (Kind::Bool, Some(b'"')) => {
            let word = value.get(1..value.len() - 1).unwrap_or_default();
            match unescaped(word).trim().to_ascii_lowercase().as_str() {
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
            let lifted = coerce(Kind::Bool, value, || ());
            assert_eq!(lifted, expected.map_or(Lifted::Mistyped, Lifted::Bool), "{value}");
        }
        for (value, text) in [(r#""a""#, true), ("1", false), ("true", false), ("null", false), ("{}", false)]
        {
            let lifted = coerce(Kind::Text, value, || ());
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

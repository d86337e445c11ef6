//! What Capture v1 wants of an event's properties (docs/protocol.md, "Lifting"), as tables; and the bounds
//! that the server sets.

use std::fmt::Display;

use crate::json::{NO_MEMORY, NOT_AN_OBJECT, SyntaxError, as_double, unescape};
use crate::memory::NoMemory;
use crate::status::{Error, Status};

/// The server's bound for event names and distinct ids, in bytes.
pub(super) const MAX_NAME: usize = 200;

/// Where a lifted property goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A key of the event's `options`.
    Option(&'static str),
    /// A key of the event itself.
    Event(&'static str),
}

/// What type a lifted property is coerced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A JSON bool, or what counts as one.
    Bool,
    /// A JSON string only.
    Text,
}

/// A property that the server reads from elsewhere in the event.
pub(super) struct Rule {
    /// Its key in `properties`, from which it is always removed.
    pub property: &'static str,
    pub destination: Destination,
    pub kind: Kind,
}

/// The lifted properties.
pub(super) const LIFTED: [Rule; 6] = [
    rule("$cookieless_mode", Destination::Option("cookieless_mode"), Kind::Bool),
    rule("$ignore_sent_at", Destination::Option("disable_skew_correction"), Kind::Bool),
    rule("$process_person_profile", Destination::Option("process_person_profile"), Kind::Bool),
    rule("$product_tour_id", Destination::Option("product_tour_id"), Kind::Text),
    rule("$session_id", Destination::Event("session_id"), Kind::Text),
    rule("$window_id", Destination::Event("window_id"), Kind::Text),
];

const fn rule(property: &'static str, destination: Destination, kind: Kind) -> Rule {
    Rule { property, destination, kind }
}

/// Properties that the server derives from the request's headers.
const STRIPPED: [&str; 2] = ["$lib", "$lib_version"];

/// Properties that are also taken from outside `properties` and merged. They are objects; `$unset` may be a
/// list of names too.
pub(super) const MERGED: [&str; 4] = ["$set", "$set_once", "$unset", "$groups"];
/// The position of `$unset` in [`MERGED`].
pub(super) const UNSET: usize = 2;
/// The position of `$groups` in [`MERGED`].
pub(super) const GROUPS: usize = 3;

/// Whether a JSON value has the type of this position of [`MERGED`].
pub(super) fn is_mergeable(position: usize, value: &[u8]) -> bool {
    match value.first() {
        Some(b'{') => true,
        Some(b'[') => position == UNSET,
        _ => false,
    }
}

/// One value for each position of [`LIFTED`].
pub(super) type PerLifted<T> = [T; LIFTED.len()];
/// One value for each position of [`MERGED`].
pub(super) type PerMerged<T> = [T; MERGED.len()];

/// Where a property belongs, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In `properties`, as it is.
    Stays,
    /// Nowhere.
    Stripped,
    /// At a position of [`LIFTED`].
    Lifted(usize),
    /// At a position of [`MERGED`].
    Merged(usize),
}

/// Where the property with this (unescaped) key belongs.
#[inline]
pub(super) fn place_of(key: &[u8]) -> Place {
    if key.first() == Some(&b'$') { place_of_sentinel(key) } else { Place::Stays }
}

fn place_of_sentinel(key: &[u8]) -> Place {
    if let Some(i) = LIFTED.iter().position(|rule| rule.property.as_bytes() == key) {
        Place::Lifted(i)
    } else if let Some(i) = MERGED.iter().position(|name| name.as_bytes() == key) {
        Place::Merged(i)
    } else if STRIPPED.iter().any(|name| name.as_bytes() == key) {
        Place::Stripped
    } else {
        Place::Stays
    }
}

/// A lifted value, after coercion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifted<Text> {
    /// A bool.
    Bool(bool),
    /// A string: its JSON text, quotes included, or where that is.
    Text(Text),
    /// The property is there but its value does not coerce: nothing is sent, because a mistyped option
    /// makes the server drop the event.
    Mistyped,
}

impl<Text> Lifted<Text> {
    /// The same with the text in another form.
    #[inline]
    pub(super) fn map<'t, Other>(&'t self, text: impl FnOnce(&'t Text) -> Other) -> Lifted<Other> {
        match self {
            Lifted::Bool(value) => Lifted::Bool(*value),
            Lifted::Text(this) => Lifted::Text(text(this)),
            Lifted::Mistyped => Lifted::Mistyped,
        }
    }
}

/// The value, given as JSON text, as the type that its destination wants.
pub(super) fn coerce(kind: Kind, value: &[u8]) -> Lifted<&[u8]> {
    match (kind, value.first()) {
        (Kind::Text, Some(b'"')) => Lifted::Text(value),
        (Kind::Bool, Some(b't')) => Lifted::Bool(true),
        (Kind::Bool, Some(b'f')) => Lifted::Bool(false),
        (Kind::Bool, Some(b'-' | b'0'..=b'9')) => {
            as_double(value).map_or(Lifted::Mistyped, |number| Lifted::Bool(number != 0.0))
        }
        (Kind::Bool, Some(b'"')) => {
            let word = value.get(1..value.len() - 1).unwrap_or_default();
            let text = unescape(word);
            let is_one_of =
                |words: [&str; 2]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
            if is_one_of(["true", "1"]) {
                Lifted::Bool(true)
            } else if is_one_of(["false", "0"]) {
                Lifted::Bool(false)
            } else {
                Lifted::Mistyped
            }
        }
        _ => Lifted::Mistyped,
    }
}

/// The error for JSON text that is refused. `what` names the text; that it is not an object is a fault of
/// the property that it stands for, not of the text.
#[cold]
pub(super) fn refused_json(what: impl Display, error: &SyntaxError) -> Error {
    let status = match error.what {
        NO_MEMORY => return NoMemory.into(),
        NOT_AN_OBJECT => Status::INVALID_PROPERTY,
        _ => Status::INVALID_JSON,
    };
    Error::new(status, format_args!("{what}: {error}"))
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
            let lifted = coerce(Kind::Bool, value.as_bytes());
            assert_eq!(lifted, expected.map_or(Lifted::Mistyped, Lifted::Bool), "{value}");
        }
        for (value, text) in [(r#""a""#, true), ("1", false), ("true", false), ("null", false), ("{}", false)]
        {
            let lifted = coerce(Kind::Text, value.as_bytes());
            let expected = if text { Lifted::Text(value.as_bytes()) } else { Lifted::Mistyped };
            assert_eq!(lifted, expected, "{value}");
        }
    }

    #[test]
    fn each_key_of_the_tables_has_its_place() {
        for (i, rule) in LIFTED.iter().enumerate() {
            assert_eq!(place_of(rule.property.as_bytes()), Place::Lifted(i));
        }
        for (i, name) in MERGED.iter().enumerate() {
            assert_eq!(place_of(name.as_bytes()), Place::Merged(i));
        }
        assert_eq!((MERGED[UNSET], MERGED[GROUPS]), ("$unset", "$groups"));
        for name in STRIPPED {
            assert_eq!(place_of(name.as_bytes()), Place::Stripped);
        }
        for name in ["", "$", "lib", "$libs", "$Set", "$session_id "] {
            assert_eq!(place_of(name.as_bytes()), Place::Stays);
        }
    }
}

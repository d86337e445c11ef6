//! What was given outside of the properties, merged into what stands inside.

use std::borrow::Cow;
use std::ops::Range;

use super::joined::Joined;
use super::rules::{GROUPS, MERGED, UNSET, is_mergeable};
use crate::json::{Cursor, unescape};
use crate::memory::{NoMemory, reserve};
use crate::status::{Error, Status};

/// Writes what stands inside the properties at this position of [`MERGED`], merged with what was given
/// outside, or else what the client adds.
pub(super) fn write_merged(
    out: &mut Joined<'_>,
    position: usize,
    inner: Option<&[u8]>,
    outer: Option<&[u8]>,
    added: Option<&[u8]>,
) -> Result<(), Error> {
    let key = MERGED.get(position).copied().unwrap_or_default();
    let is_groups = position == GROUPS;
    match (inner, outer) {
        (Some(b"null"), None) if is_groups => {}
        (Some(inner), _) if is_groups && inner != b"null" && !is_object(inner) => {
            return Err(mistyped(position));
        }
        (Some(b"null") | None, Some(outer)) => out.member(key, outer),
        (Some(inner), Some(outer)) if is_object(inner) && is_object(outer) => {
            out.member(key, &merge(inner, outer)?);
        }
        (Some(inner), Some(outer)) if position == UNSET && is_mergeable(UNSET, inner) => {
            out.member(key, &join_names(inner, outer)?);
        }
        (Some(_), Some(_)) => return Err(mistyped(position)),
        (Some(inner), None) => out.member(key, inner),
        (None, None) => {
            if let Some(added) = added {
                out.member(key, added);
            }
        }
    }
    Ok(())
}

fn is_object(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
}

fn mistyped(position: usize) -> Error {
    let key = MERGED.get(position).copied().unwrap_or_default();
    let expected = if position == UNSET { "a JSON list of names" } else { "a JSON object" };
    Error::new(Status::INVALID_PROPERTY, format_args!("properties: {key} must be {expected}"))
}

/// The members of both objects in one object; on a collision of keys the inner value wins. Both texts are
/// sound.
fn merge(inner: &[u8], outer: &[u8]) -> Result<Vec<u8>, NoMemory> {
    join([b'{', b'}'], (inner, &members(inner)?), (outer, &members(outer)?))
}

/// The names of both in one list, once each. The names of an object are its keys, as the server reads
/// `$unset`.
fn join_names(inner: &[u8], outer: &[u8]) -> Result<Vec<u8>, NoMemory> {
    join([b'[', b']'], (inner, &names(inner)?), (outer, &names(outer)?))
}

/// Writes the texts of both that have different keys, the outer ones first, between two brackets. Each side is
/// its whole text, and its parts.
fn join(
    [open, close]: [u8; 2],
    (inner_text, inner): (&[u8], &[Keyed<'_>]),
    (outer_text, outer): (&[u8], &[Keyed<'_>]),
) -> Result<Vec<u8>, NoMemory> {
    let mut joined = Vec::new();
    joined.try_reserve_exact(inner_text.len() + outer_text.len())?;
    // Sorted: a capture must not take seconds because both have many members.
    let mut inner_keys: Vec<&str> = Vec::new();
    inner_keys.try_reserve_exact(inner.len())?;
    inner_keys.extend(inner.iter().filter_map(|(key, _)| key.as_deref()));
    inner_keys.sort_unstable();
    joined.push(open);
    let mut out = Joined::new(&mut joined);
    for (key, text) in outer {
        if key.as_deref().is_none_or(|key| inner_keys.binary_search(&key).is_err()) {
            out.next().extend_from_slice(text);
        }
    }
    for (_, text) in inner {
        out.next().extend_from_slice(text);
    }
    joined.push(close);
    Ok(joined)
}

/// An unescaped key, unless it is not text, and the text that is joined by it.
type Keyed<'t> = (Option<Cow<'t, str>>, &'t [u8]);

/// The members of an object.
fn members(object: &[u8]) -> Result<Vec<Keyed<'_>>, NoMemory> {
    let mut members = Vec::new();
    let text = |range: Range<usize>| object.get(range).unwrap_or_default();
    let mut reserved = Ok(());
    let _ = Cursor::new(object).members(0, 0, |member| {
        reserved = reserved.and_then(|()| reserve(&mut members, 1));
        if reserved.is_ok() {
            let key = unescape(text(member.key.inside.clone()));
            members.push((Some(key), text(member.key.inside.start - 1..member.value.end)));
        }
    });
    reserved.map(|()| members)
}

/// The keys of an object, or the elements of a list.
fn names(value: &[u8]) -> Result<Vec<Keyed<'_>>, NoMemory> {
    let text = |range: Range<usize>| value.get(range).unwrap_or_default();
    let mut names = Vec::new();
    let mut cursor = Cursor::new(value);
    if is_object(value) {
        let mut reserved = Ok(());
        let _ = cursor.members(0, 0, |member| {
            reserved = reserved.and_then(|()| reserve(&mut names, 1));
            if reserved.is_ok() {
                let inside = member.key.inside;
                names.push((Some(unescape(text(inside.clone()))), text(inside.start - 1..inside.end + 1)));
            }
        });
        return reserved.map(|()| names);
    }
    let (mut byte, mut at) = (b',', 0);
    while byte == b',' {
        let (first, start) = cursor.token(at + 1);
        if first == b']' {
            break;
        }
        let Some(end) = cursor.value(start, 1) else { break };
        let element = text(start..end);
        let inside = element.strip_prefix(b"\"").and_then(|element| element.strip_suffix(b"\""));
        reserve(&mut names, 1)?;
        names.push((inside.map(unescape), element));
        (byte, at) = cursor.token(end);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(position: usize, inner: Option<&str>, outer: Option<&str>) -> Result<String, Error> {
        let mut text = Vec::new();
        let (inner, outer) = (inner.map(str::as_bytes), outer.map(str::as_bytes));
        write_merged(&mut Joined::new(&mut text), position, inner, outer, Some(b"[\"added\"]"))?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn names_to_unset_are_joined() {
        let table = [
            (None, None, r#"["added"]"#),
            (Some(r#"["a"]"#), None, r#"["a"]"#),
            (None, Some(r#"["a"]"#), r#"["a"]"#),
            (Some("null"), Some(r#"["a"]"#), r#"["a"]"#),
            (Some(r#""as it is""#), None, r#""as it is""#),
            (Some("[]"), Some("[ ]"), "[]"),
            (Some(r#"[ "a" , "b" ]"#), Some(r#"["c","\u0061",1,[",]"]]"#), r#"["c",1,[",]"],"a","b"]"#),
            (Some(r#"{"a":"","b":1}"#), Some(r#"["c","b"]"#), r#"["c","a","b"]"#),
            (Some(r#"["a"]"#), Some(r#"{"\u0061":1,"c":2}"#), r#"["c","a"]"#),
            (Some(r#"{"a":1}"#), Some(r#"{"a":2,"c":3}"#), r#"{"c":3,"a":1}"#),
        ];
        for (inner, outer, expected) in table {
            let expected = format!(r#""$unset":{expected}"#);
            assert_eq!(merged(UNSET, inner, outer).unwrap(), expected, "{inner:?} {outer:?}");
        }
        assert!(merged(UNSET, Some("1"), Some("[]")).unwrap_err().message.contains("list of names"));
    }

    #[test]
    fn objects_are_merged_and_nothing_else_is() {
        assert_eq!(
            merged(0, Some(r#"{"a":1}"#), Some(r#"{"\u0061":2,"b":3}"#)).unwrap(),
            r#""$set":{"b":3,"a":1}"#
        );
        for (inner, outer) in [("[]", "{}"), ("1", "{}")] {
            assert!(merged(0, Some(inner), Some(outer)).is_err());
        }
        assert!(merged(GROUPS, Some("[]"), None).is_err());
    }
}

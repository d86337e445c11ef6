//! The cursor's common and uncommon branches say the same of one event: it is encoded alike however it is
//! spelt, and wherever the blocks of 64 bytes begin in it.

use uuid::Uuid;

use super::generators::{KEYS, event, super_properties};
use crate::event::properties::PropertyRanges;
use crate::event::{Encoder, EventInput, SuperProperties};
use crate::json::Cursor;
use crate::json::tests::generators::Maker;
use crate::json::tests::reference::Reference;
use crate::status::Error;

#[test]
fn properties_are_found_as_by_the_naive_reader() {
    let super_properties = super_properties();
    // Each still has what was found in the text before.
    let (mut ranges, mut expected) = (PropertyRanges::default(), PropertyRanges::default());
    let (mut accepted, mut special) = (0, 0);
    for seed in 0..25_000 {
        let mut maker = Maker::any(seed, KEYS);
        let text = maker.object(2);
        let text = maker.mutated(text);
        let super_properties = maker.random.one_of(&super_properties.each_ref());
        let mut cursor = Cursor::new(&text);
        let end = ranges.read(&mut cursor, 0, super_properties).and_then(|end| cursor.end(end));
        let members = Reference::new(&text).object();
        assert_eq!(end.is_some(), members.is_ok(), "{seed}: {}", text.escape_ascii());
        let Ok(members) = members else { continue };
        expected.fill(&text, members.into_iter().map(Some), super_properties);
        assert_eq!(ranges, expected, "{seed}: {}", text.escape_ascii());
        accepted += 1;
        let found = ranges.of(&text).unwrap();
        special += usize::from(found.has_special() && found.runs().count() > 1);
    }
    assert!(accepted > 10_000 && special > 3_000, "{accepted} accepted, {special} of them special");
}

/// What comes of an event, but for what differs from call to call: the uuid and the time where they are not
/// the caller's.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    uuid: Option<Uuid>,
    repaired: bool,
    uuid_replaced: bool,
    timestamp: Option<String>,
    rest: String,
}

fn outcome(
    encoder: &mut Encoder,
    input: &EventInput<'_>,
    super_properties: &SuperProperties,
) -> Result<Outcome, Error> {
    encoder.encode(input, super_properties, 1 << 20)?;
    let event = encoder.encoded();
    let wire = String::from_utf8(encoder.wire().to_vec()).unwrap();
    let (front, rest) = wire.split_at(wire.find("\"event\"").unwrap());
    let timestamp = front.get(14..38).unwrap();
    Ok(Outcome {
        uuid: event.caller_uuid.then_some(event.uuid),
        repaired: event.repaired,
        uuid_replaced: event.uuid_replaced,
        timestamp: (timestamp == "2026-01-31T11:00:00.500Z").then(|| timestamp.to_owned()),
        rest: rest.to_owned(),
    })
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
fn an_event_is_encoded_alike_however_it_is_spelt() {
    let super_properties = super_properties();
    let (mut encoder, mut accepted, mut refused) = (Encoder::take(0), 0, 0);
    for seed in 0..25_000 {
        let mut maker = Maker::any(seed, KEYS);
        // A whole event, or the properties of one.
        let whole = maker.random.percent(70);
        let text = if whole { event(&mut maker) } else { maker.object(2) };
        let text = maker.mutated(text);
        let super_properties = maker.random.one_of(&super_properties.each_ref());
        let Some(open) = text.iter().position(|byte| *byte != b' ').filter(|at| text[*at] == b'{') else {
            continue;
        };
        // A line break, so that the first string is not the next special byte; and blocks that begin elsewhere.
        let spaces = " ".repeat(maker.below(64));
        let other = [&text[..=open], b"\n", spaces.as_bytes(), &text[open + 1..]].concat();
        let mut encode = |text: &[u8]| {
            let input = if whole {
                EventInput::Json(text)
            } else {
                EventInput::Parts { distinct_id: b"user", event: b"event", properties: Some(text) }
            };
            outcome(&mut encoder, &input, super_properties)
        };
        let shown = text.escape_ascii();
        match (encode(&text), encode(&other)) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one, other, "{seed}: {shown}");
                accepted += 1;
            }
            (Err(one), Err(other)) => {
                assert_eq!(without_place(&one), without_place(&other), "{seed}: {shown}");
                refused += 1;
            }
            (one, other) => panic!("{seed}: {shown}\n{one:?}\n{other:?}"),
        }
    }
    assert!(accepted > 6_000 && refused > 6_000, "{accepted} accepted, {refused} refused");
}

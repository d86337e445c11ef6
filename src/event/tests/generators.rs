//! Events by seed.

use crate::event::SuperProperties;
use crate::json::tests::generators::{Maker, TIMESTAMP, UUID};

/// Keys of properties: what the rules name, what is close to it, and any others.
pub(super) const KEYS: &[&str] = &[
    "a",
    "b",
    "",
    "é\u{1F600}",
    "with \"quotes\"",
    "\n\u{0}",
    "plan",
    "a key that is longer than a block of sixteen, and than one of sixty-four bytes too",
    "{",
    "],:",
    "lib",
    "$",
    "$other",
    "$librarian",
    "$session_id ",
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
];
/// The same without `$groups`, whose value must be an object.
pub(super) const KEYS_OF_ANY_VALUE: &[&str] = KEYS.split_at(KEYS.len() - 1).0;

/// A whole event, with keys given twice, keys that are unknown, and values that do not belong there.
pub(super) fn event(maker: &mut Maker) -> String {
    let mut members = vec![maker.member("event", "\"name\""), maker.member("distinct_id", "\"somebody\"")];
    for _ in 0..maker.below(6) {
        let key = maker.random.one_of(&[
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
        let right = !maker.random.percent(10);
        let value = match key {
            "event" | "distinct_id" if right => maker.random.one_of(&["\"é\"", "\"e\"", "\"\""]).to_owned(),
            "unknown" if right => continue,
            "properties" | "$set" | "$set_once" | "$groups" | "groups" if right => maker.object(2),
            "options" if right => maker.object_of(&["process_person_profile", "product_tour_id"], 1),
            "uuid" if right => UUID.to_owned(),
            "timestamp" if right => TIMESTAMP.to_owned(),
            _ => maker.value(1),
        };
        let member = maker.member(key, &value);
        let at = maker.below(members.len() + 1);
        members.insert(at, member);
    }
    format!("{}{{{}}}{}", maker.space(), members.join(","), maker.space())
}

/// What a client may add: nothing, what stays, what goes elsewhere, both.
pub(super) fn super_properties() -> [SuperProperties; 4] {
    let registered = |pairs: &[(&str, &str)]| {
        let mut super_properties = SuperProperties::default();
        for (key, value) in pairs {
            super_properties.register(key, value.as_bytes()).unwrap();
        }
        super_properties
    };
    let stay = [("plan", "\"free\""), ("a", "[1]"), ("$other", "1")];
    let go = [("$session_id", "\"added\""), ("$ignore_sent_at", "1"), ("$set", "{\"added\":1}")];
    [registered(&[]), registered(&stay), registered(&go), registered(&[stay, go].concat())]
}

//! For whom flags are evaluated, and which.

use super::property::{Properties, fingerprint};
use super::tree;
use crate::json::SyntaxError;

/// The longest distinct id, in Unicode scalar values; the server cuts longer ones.
const MAX_ID: usize = 200;

/// A group that the person belongs to.
#[derive(Clone, Debug)]
struct Group {
    kind: String,
    key: String,
    properties: Properties,
}

/// For whom, with what is known of them, and which flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    distinct_id: String,
    person: Properties,
    groups: Vec<Group>,
    device_id: String,
    /// All flags, if there are none.
    pub(super) keys: Vec<String>,
    /// If there are any, flags with contexts of their own must share one.
    pub(super) contexts: Vec<String>,
}

impl Query {
    /// A query about all flags for this person.
    pub(crate) fn new(distinct_id: &str) -> Self {
        let mut person = Properties::default();
        person.set_string("distinct_id", distinct_id);
        let end = distinct_id.char_indices().nth(MAX_ID).map_or(distinct_id.len(), |(end, _)| end);
        let distinct_id = distinct_id.get(..end).unwrap_or_default().to_owned();
        Query { distinct_id, person, ..Query::default() }
    }

    /// Sets a property of the person to a JSON value.
    pub(crate) fn set_person(&mut self, key: &str, json: &[u8]) -> Result<(), SyntaxError> {
        tree::read(json, |value| self.person.set(key, value))
    }

    /// Sets properties of the person from a JSON object; returns whether it is one.
    pub(crate) fn set_person_json(&mut self, json: &[u8]) -> Result<bool, SyntaxError> {
        tree::read(json, |value| self.person.set_members(value))
    }

    /// Puts the person into a group, in place of an earlier one of this type, with properties from a JSON object.
    /// Returns whether it is one.
    pub(crate) fn set_group(
        &mut self,
        kind: &str,
        key: &str,
        properties: Option<&[u8]>,
    ) -> Result<bool, SyntaxError> {
        let mut group =
            Group { kind: kind.to_owned(), key: key.to_owned(), properties: Properties::default() };
        group.properties.set_string("$group_key", key);
        if let Some(json) = properties
            && !tree::read(json, |value| group.properties.set_members(value))?
        {
            return Ok(false);
        }
        self.groups.retain(|known| known.kind != kind);
        self.groups.push(group);
        Ok(true)
    }

    /// Sets the device for flags that are bucketed by device.
    pub(crate) fn set_device_id(&mut self, device_id: &str) {
        device_id.clone_into(&mut self.device_id);
    }

    /// Asks for this flag, and so for no others than those that are asked for.
    pub(crate) fn add_key(&mut self, key: &str) {
        self.keys.push(key.to_owned());
    }

    /// Leaves out flags that have evaluation contexts, but none that is added here.
    pub(crate) fn add_context(&mut self, context: &str) {
        self.contexts.push(context.to_owned());
    }

    pub(super) fn person(&self) -> &Properties {
        &self.person
    }

    /// The id by which a person is put into a rollout; empty when there is none.
    pub(super) fn person_id(&self, by_device: bool) -> &str {
        if !by_device {
            return &self.distinct_id;
        }
        if !self.device_id.is_empty() {
            return &self.device_id;
        }
        let key = "$device_id";
        self.person.get(key, fingerprint(key)).map_or("", |property| property.text)
    }

    /// The key and the properties of the group of this type.
    pub(super) fn group(&self, kind: &str) -> Option<(&str, &Properties)> {
        let group = self.groups.iter().find(|group| group.kind == kind)?;
        Some((&group.key, &group.properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_cut_at_two_hundred_scalar_values_for_the_hash_only() {
        for text in ["a".repeat(205), format!("{}😀{}", "a".repeat(199), "b".repeat(10)), "é".repeat(200)]
        {
            let query = Query::new(&text);
            assert_eq!(query.person_id(false), text.chars().take(200).collect::<String>());
            let property = query.person.get("distinct_id", fingerprint("distinct_id")).unwrap();
            assert_eq!(property.text, text);
        }
    }
}

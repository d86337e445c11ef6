//! For whom flags are evaluated, and which.

use std::sync::Arc;

use super::property::{Kind, Properties, fingerprint};
use super::tree;
use crate::json::{SyntaxError, write_string};

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
    contexts: Vec<String>,
    /// What the snapshots of the query share with it.
    whom: Arc<Whom>,
    is_remote_only: bool,
}

/// Whom an evaluation is about, as requests and events name it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whom {
    /// As it was given; the server cuts it itself.
    pub distinct_id: String,
    /// Type and key of each group.
    pub groups: Vec<(String, String)>,
    pub device_id: String,
    /// If it was said.
    pub geoip_disable: Option<bool>,
    /// Whether reads are not reported.
    pub is_silent: bool,
}

impl Whom {
    /// Writes the groups as one JSON object.
    pub(crate) fn write_groups(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (kind, key)) in self.groups.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(out, kind);
            out.push(b':');
            write_string(out, key);
        }
        out.push(b'}');
    }
}

impl Query {
    /// A query about all flags for this person.
    pub(crate) fn new(distinct_id: &str) -> Self {
        let mut person = Properties::default();
        person.set_string("distinct_id", distinct_id);
        let end = distinct_id.char_indices().nth(MAX_ID).map_or(distinct_id.len(), |(end, _)| end);
        let whom = Arc::new(Whom { distinct_id: distinct_id.to_owned(), ..Whom::default() });
        let distinct_id = distinct_id.get(..end).unwrap_or_default().to_owned();
        Query { distinct_id, person, whom, ..Query::default() }
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
        let groups = &mut Arc::make_mut(&mut self.whom).groups;
        groups.retain(|(known, _)| known != kind);
        groups.push((kind.to_owned(), key.to_owned()));
        self.groups.retain(|known| known.kind != kind);
        self.groups.push(group);
        Ok(true)
    }

    /// Sets the device for flags that are bucketed by device.
    pub(crate) fn set_device_id(&mut self, device_id: &str) {
        device_id.clone_into(&mut self.device_id);
        device_id.clone_into(&mut Arc::make_mut(&mut self.whom).device_id);
    }

    /// Asks for this flag, and so for no others than those that are asked for.
    pub(crate) fn add_key(&mut self, key: &str) {
        self.keys.push(key.to_owned());
    }

    /// Leaves out flags that have evaluation contexts, but none that is added here.
    pub(crate) fn add_context(&mut self, context: &str) {
        self.contexts.push(context.to_owned());
    }

    /// The contexts of the query; those of the client if it has none.
    pub(super) fn contexts_or<'a>(&'a self, of_client: &'a [String]) -> &'a [String] {
        if self.contexts.is_empty() { of_client } else { &self.contexts }
    }

    /// Says whether the server may use no address for this query, in place of the client's setting.
    pub(crate) fn set_geoip_disable(&mut self, disable: bool) {
        Arc::make_mut(&mut self.whom).geoip_disable = Some(disable);
    }

    /// Says whether reads of its snapshots are not reported.
    pub(crate) fn set_silent(&mut self, is_silent: bool) {
        Arc::make_mut(&mut self.whom).is_silent = is_silent;
    }

    /// Says whether it is evaluated by the server alone.
    pub(crate) fn set_remote_only(&mut self, is_remote_only: bool) {
        self.is_remote_only = is_remote_only;
    }

    pub(crate) fn is_remote_only(&self) -> bool {
        self.is_remote_only
    }

    pub(crate) fn whom(&self) -> &Arc<Whom> {
        &self.whom
    }

    /// The type of each group, and its properties.
    pub(super) fn group_properties(&self) -> impl Iterator<Item = (&str, &Properties)> {
        self.groups.iter().map(|group| (group.kind.as_str(), &group.properties))
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
        // The server takes no other kind of value for a device.
        let property = self.person.get(key, fingerprint(key)).filter(|property| property.kind == Kind::Text);
        property.map_or("", |property| property.text)
    }

    /// The key, which may be empty, and the properties of the group of this type.
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

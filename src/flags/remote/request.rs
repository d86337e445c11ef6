//! The body of `POST /flags`.

use super::super::query::Query;
use crate::json::write_string;

/// What the client adds to every query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    /// The project key.
    pub token: &'a str,
    /// Whether the server may not use the address of this machine, where the query does not say so itself.
    pub disable_geoip: bool,
    /// The evaluation contexts, where the query has none.
    pub contexts: &'a [String],
}

impl Query {
    /// The body of the request that evaluates this query. It names nothing but what the query has:
    /// `evaluation_runtime` is there because it would otherwise guess from the `User-Agent`, and leave out flags for
    /// servers.
    pub(crate) fn request_body(&self, sender: Sender<'_>) -> Vec<u8> {
        let mut out = b"{\"token\":".to_vec();
        write_string(&mut out, sender.token);
        out.extend_from_slice(b",\"distinct_id\":");
        write_string(&mut out, &self.whom().distinct_id);
        out.extend_from_slice(b",\"groups\":");
        self.whom().write_groups(&mut out);
        out.extend_from_slice(b",\"person_properties\":");
        self.person().write(&mut out);
        out.extend_from_slice(b",\"group_properties\":{");
        for (i, (kind, properties)) in self.group_properties().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(&mut out, kind);
            out.push(b':');
            properties.write(&mut out);
        }
        let geoip = self.whom().geoip_disable.unwrap_or(sender.disable_geoip);
        out.extend_from_slice(b"},\"geoip_disable\":");
        out.extend_from_slice(if geoip { b"true" } else { b"false" });
        out.extend_from_slice(b",\"evaluation_runtime\":\"server\"");
        let contexts = self.contexts_or(sender.contexts);
        for (name, list) in [("flag_keys_to_evaluate", &*self.keys), ("evaluation_contexts", contexts)] {
            for (i, text) in list.iter().enumerate() {
                if i == 0 {
                    out.push(b',');
                    write_string(&mut out, name);
                    out.extend_from_slice(b":[");
                } else {
                    out.push(b',');
                }
                write_string(&mut out, text);
            }
            if !list.is_empty() {
                out.push(b']');
            }
        }
        if !self.whom().device_id.is_empty() {
            out.extend_from_slice(b",\"device_id\":");
            write_string(&mut out, &self.whom().device_id);
        }
        out.push(b'}');
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(query: &Query, disable_geoip: bool) -> Value {
        let contexts = &["of the client".to_owned()];
        serde_json::from_slice(&query.request_body(Sender { token: "phc_k", disable_geoip, contexts }))
            .unwrap()
    }

    #[test]
    fn a_query_without_anything_has_all_members_that_the_server_needs() {
        let expected = json!({
            "token": "phc_k", "distinct_id": "u\"1", "groups": {}, "person_properties": {"distinct_id": "u\"1"},
            "group_properties": {}, "geoip_disable": false, "evaluation_runtime": "server",
            "evaluation_contexts": ["of the client"],
        });
        assert_eq!(body(&Query::new("u\"1"), false), expected);
    }

    #[test]
    fn everything_that_was_set_is_sent() {
        let mut query = Query::new("u");
        query
            .set_person_json(
                br#"{"n": 1.50, "list": [1, "a"], "t": "true", "b": true, "z": null, "o": {"k": {}}}"#,
            )
            .unwrap();
        query.set_group("company", "acme", Some(br#"{"seats": 20}"#)).unwrap();
        query.set_group("team", "7", None).unwrap();
        query.set_device_id("d");
        query.add_key("one");
        query.add_key("two");
        query.add_context("web");
        let expected = json!({
            "token": "phc_k", "distinct_id": "u", "groups": {"company": "acme", "team": "7"},
            "person_properties": {"distinct_id": "u", "n": 1.5, "list": [1, "a"], "t": "true", "b": true, "z": null, "o": {"k": {}}},
            "group_properties": {"company": {"$group_key": "acme", "seats": 20}, "team": {"$group_key": "7"}},
            "geoip_disable": true, "evaluation_runtime": "server", "flag_keys_to_evaluate": ["one", "two"],
            "evaluation_contexts": ["web"], "device_id": "d",
        });
        assert_eq!(body(&query, true), expected);
        query.set_geoip_disable(false);
        assert_eq!(body(&query, true)["geoip_disable"], false);
    }
}

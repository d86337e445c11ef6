//! The view of feature flags: what the namespace serves, and the newest requests for it.

use serde_json::{Value, json};

use crate::flags::FlagRecord;
use crate::namespace::Namespace;
use crate::text::cut;

/// Requests that are shown.
const SHOWN: usize = 50;
/// Bytes of the values, of the definitions, and of the body of one request that are shown.
const MAX_SERVED: usize = 1 << 20;
const MAX_BODY: usize = 1 << 14;

pub(super) fn flags(namespace: &Namespace) -> Value {
    let flags = namespace.flags();
    let values = serde_json::to_string_pretty(flags.values()).unwrap_or_default();
    let (records, definitions) = (flags.records(), flags.definitions());
    json!({
        "epoch": namespace.epoch(),
        "values": cut(&values, MAX_SERVED),
        "definitions": cut(definitions, MAX_SERVED),
        "etag": flags.etag(),
        "is_cut": values.len().max(definitions.len()) > MAX_SERVED,
        "kept": records.len(),
        "requests": records.iter().rev().take(SHOWN).map(request).collect::<Vec<_>>(),
    })
}

fn request(record: &FlagRecord) -> Value {
    let body = if record.body.is_null() { String::new() } else { record.body.to_string() };
    json!({
        "n": record.n,
        "endpoint": record.endpoint,
        "path": record.path,
        "query": record.query,
        "headers": record.headers,
        "distinct_id": record.body.get("distinct_id").and_then(Value::as_str),
        "keys": record.body.get("flag_keys_to_evaluate"),
        "body": cut(&body, MAX_BODY),
        "is_cut": body.len() > MAX_BODY,
        "status": record.status,
        "received_ms": record.received_at_ms,
        "connection": record.connection,
    })
}

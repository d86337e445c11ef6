//! The envelope around a batch's events: `{"created_at":…,"batch":[` … `]}`.

use crate::event::timestamp::{LENGTH, Timestamp};

const BEFORE: &[u8] = b"{\"created_at\":\"";
const BETWEEN: &[u8] = b"\",\"batch\":[";

/// Length of the envelope's front in bytes. It does not depend on the content, so a
/// body can grow behind it before the instant is known.
pub(crate) const FRONT: usize = BEFORE.len() + LENGTH + BETWEEN.len();

/// The bytes before the first event.
pub(crate) fn front(created_at: Timestamp) -> [u8; FRONT] {
    let mut front = [0; FRONT];
    let parts = [BEFORE, &created_at.format(), BETWEEN];
    for (slot, byte) in front.iter_mut().zip(parts.into_iter().flatten()) {
        *slot = *byte;
    }
    front
}

/// The bytes after the last event.
pub(crate) const fn back(historical_migration: bool) -> &'static [u8] {
    if historical_migration { b"],\"historical_migration\":true}" } else { b"]}" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_a_batch() {
        let at = Timestamp::parse("2026-01-02T03:04:05.006Z").unwrap();
        for historical in [false, true] {
            let body = [&front(at), b"1,2".as_slice(), back(historical)].concat();
            let mut expected = serde_json::json!({"created_at": "2026-01-02T03:04:05.006Z", "batch": [1, 2]});
            if historical {
                expected["historical_migration"] = true.into();
            }
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);
        }
    }
}

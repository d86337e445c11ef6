//! Versions as the server reads them, which accepts more than the `semver` crate: a leading `v`, missing parts and
//! leading zeros.

use std::borrow::Cow;

use semver::{Version, VersionReq};

use super::operator::VersionRange;

/// The version that a text stands for.
pub(super) fn version(text: &str) -> Option<Version> {
    let text = without_prefix(text);
    // What the crate accepts at once is canonical, and needs no memory.
    Version::parse(text).or_else(|_| Version::parse(&canonical(text))).ok()
}

/// The range that a text stands for.
pub(super) fn range(kind: VersionRange, text: &str) -> Option<VersionReq> {
    let text = without_prefix(text);
    let requirement = match kind {
        VersionRange::Tilde => format!("~{}", canonical(text)),
        VersionRange::Caret => format!("^{}", canonical(text)),
        VersionRange::Wildcard => {
            let parts: Vec<_> = text.split('.').map(without_leading_zeros).collect();
            parts.join(".").replace('*', "x")
        }
    };
    VersionReq::parse(&requirement).ok()
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix('v').unwrap_or(text).trim()
}

/// Three parts without leading zeros; what follows a `-` or `+` is left as it is.
fn canonical(text: &str) -> Cow<'_, str> {
    let (core, suffix) = text.find(['-', '+']).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
    let mut parts: Vec<_> = core.split('.').map(without_leading_zeros).collect();
    while parts.len() < 3 {
        parts.push("0");
    }
    Cow::Owned(parts.join(".") + suffix)
}

fn without_leading_zeros(part: &str) -> &str {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return part;
    }
    match part.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_server_reads_them() {
        for (text, expected) in [
            ("1.2.3", Some("1.2.3")),
            ("v1.2.3", Some("1.2.3")),
            (" 1.2.3 ", Some("1.2.3")),
            ("v 1.2", Some("1.2.0")),
            ("3.08", Some("3.8.0")),
            ("000", Some("0.0.0")),
            ("2-rc.1", Some("2.0.0-rc.1")),
            ("01.02.03+b.07", Some("1.2.3+b.07")),
            ("1.2.3.4", None),
            ("1.2.x", None),
            ("", None),
            ("vv1.2.3", None),
        ] {
            assert_eq!(version(text).map(|version| version.to_string()).as_deref(), expected, "{text:?}");
        }
        for (kind, text, inside, outside) in [
            (VersionRange::Tilde, "1.2", "1.2.9", "1.3.0"),
            (VersionRange::Caret, "0.2.3", "0.2.9", "0.3.0"),
            (VersionRange::Wildcard, "1.*", "1.9.0", "2.0.0"),
            (VersionRange::Wildcard, "v3.08.*", "3.8.1", "3.9.0"),
            (VersionRange::Tilde, "1.2.3", "1.2.3", "1.2.4-rc1"),
        ] {
            let range = range(kind, text).unwrap();
            let is_in = |text: &str| range.matches(&version(text).unwrap());
            assert!(is_in(inside) && !is_in(outside), "{text}");
        }
        assert!(range(VersionRange::Wildcard, "1.*.3").is_none());
    }
}

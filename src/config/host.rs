//! Where events are sent: the host as people write it, and the URL that it means.

use super::address;
use crate::protocol::headers::PATH;

/// The host if none is set.
pub(super) const DEFAULT: &str = "https://us.i.posthog.com";

/// Addresses of the web application, and the ingestion hosts behind them.
const INGESTION: [(&str, &str); 3] = [
    ("https://app.posthog.com", "https://us.i.posthog.com"),
    ("https://us.posthog.com", "https://us.i.posthog.com"),
    ("https://eu.posthog.com", "https://eu.i.posthog.com"),
];

/// Paths of the server that events are posted to, now or in earlier protocols. They
/// are not prefixes: libphc adds the path itself.
const ENDPOINTS: [&str; 4] = [PATH, "/i/v0/e", "/capture", "/batch"];

/// Returns the host with a scheme and without trailing slashes. A path prefix is
/// kept: reverse proxies mount ingestion under one.
pub fn normalised(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(DEFAULT.to_owned());
    }
    let (_, url) = address::parsed(text, "https")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a host must not have a query or a fragment".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a host must not contain a user name or password; the project key is the credential".to_owned()
        );
    }
    let plain = url.as_str().trim_end_matches('/');
    if let Some((path, host)) = ENDPOINTS.iter().find_map(|path| Some((path, plain.strip_suffix(path)?))) {
        return Err(format!(
            "only the host is expected here, and libphc adds the path of the endpoint; write it without {path} \
             (did you mean {host:?}?)"
        ));
    }
    let mapped = INGESTION.iter().find(|(web, _)| *web == plain);
    Ok(mapped.map_or(plain, |(_, ingestion)| ingestion).to_owned())
}

/// The URL that events are posted to.
pub fn endpoint(host: &str) -> String {
    format!("{host}{PATH}")
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;

    #[test]
    fn normalises_what_people_write() {
        let table = [
            ("", DEFAULT),
            ("  ", DEFAULT),
            ("https://app.posthog.com", "https://us.i.posthog.com"),
            ("https://US.posthog.com/", "https://us.i.posthog.com"),
            ("eu.posthog.com", "https://eu.i.posthog.com"),
            (" https://example.com/ingest// ", "https://example.com/ingest"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://[::1]:8000/", "http://[::1]:8000"),
            ("localhost:8000", "https://localhost:8000"),
            ("https://eu.i.posthog.com", "https://eu.i.posthog.com"),
            ("https://app.posthog.com/x", "https://app.posthog.com/x"),
            ("https://example.com/captured", "https://example.com/captured"),
            ("https://example.com/batch/x", "https://example.com/batch/x"),
            ("http:8000", "https://http:8000"),
        ];
        for (given, expected) in table {
            assert_eq!(normalised(given).as_deref(), Ok(expected), "{given:?}");
            assert_eq!(normalised(expected).as_deref(), Ok(expected), "{given:?}, again");
        }
        assert_eq!(endpoint("https://e.com/ingest"), "https://e.com/ingest/i/v1/analytics/events");
    }

    #[test]
    fn rejects_what_is_not_a_host() {
        for text in [
            "ftp://x",
            "http://",
            "http://a b",
            "https://x?q=1",
            "https://x#f",
            "https://u:p@x",
            "http://[::1",
            "https:/x",
        ] {
            assert!(normalised(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_accepted_is_a_url_and_accepted_again() {
        let parts = [
            "http", "https", ":", "/", "//", "://", "x", "a.b", "8000", "0", "@", "[", "]", "::1", "'",
            "%68", "%", ".", "-", "_", ",", ";", "htps", "\\", "?", "#", "A", "/batch", "xn--", "\u{f6}",
            "\t", "1.2.3", "/i/v0/e", "me:pw@", "{", "$",
        ];
        let mut seed = 7_u64;
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % limit
        };
        let mut accepted = 0;
        for _ in 0..20_000 {
            let text: String = (0..=below(7)).map(|_| parts[below(parts.len())]).collect();
            if let Ok(host) = normalised(&text) {
                accepted += 1;
                assert_eq!(normalised(&host).as_ref(), Ok(&host), "{text:?}");
                let url = reqwest::Url::parse(&endpoint(&host)).unwrap();
                assert!(url.has_host() && url.path().ends_with(PATH), "{text:?}");
            }
            if let Ok(proxy) = syntax::proxy(&text) {
                assert_eq!(syntax::proxy(&proxy).as_ref(), Ok(&proxy), "{text:?}");
                assert!(proxy.is_empty() || reqwest::Proxy::all(&proxy).is_ok(), "{text:?}");
            }
        }
        assert!(accepted > 500, "{accepted}");
    }

    #[test]
    fn an_endpoint_is_not_a_host() {
        for (text, host) in [
            ("https://us.i.posthog.com/i/v1/analytics/events", "https://us.i.posthog.com"),
            ("https://us.i.posthog.com/i/v0/e/", "https://us.i.posthog.com"),
            ("example.com/ingest/i/v1/analytics/events/", "https://example.com/ingest"),
            ("http://x:8000/capture/", "http://x:8000"),
            ("https://eu.i.posthog.com/batch", "https://eu.i.posthog.com"),
        ] {
            let error = normalised(text).unwrap_err();
            assert!(error.contains("only the host") && error.contains(&format!("{host:?}")), "{error}");
        }
    }
}

//! Where events are sent: the host as people write it, and the URL that it means.

use crate::protocol::headers::PATH;

/// The host if none is set.
pub(super) const DEFAULT: &str = "https://us.i.posthog.com";

/// Addresses of the web application, and the ingestion hosts behind them.
const INGESTION: [(&str, &str); 3] = [
    ("https://app.posthog.com", "https://us.i.posthog.com"),
    ("https://us.posthog.com", "https://us.i.posthog.com"),
    ("https://eu.posthog.com", "https://eu.i.posthog.com"),
];

/// Returns the host with a scheme and without trailing slashes. A path prefix is
/// kept: reverse proxies mount ingestion under one.
pub fn normalised(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(DEFAULT.to_owned());
    }
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = reqwest::Url::parse(&with_scheme).map_err(|error| format!("it is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme {:?} is not supported; use https or http", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a host must not have a query or a fragment".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a host must not contain a user name or password; the project key is the credential".to_owned()
        );
    }
    let plain = url.as_str().trim_end_matches('/');
    let mapped = INGESTION.iter().find(|(web, _)| *web == plain);
    Ok(mapped.map_or(plain, |(_, ingestion)| ingestion).to_owned())
}

/// The URL that events are posted to.
pub fn endpoint(host: &str) -> String {
    format!("{host}{PATH}")
}

#[cfg(test)]
mod tests {
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
        ];
        for (given, expected) in table {
            assert_eq!(normalised(given).as_deref(), Ok(expected), "{given:?}");
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
        ] {
            assert!(normalised(text).is_err(), "{text}");
        }
    }
}

//! The syntax of headers, product names and proxy URLs.

use crate::protocol::headers::RESERVED;

/// Checks a header value: visible ASCII with spaces and tabs between (RFC 9110
/// section 5.5, without its obsolete part). Returns it trimmed.
pub(super) fn header_value(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !matches!(c, ' '..='~' | '\t')) {
        None => Ok(text.trim().to_owned()),
        Some(c) => Err(format!("the character {c:?} is not allowed in a header; use visible ASCII")),
    }
}

/// Checks a header name or product name (RFC 9110 section 5.6.2).
pub(super) fn token(text: &str) -> Result<String, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || text.len() > 100 {
        return Err("1 to 100 characters are expected".to_owned());
    }
    match text.chars().find(|c| !is_token(*c)) {
        None => Ok(text.to_owned()),
        Some(c) => {
            Err(format!("the character {c:?} is not allowed here; use letters, digits, `-`, `_` or `.`"))
        }
    }
}

/// Checks the name of an additional header. Returns it in lower case.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let name = token(text)?.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) {
        return Err("libphc itself sets this header".to_owned());
    }
    Ok(name)
}

/// Checks a proxy's URL; empty means no proxy. Returns it with its scheme.
pub(super) fn proxy(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = reqwest::Url::parse(&with_scheme).map_err(|error| format!("it is not a URL ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(with_scheme),
        scheme => Err(format!("the scheme {scheme:?} is not supported; use http or https")),
    }
}

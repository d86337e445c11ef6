//! What is valid text for a header, a product name, a proxy.

use crate::protocol::headers::RESERVED;

/// Header values: visible ASCII, spaces and tabs between (RFC 9110 section 5.5,
/// without its obsolete part).
pub fn header_value(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !matches!(c, ' '..='~' | '\t')) {
        None => Ok(text.trim().to_owned()),
        Some(c) => Err(format!("the character {c:?} cannot stand in a header; use visible ASCII")),
    }
}

/// Header names and product names (RFC 9110 section 5.6.2).
pub fn token(text: &str) -> Result<String, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || text.len() > 100 {
        return Err("1 to 100 characters are expected".to_owned());
    }
    match text.chars().find(|c| !is_token(*c)) {
        None => Ok(text.to_owned()),
        Some(c) => {
            Err(format!("the character {c:?} cannot stand here; use letters, digits, `-`, `_` or `.`"))
        }
    }
}

/// The name of an additional header.
pub fn header_name(text: &str) -> Result<String, String> {
    let name = token(text)?.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) {
        return Err("this header is set by libphc itself".to_owned());
    }
    Ok(name)
}

/// A proxy's URL; empty is none.
pub fn proxy(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = reqwest::Url::parse(&with_scheme).map_err(|error| format!("it is no URL ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(with_scheme),
        scheme => Err(format!("the scheme {scheme:?} is not supported; use http or https")),
    }
}

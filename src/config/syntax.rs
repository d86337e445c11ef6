//! The syntax of headers, product names, proxy URLs, paths and project keys.

use super::address;
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
    address::parsed(text, "http").map(|(with_scheme, _)| with_scheme)
}

/// Checks a path, and makes it independent of the current folder of later; empty means none. The text of a PEM file
/// in its place is refused, and not repeated: it may hold a key.
pub(super) fn path(text: &str) -> Result<String, String> {
    if text.contains(PEM_MARK) {
        return Err("the path of a file is expected, not what is in it".to_owned());
    }
    if text.is_empty() {
        return Ok(String::new());
    }
    let absolute = std::path::absolute(text).map_err(|error| format!("a path is expected ({error})"))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| "the current folder has a name that is not UTF-8".to_owned())
}

/// Checks the path of the spool's folder.
pub(super) fn spool_dir(text: &str) -> Result<String, String> {
    if cfg!(not(all(unix, feature = "spool"))) && !text.is_empty() {
        return Err("this libphc was built without the spool, which keeps events on disk".to_owned());
    }
    path(text)
}

/// With this begins what a PEM file holds.
const PEM_MARK: &str = "-----BEGIN";

/// The setting whose value is secret.
pub(super) const SECRET_KEY: &str = "secret_key";

/// Returns a value as an error may show it: without a secret key, without the password of an
/// address, and without the text of a PEM file.
pub(super) fn shown(key: &str, value: &str) -> String {
    if key == SECRET_KEY {
        return "(a key)".to_owned();
    }
    if value.contains(PEM_MARK) {
        return "(the text of a PEM file)".to_owned();
    }
    match key {
        "host" | "proxy" => address::shown(value),
        _ => address::without_userinfo(value),
    }
}

/// How keys begin that are not those of projects, and what they are.
const OTHER_KEYS: [(&str, &str); 2] =
    [("phx_", "a personal API key"), ("phs_", "a secret key for feature flags")];

/// Checks a project key. It may be any text that the server knows, but some texts can
/// never be one. The error does not repeat it.
pub(super) fn project_key(key: &str) -> Result<(), String> {
    let scheme = key.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("bearer"));
    if scheme.is_some()
        && key.get(6..).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    {
        return Err("write it without \"Bearer\": libphc adds that itself".to_owned());
    }
    if let Some(quote) = key.chars().find(|c| address::is_quote(*c)) {
        return Err(format!("write it without the quotation mark {quote:?}"));
    }
    if key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it must not have white space inside; was more than the key copied?".to_owned());
    }
    header_value(key).map(|_| ())
}

/// Checks a secret key, with which definitions of feature flags are fetched; empty means none. Returns it without
/// white space around it.
pub(super) fn secret_key(text: &str) -> Result<String, String> {
    let key = text.trim();
    if key.starts_with("phc_") {
        return Err(
            "this is the key of a project (phc_…), which is public; the feature flags secure key of the \
                    project (phs_…) or a personal API key (phx_…) is expected"
                .to_owned(),
        );
    }
    project_key(key).map(|()| key.to_owned())
}

/// Returns a line for the log about a key that is accepted and is probably wrong.
pub(super) fn key_warning(key: &str) -> Option<String> {
    let (prefix, kind) = OTHER_KEYS.iter().find(|(prefix, _)| key.starts_with(prefix))?;
    Some(format!(
        "the project key begins with {prefix}, as {kind} does, which is secret and is not accepted for events; the \
         key of a project begins with phc_ and is in the project's settings"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_key_that_can_never_be_right_is_refused() {
        for (key, reason) in [
            ("\"phc_a\"", "quotation mark"),
            ("'phc_a'", "quotation mark"),
            ("phc_a'", "quotation mark"),
            ("`phc_a`", "quotation mark"),
            ("\u{201c}phc_a\u{201d}", "quotation mark"),
            ("Bearer phc_a", "Bearer"),
            ("bearer\tphc_a", "Bearer"),
            ("BEARER", "Bearer"),
            ("phc_a phc_b", "white space"),
            ("phc_a\nphc_b", "white space"),
            ("phc_a\u{a0}", "white space"),
            ("key: phc_a", "white space"),
            ("phc_\u{e9}", "not allowed in a header"),
        ] {
            let error = project_key(key).unwrap_err();
            assert!(error.contains(reason) && !error.contains("phc_a"), "{key:?}: {error}");
        }
        for key in ["", "phc_a", "a", "bearer_of_events", "bearer-token", "phx_a", "a,b;c=d/e:f#g@h"] {
            assert_eq!(project_key(key), Ok(()), "{key:?}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_accepted_with_a_warning() {
        for (key, kind) in [("phx_secret", "personal"), ("phs_secret", "feature flags")] {
            let warning = key_warning(key).unwrap();
            assert!(
                warning.contains(kind) && warning.contains("phc_") && !warning.contains("secret,"),
                "{warning}"
            );
            assert!(!warning.contains(key), "{warning}");
        }
        assert_eq!(key_warning("phc_a"), None);
    }

    #[test]
    fn a_relative_path_is_that_from_the_folder_of_now() {
        let now = std::env::current_dir().unwrap();
        for (text, expected) in
            [("c.pem", now.join("c.pem")), ("/etc/c.pem", "/etc/c.pem".into()), ("", "".into())]
        {
            assert_eq!(std::path::PathBuf::from(path(text).unwrap()), expected);
        }
    }

    #[test]
    fn an_error_shows_no_password_and_no_key() {
        for (value, expected) in [
            ("https://x", "\"https://x\""),
            ("http://me:se@cret@10.0.0.1:3128", "\"http://\u{2026}@10.0.0.1:3128\""),
            ("me:secret@proxy", "\"\u{2026}@proxy\""),
            ("-----BEGIN PRIVATE KEY-----\nMIG", "(the text of a PEM file)"),
            ("@", "\"@\""),
            ("http://@x", "\"http://@x\""),
            ("", "\"\""),
            ("http://me:secret", "\"http://me:\u{2026}\""),
            ("http://x:80/a:b", "\"http://x:80/a:b\""),
            ("http://fe80::1", "\"http://fe80::1\""),
            ("http:/x", "\"http:/x\""),
        ] {
            assert_eq!(shown("proxy", value), expected, "{value:?}");
        }
        for refused in [
            "http//me:secret@proxy",
            "//me:secret@proxy",
            "socks5://me:secret@proxy",
            "http://http://me:secret@proxy",
            "\"http://me:secret@proxy\"",
            "http://me:secret\\@proxy",
            "http://me:secret/@proxy",
            "http://me:secret?@proxy",
            "http://me:secret@proxy:0",
            "http://me:secret@::1",
            "me:secret@proxy://",
            "me:secret@proxy:3128,http://other:3128",
            "http://me:secret@proxy:3128,http://me:secret@other:3128",
            "\"me:secret@proxy\" http://x",
            "me:secret@proxy:3128/http://x y",
            "me:secret://@proxy:3128",
            "socks5:me:secret@proxy://x",
            "http://me:secret",
            "http:/me:secret",
            "http:me:secret",
            "me:secret",
        ] {
            let reason = Config::new("key").set("proxy", refused).unwrap_err().to_string();
            assert!(!reason.contains("secret"), "{refused}: {reason}");
        }
        let credential = Config::new("key").set("header.Proxy-Authorization", "Basic secret\n").unwrap_err();
        assert!(!credential.to_string().contains("secret"), "{credential}");
    }
}

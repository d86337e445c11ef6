//! What a response that ended badly probably means, and what to do about it, in one
//! line for people. Nothing is decided here.

use std::ops::RangeInclusive;

use super::response::{error_members, one_line, shortened, shortened_to, text_of};

/// The longest text, in bytes.
const MAX_TEXT: usize = 1200;

/// What a server without this protocol, or a proxy that does not know its path, is
/// recognised by: pages, redirects to a login, 404 and 405 without an error of Capture v1.
const NO_CAPTURE_V1: &str = "probably this server, or a proxy before it, does not have Capture v1 (the path /i/v1/analytics/events): PostHog Cloud has it, self-hosted PostHog since June 2026 if its proxy passes the path on; check `host`, which may lack a path prefix";

/// Which bodies a row of [`HINTS`] is for.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// The body is not an error of Capture v1.
    NotAnError,
    /// The body is HTML or XML.
    Page,
}

/// What a status probably means, and what to do about it. The first row that fits counts.
const HINTS: [(RangeInclusive<u16>, When, &str); 11] = [
    (
        401..=401,
        When::Page,
        "probably a proxy refuses the name and password in the setting proxy, or a login stands before the server: the project key was not looked at",
    ),
    (
        401..=401,
        When::Always,
        "the server does not know the project key: check api_key (a personal key, phx_…, is not one), and that `host` is where the project is",
    ),
    (
        402..=402,
        When::Always,
        "the billing limit of the project is reached: nothing is wrong with these events, and none are taken until the limit is raised or the billing period ends",
    ),
    (404..=405, When::NotAnError, NO_CAPTURE_V1),
    (
        407..=407,
        When::Always,
        "the proxy requires a name and a password (proxy = http://name:password@host:port)",
    ),
    (
        413..=413,
        When::Always,
        "the body is larger than the server or a proxy before it takes (for example client_max_body_size in nginx); a batch of several events is split, a single event is lost: raise that limit, or lower max_batch_bytes and max_event_bytes",
    ),
    (
        415..=415,
        When::Always,
        "the server does not know the codec of the body, or a proxy has changed it: gzip and none are the settings of compression that every server of Capture v1 takes",
    ),
    (
        429..=429,
        When::Always,
        "probably a proxy before the server limits the rate, as Capture v1 itself asks for a pause by 503; such batches are sent again only if 429 is in retry_statuses",
    ),
    (400..=499, When::Page, NO_CAPTURE_V1),
    (502..=504, When::Always, "a proxy cannot reach the server, or the server is overloaded or restarting"),
    (500..=599, When::Always, "the server failed; the reason is in its log"),
];

/// Words in the target of a redirect that leads to a login page.
const LOGIN: [&str; 7] = ["login", "log-in", "signin", "sign-in", "auth", "saml", "sso"];

/// A response with a status other than 2xx.
pub(super) fn status(status: u16, location: Option<&str>, body: &[u8]) -> String {
    let error = error_members(body);
    let is_error = !error.is_empty();
    let shape = Shape::of(body);
    let said = if is_error { error } else { shape.said() };
    let hint = match (status, location) {
        (300..=399, Some(target)) => redirect(target),
        (300..=399, None) => "a redirect without a target".to_owned(),
        _ => {
            let fits = |(statuses, when, _): &&(RangeInclusive<u16>, When, &str)| {
                let body_fits = match when {
                    When::Always => true,
                    When::NotAnError => !is_error,
                    When::Page => matches!(shape, Shape::Page(_)),
                };
                body_fits && statuses.contains(&status)
            };
            HINTS.iter().find(fits).map(|(_, _, hint)| (*hint).to_owned()).unwrap_or_default()
        }
    };
    let parts = [said, hint];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let colon = if parts.is_empty() { "" } else { ": " };
    line(&format!("HTTP {status}{colon}{}", parts.join("; ")))
}

fn redirect(target: &str) -> String {
    let words = target.to_ascii_lowercase();
    let next = if LOGIN.iter().any(|word| words.contains(word)) {
        format!("it looks like a login page: {NO_CAPTURE_V1}")
    } else {
        "if it is right, set `host` to it".to_owned()
    };
    format!("the redirect to {:?} was not followed; {next}", shortened(target))
}

/// A complete 2xx that is not a response of Capture v1, for this reason.
pub(super) fn malformed(reason: &str, body: &[u8]) -> String {
    let shape = Shape::of(body);
    let text = match shape {
        Shape::Page(_) => format!("the response is {}; {NO_CAPTURE_V1}", shape.said()),
        Shape::Binary(_) => format!("the response is not JSON: {}", shape.said()),
        Shape::Text(text) if text.is_empty() => format!("the response is empty; {NO_CAPTURE_V1}"),
        Shape::Text(text) if text.starts_with('{') => format!("{reason}: {}", shortened(&text)),
        Shape::Text(text) => format!("{reason}: {}; {NO_CAPTURE_V1}", shortened(&text)),
    };
    line(&text)
}

fn line(text: &str) -> String {
    shortened_to(&one_line(text), MAX_TEXT)
}

/// A response with this status that is larger than its bound, in bytes.
pub(super) fn oversized(status: u16, bound: usize) -> String {
    let hint = if matches!(status, 200..=299) {
        format!("; if it is a page, {NO_CAPTURE_V1}")
    } else {
        String::new()
    };
    format!("the response (HTTP {status}) is larger than its bound of {bound} bytes{hint}")
}

/// What a body looks like.
enum Shape {
    /// HTML or XML, with its title if it has one.
    Page(Option<String>),
    /// Not text; the name of its compression if it can be seen.
    Binary(Option<&'static str>),
    /// Anything else.
    Text(String),
}

/// How compressed bodies begin. The others of HTTP begin with any byte.
const MAGIC: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x78\x01", "deflate"),
    (b"\x78\x9c", "deflate"),
    (b"\x78\xda", "deflate"),
];

impl Shape {
    fn of(body: &[u8]) -> Shape {
        let text = text_of(body);
        let text = text.trim_start();
        let magic = MAGIC.iter().find(|(magic, _)| body.starts_with(magic)).map(|(_, name)| *name);
        let is_binary =
            text.bytes().take(1024).any(|byte| byte < b' ' && !byte.is_ascii_whitespace() && byte != 0x1b);
        match text {
            _ if magic.is_some() || is_binary => Shape::Binary(magic),
            page if page.starts_with('<') => Shape::Page(title(page)),
            text => Shape::Text(text.to_owned()),
        }
    }

    /// What it says, for people.
    fn said(&self) -> String {
        match self {
            Shape::Page(Some(title)) => format!("a page (HTML) with the title {:?}", shortened(title)),
            Shape::Page(None) => "a page (HTML or XML)".to_owned(),
            Shape::Binary(compression) => format!(
                "the body is compressed ({}), although `Accept-Encoding: identity` asked for a body that is not: a proxy before the server does that",
                compression.unwrap_or("or other binary data")
            ),
            Shape::Text(text) => shortened(text),
        }
    }
}

/// The title of a page, without white space around it.
fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let tag = lower.find("<title")?;
    let start = tag + lower.get(tag..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find('<')?;
    let title = page.get(start..end)?.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\u{feff}\n<!DOCTYPE html><HTML><head><Title lang=en>\n Log in\n</title>";

    fn text_of_status(code: u16, body: &str) -> String {
        status(code, None, body.as_bytes())
    }

    /// The hints do not know the settings, so they must not ask for what may be set already.
    #[test]
    fn no_hint_asks_for_a_setting_that_may_be_set_already() {
        let hints = HINTS.iter().map(|(_, _, hint)| hint);
        assert!(hints.clone().all(|hint| !hint.contains("set compression") && !hint.contains("add 429")));
        assert!(text_of_status(429, "").contains("only if 429 is in retry_statuses"));
        assert!(text_of_status(415, "").contains("gzip and none"));
    }

    #[test]
    fn each_status_says_what_is_probably_wrong_and_what_the_server_said() {
        let table = [
            (401, r#"{"error":"no key"}"#, "no key", "personal key"),
            (401, PAGE, "\"Log in\"", "the setting proxy"),
            (402, "", "", "billing limit"),
            (404, "not found", "not found", "June 2026"),
            (404, r#"{"detail":"Endpoint not found."}"#, "Endpoint not found.", "path prefix"),
            (405, "", "", "path prefix"),
            (405, PAGE, "\"Log in\"", "path prefix"),
            (400, PAGE, "\"Log in\"", "path prefix"),
            (403, "<?xml version='1.0'?><Error/>", "HTML or XML", "path prefix"),
            (407, "", "", "name and a password"),
            (413, "<html><title>413 Request Entity Too Large</title>", "413 Request", "max_batch_bytes"),
            (415, "", "", "compression"),
            (429, "slow down", "slow down", "retry_statuses"),
            (500, "oops", "oops", "the server failed"),
            (502, "<html><title>502 Bad Gateway</title>", "502 Bad", "cannot reach the server"),
            (503, "", "", "overloaded"),
        ];
        for (code, body, said, hint) in table {
            let text = text_of_status(code, body);
            assert!(text.starts_with(&format!("HTTP {code}: ")), "{text}");
            assert!(text.contains(said) && text.contains(hint), "{code} {body}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        for (code, body, whole) in [
            (404, r#"{"error":"gone","error_description":"no project"}"#, "HTTP 404: gone: no project"),
            (400, r#"{"error":"bad"}"#, "HTTP 400: bad"),
            (400, "", "HTTP 400"),
            (418, " teapot\n", "HTTP 418: teapot"),
        ] {
            assert_eq!(text_of_status(code, body), whole);
        }
    }

    #[test]
    fn a_redirect_names_its_target_and_a_login_page_is_recognised() {
        let text = |target| status(302, Some(target), b"");
        assert!(
            text("https://elsewhere/")
                .ends_with("\"https://elsewhere/\" was not followed; if it is right, set `host` to it")
        );
        assert!(text("/Login?next=/i/v1").contains("login page") && text("/login").contains("path prefix"));
        assert_eq!(status(304, None, b""), "HTTP 304: a redirect without a target");
    }

    #[test]
    fn a_success_of_another_server_is_recognised() {
        let reason = "the reason";
        assert!(
            malformed(reason, PAGE.as_bytes())
                .starts_with("the response is a page (HTML) with the title \"Log in\"; ")
        );
        for body in ["", PAGE, "ok", "1", "<svg/>", "\0\0"] {
            assert!(malformed(reason, body.as_bytes()).contains("Capture v1"), "{body}");
        }
        assert_eq!(malformed(reason, br#"{"status": 1}"#), r#"the reason: {"status": 1}"#);
    }

    #[test]
    fn a_compressed_body_is_named() {
        for (body, name) in [
            (&b"\x1f\x8b\x08\0\0"[..], "(gzip)"),
            (b"\x28\xb5\x2f\xfdabc", "(zstd)"),
            (b"\x78\x9cabc", "(deflate)"),
            (b"\x1b\x2f\0\xf8\x05abc", "(or other binary data)"),
        ] {
            for text in [malformed("reason", body), status(500, None, body)] {
                assert!(text.contains(name) && text.contains("Accept-Encoding: identity"), "{text}");
            }
        }
    }

    #[test]
    fn every_text_is_one_bounded_line() {
        for body in ["x\n".repeat(100_000), format!("<title>{}</title>", "é\n".repeat(100_000))] {
            let long = "\u{7}".repeat(100_000);
            for code in 100..=599 {
                let text = status(code, Some(&long), body.as_bytes());
                assert!(text.len() <= MAX_TEXT + 3 && !text.contains('\n'), "{code} {}", text.len());
            }
            assert!(malformed("reason", body.as_bytes()).len() <= MAX_TEXT + 3);
        }
    }
}

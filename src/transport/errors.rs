//! Turns errors of the layers below into messages that say what to do next.
//!
//! Those layers describe their errors for programmers, each in its own way and mostly
//! in types that cannot be named from here. So what does not come from TLS is
//! distinguished by its text; black-box tests hold every row below against the real
//! error.

use std::error::Error;

use reqwest::Url;

use super::tls;

/// Part of the technical text, and what it means. The first row that matches counts.
const HINTS: [(&str, &str); 9] = [
    (
        "invalid HTTP version",
        "not HTTP: the server did not reply with HTTP; if it expects TLS, use https:// in `host`",
    ),
    (
        "message head is too large",
        "more than 100 response headers, or more than 400 KiB of them: the server, or a proxy before it, must send fewer",
    ),
    ("dns error: look-up of ", "the name of the host could not be looked up"),
    ("dns error", "the name of the host was not found"),
    ("operation timed out", "no connection within connect_timeout_ms"),
    (
        "tls handshake eof",
        "the connection was closed during the TLS handshake; if the server expects plain HTTP, use http:// in `host`",
    ),
    (
        "client error (Connect): Connection reset by peer",
        "the connection was reset during the TLS handshake; if the server expects plain HTTP, use http:// in `host`",
    ),
    ("connection closed before message", "the server closed the connection before it responded"),
    ("deadline has elapsed", "no connection within connect_timeout_ms"),
];

/// The same with a proxy in between: then the proxy is what is connected to and
/// looked up.
const PROXY_HINTS: [(&str, &str); 6] = [
    (
        "proxy authorization required",
        "the proxy requires a name and a password: http://name:password@host:port",
    ),
    (
        "tunnel error: unsuccessful",
        "the proxy refused to connect to the host: it does not allow that host or port, or does not know the name and password",
    ),
    ("dns error: look-up of ", "the name of the proxy could not be looked up"),
    ("dns error", "the name of the proxy was not found"),
    ("tcp connect error", "the proxy cannot be reached"),
    ("tunnel error", "the proxy did not connect to the host"),
];

/// Returns what an error means, followed by its technical text.
pub(super) fn user_message(error: &(dyn Error + 'static), proxied: bool) -> String {
    let chain = whole_chain(error);
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| chain.contains(part)).map(|(_, hint)| *hint)
    };
    let technical = without_noise(chain.clone());
    let hint = tls::meaning(error)
        .or_else(|| proxied.then(|| find(&PROXY_HINTS)).flatten())
        .or_else(|| find(&HINTS));
    match hint {
        Some(hint) => format!("{hint} ({technical})"),
        None => technical,
    }
}

/// Returns where attempts go, as the errors name it: the host with its port, and the proxy before it.
///
/// `proxy` is the setting, which may be empty; its password is not repeated.
pub(super) fn destination(url: &Url, proxy: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    let address = match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    if proxy.is_empty() {
        address
    } else {
        format!("{address} through the proxy {}", without_password(proxy))
    }
}

/// What the layers say about themselves rather than about the error.
const NOISE: [&str; 5] = [
    "error sending request: ",
    "client error (Connect): ",
    "client error (SendRequest): ",
    "error decoding response body: ",
    "error reading a body from connection: ",
];

/// Returns the error followed by its causes, as a user may read them.
pub(super) fn error_chain(error: &dyn Error) -> String {
    without_noise(whole_chain(error))
}

/// Returns the error followed by its causes, without repetition.
fn whole_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}

fn without_noise(text: String) -> String {
    NOISE.iter().fold(text, |text, noise| text.replace(noise, ""))
}

/// Returns the proxy's URL as it may appear in a log.
fn without_password(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
        _ => proxy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Box<dyn Error> {
        text.into()
    }

    #[test]
    fn a_message_says_what_to_do_and_keeps_the_technical_text() {
        let cause = "error sending request: client error (Connect): invalid HTTP version parsed";
        let text = user_message(&*error(cause), false);
        assert!(text.starts_with("not HTTP: ") && text.contains("use https://"), "{text}");
        assert!(text.ends_with("(invalid HTTP version parsed)"), "{text}");
        assert_eq!(user_message(&*error("something new"), false), "something new");
    }

    #[test]
    fn with_a_proxy_it_is_the_proxy_that_cannot_be_reached() {
        let text = user_message(&*error("tcp connect error: refused"), true);
        assert_eq!(text, "the proxy cannot be reached (tcp connect error: refused)");
        let text = user_message(&*error("dns error: no such host"), false);
        assert_eq!(text, "the name of the host was not found (dns error: no such host)");
    }

    #[test]
    fn a_destination_has_the_port_and_the_proxy_without_its_password() {
        for (url, proxy, expected) in [
            ("https://eu.i.posthog.com/i/v1/analytics/events", "", "eu.i.posthog.com:443"),
            ("http://x/prefix", "", "x:80"),
            ("http://[::1]:8000", "", "[::1]:8000"),
            ("https://x", "http://me:se@cret@10.0.0.1:3128", "x:443 through the proxy http://10.0.0.1:3128"),
            ("https://x", "proxy:3128", "x:443 through the proxy proxy:3128"),
        ] {
            assert_eq!(destination(&Url::parse(url).unwrap(), proxy), expected);
        }
    }
}

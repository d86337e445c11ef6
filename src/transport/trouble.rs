//! What went wrong on the way, in words that say what to do next.
//!
//! The layers below describe their errors for programmers, each in its own
//! manner and mostly in types that nobody else can name. So they are told apart
//! by their texts; tests from outside hold every row against the real thing.

use std::error::Error;

/// Part of the technical text, and what it means for a person. The first row
/// that fits counts.
const HINTS: [(&str, &str); 12] = [
    (
        "UnknownIssuer",
        "unknown issuer: the server's certificate is signed by no authority that is trusted here; if that is as it should be, set ca_file to the authority's certificate",
    ),
    (
        "CaUsedAsEndEntity",
        "self-signed: the server shows a certificate that is meant for signing others; give it one for its host, and set ca_file to the certificate that signed it",
    ),
    ("not valid for name", "wrong host: the server's certificate is for other names; is host right?"),
    (
        "certificate expired",
        "expired: the server's certificate is not valid any more; is the machine's clock right?",
    ),
    (
        "certificate not valid yet",
        "not valid yet: the server's certificate is for a later time; is the machine's clock right?",
    ),
    ("InvalidContentType", "no TLS: what answers there speaks no TLS; should host begin with http://?"),
    (
        "invalid HTTP version",
        "no HTTP: what answers there speaks no HTTP, or wants TLS; should host begin with https://?",
    ),
    ("dns error", "the name of the host is not found"),
    ("operation timed out", "no connection within connect_timeout_ms"),
    ("tls handshake eof", "the connection was closed in the middle of the TLS handshake"),
    ("connection closed before message", "the server closed the connection before it had answered"),
    ("deadline has elapsed", "no connection within connect_timeout_ms"),
];

/// The same where a proxy stands between: then it is the proxy that is connected
/// to and looked up.
const PROXY_HINTS: [(&str, &str); 5] = [
    ("proxy authorization required", "the proxy wants a name and a password: http://name:password@host:port"),
    (
        "tunnel error: unsuccessful",
        "the proxy refused to connect to the host: it does not allow that host or port, or knows no such name and password",
    ),
    ("dns error", "the name of the proxy is not found"),
    ("tcp connect error", "the proxy cannot be reached"),
    ("tunnel error", "the proxy did not connect to the host"),
];

/// What an error means, followed by what it says itself.
///
/// `proxy` is the setting, if it is not empty; its password is not repeated.
pub fn explained(error: &dyn Error, proxy: &str) -> String {
    let technical = described(error);
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| technical.contains(part)).map(|(_, words)| *words)
    };
    let proxied = !proxy.is_empty();
    let hint = proxied.then(|| find(&PROXY_HINTS)).flatten().or_else(|| find(&HINTS));
    let text = match hint {
        Some(hint) => format!("{hint} ({technical})"),
        None => technical,
    };
    if proxied { format!("through the proxy {}: {text}", without_password(proxy)) } else { text }
}

/// What the layers say of themselves, not of the trouble.
const NOISE: [&str; 5] = [
    "error sending request: ",
    "client error (Connect): ",
    "client error (SendRequest): ",
    "error decoding response body: ",
    "error reading a body from connection: ",
];

/// The error with its causes, each said once.
pub fn described(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    NOISE.iter().fold(text, |text, noise| text.replace(noise, ""))
}

/// The URL of a proxy as it may be shown in a log.
fn without_password(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
        _ => proxy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(text: &str) -> Box<dyn Error> {
        text.into()
    }

    #[test]
    fn says_what_to_do_and_keeps_the_technical_words() {
        let error =
            saying("error sending request: client error (Connect): invalid peer certificate: UnknownIssuer");
        let text = explained(&*error, "");
        assert!(text.starts_with("unknown issuer: ") && text.contains("set ca_file"), "{text}");
        assert!(text.ends_with("(invalid peer certificate: UnknownIssuer)"), "{text}");
        assert_eq!(explained(&*saying("something new"), ""), "something new");
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let text = explained(&*saying("tcp connect error: refused"), "http://me:se@cret@10.0.0.1:3128");
        assert_eq!(
            text,
            "through the proxy http://10.0.0.1:3128: the proxy cannot be reached (tcp connect error: refused)"
        );
        let text = explained(&*saying("dns error: no such host"), "");
        assert_eq!(text, "the name of the host is not found (dns error: no such host)");
    }
}

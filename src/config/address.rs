//! The address of a server as people write it, and what they often type in its place.
//!
//! A URL parser accepts most typing errors as names of hosts: `http//x` is a host
//! `http`. Then nothing is wrong until the first request. So what is not a host is
//! refused when it is set, with what was probably meant.

use reqwest::Url;

/// Quotation marks that are copied along with an address.
const QUOTES: &str = "\"'`\u{b4}\u{2018}\u{2019}\u{201a}\u{201c}\u{201d}\u{201e}\u{ab}\u{bb}\u{2039}\u{203a}";

/// Returns whether a character is a quotation mark.
pub(super) fn is_quote(c: char) -> bool {
    QUOTES.contains(c)
}

/// An address, divided where a URL is divided, before anything is known to be right.
struct Written<'a> {
    /// All of it.
    text: &'a str,
    /// What precedes `://`; empty if that is missing.
    scheme: &'a str,
    /// What follows it.
    rest: &'a str,
    /// `host:port`.
    authority: &'a str,
    /// From the first slash after it.
    path: &'a str,
    /// The scheme that is meant if none is written.
    default_scheme: &'static str,
}

impl<'a> Written<'a> {
    fn new(text: &'a str, default_scheme: &'static str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Written { text, scheme, rest, authority, path, default_scheme }
    }

    fn has_http_scheme(&self) -> bool {
        ["http", "https"].iter().any(|scheme| self.scheme.eq_ignore_ascii_case(scheme))
    }

    /// What follows the name and password.
    fn server(&self) -> &'a str {
        self.rest.get(self.rest.len() - self.authority.len() - self.path.len()..).unwrap_or_default()
    }

    /// The port as it is written, if one is.
    fn port(&self) -> Option<&'a str> {
        let after_address = self.authority.rsplit_once(']').map_or(self.authority, |(_, after)| after);
        after_address.rsplit_once(':').map(|(_, port)| port)
    }
}

/// Returns why an address is refused, if it has this one fault.
type Check = fn(&Written<'_>) -> Option<String>;

/// In the order in which they are made: each may rely on those before it.
const CHECKS: [Check; 11] = [
    quoted,
    not_one_word,
    scheme_mistyped,
    scheme_twice,
    scheme_missing,
    scheme_unknown,
    without_host,
    not_ascii,
    bare_ipv6,
    port_out_of_range,
    host_characters,
];

/// Returns the address with its scheme, and as a URL.
pub(super) fn parsed(text: &str, default_scheme: &'static str) -> Result<(String, Url), String> {
    let written = Written::new(text, default_scheme);
    if let Some(reason) = CHECKS.iter().find_map(|check| check(&written)) {
        return Err(reason);
    }
    let with_scheme =
        if written.scheme.is_empty() { format!("{default_scheme}://{text}") } else { text.to_owned() };
    let url = Url::parse(&with_scheme).map_err(|error| format!("it is not a URL ({error})"))?;
    Ok((with_scheme, url))
}

/// Returns an address as an error may show it: quoted, without name and password, also where its host is forgotten.
pub(super) fn shown(address: &str) -> String {
    let (scheme, rest) = address.split_at(scheme_bytes(address));
    let is_ipv6 = |name: &str| name.chars().all(|c| c.is_ascii_hexdigit() || c == '[');
    let has_password = |(name, port): &(&str, &str)| {
        let port = port.split(['/', '?', '#']).next().unwrap_or_default();
        !is_ipv6(name) && !port.bytes().all(|byte| byte.is_ascii_digit())
    };
    match rest.split_once(':').filter(has_password) {
        Some((name, _)) if !rest.contains('@') => format!("{:?}", format!("{scheme}{name}:\u{2026}")),
        _ => without_userinfo(address),
    }
}

/// Returns a text as an error may show it: quoted, without name and password if it is an address.
pub(super) fn without_userinfo(text: &str) -> String {
    let (scheme, rest) = text.split_at(scheme_bytes(text));
    match rest.rfind('@').filter(|at| *at > 0).and_then(|at| rest.get(at..)) {
        Some(host) => format!("{:?}", format!("{scheme}\u{2026}{host}")),
        None => format!("{text:?}"),
    }
}

/// How many bytes at the beginning are the scheme of an address, perhaps mistyped.
fn scheme_bytes(address: &str) -> usize {
    let name = address.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (name, rest) = address.split_at(name);
    let slashes = rest.bytes().skip(1).take_while(|byte| *byte == b'/').count();
    let is_http = name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("https");
    if rest.starts_with(':') && (is_http || slashes >= 2) { name.len() + 1 + slashes } else { 0 }
}

fn did_you_mean(address: &str) -> String {
    format!(" (did you mean {}?)", shown(address))
}

/// `"https://x"`. A single quotation mark is a legal character of a path.
fn quoted(written: &Written<'_>) -> Option<String> {
    let text = written.text;
    let is_quoted = text.starts_with(is_quote)
        || text.ends_with(|c| is_quote(c) && c != '\'')
        || written.authority.contains(is_quote);
    let bare = || text.chars().filter(|c| !is_quote(*c)).collect::<String>();
    is_quoted.then(|| format!("write it without quotation marks{}", did_you_mean(&bare())))
}

/// White space, control characters, a list, a backslash.
fn not_one_word(written: &Written<'_>) -> Option<String> {
    let outside = [written.scheme, written.authority, written.path];
    let has = |wanted: fn(char) -> bool| outside.iter().any(|part| part.contains(wanted));
    if has(|c| c.is_whitespace() || c.is_control()) {
        return Some("one address is expected, without white space inside".to_owned());
    }
    if written.authority.contains(',') {
        return Some("one address is expected, not a list with commas".to_owned());
    }
    // A URL ends its authority at a backslash, even in a password.
    written
        .text
        .contains('\\')
        .then(|| format!("write / in place of \\{}", did_you_mean(&written.text.replace('\\', "/"))))
}

/// `http//x`, `https:/x`, `http:x`, `https;//x`, `htps//x`.
fn scheme_mistyped(written: &Written<'_>) -> Option<String> {
    if !written.scheme.is_empty() && !written.scheme.contains(['/', ':']) {
        return None;
    }
    let (scheme, rest) = scheme_like(written.text, false)?;
    let meant = if rest.is_empty() { String::new() } else { did_you_mean(&format!("{scheme}://{rest}")) };
    Some(format!("{scheme}:// is expected before the host{meant}"))
}

/// `https://https://x`, `https://http:x`.
fn scheme_twice(written: &Written<'_>) -> Option<String> {
    let server = written.server();
    let has_more_before = written.has_http_scheme() || server.len() < written.rest.len();
    let (scheme, rest) = scheme_like(server, true).filter(|_| has_more_before)?;
    Some(format!("the scheme is written twice{}", did_you_mean(&format!("{scheme}://{rest}"))))
}

/// Returns the scheme that a text begins with, and what follows it, if the two are
/// separated by something that no host is followed by. `explicit` means that a scheme
/// precedes the text already, so that it can only be a host's name if it is legal.
fn scheme_like(text: &str, explicit: bool) -> Option<(&'static str, &str)> {
    let word_end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, after) = text.split_at(word_end);
    let rest = after.trim_start_matches([':', ';', '.', ',', '/']);
    let separator = after.strip_suffix(rest).unwrap_or_default();
    let port = rest.split('/').next().unwrap_or_default();
    let is_legal = match separator {
        ":" => !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
        // A service may be named http, and have a path: then its scheme has to be written.
        "/" | "./" => explicit,
        "" => explicit || !rest.is_empty(),
        _ => separator.bytes().all(|byte| byte == b'.'),
    };
    if is_legal {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let exact = ["https", "http"].into_iter().find(|scheme| *scheme == word);
    let looks_like_a_scheme = !explicit && (separator.contains("//") || separator.starts_with(":/"));
    let is_near = |scheme: &&str| looks_like_a_scheme && strsim::damerau_levenshtein(scheme, &word) == 1;
    exact.or_else(|| ["https", "http"].into_iter().find(is_near)).map(|scheme| (scheme, rest))
}

/// `//x`, `:8000`, `/ingest`, `https:///x`.
fn scheme_missing(written: &Written<'_>) -> Option<String> {
    let given = if written.scheme.is_empty() { written.text } else { written.rest };
    let rest = given.trim_start_matches(['/', ':']);
    if rest.len() == given.len() || rest.is_empty() || given.starts_with("::") {
        return None;
    }
    let scheme = if written.has_http_scheme() { written.scheme } else { written.default_scheme };
    Some(format!("the host is expected after the scheme{}", did_you_mean(&format!("{scheme}://{rest}"))))
}

/// `ftp://x`, `htp://x`, `<https://x>`, `host=https://x`.
fn scheme_unknown(written: &Written<'_>) -> Option<String> {
    let scheme = written.scheme;
    if scheme.is_empty() && !written.text.contains("://") || written.has_http_scheme() {
        return None;
    }
    if let Some(at) = scheme.to_ascii_lowercase().rfind("http") {
        let is_url = scheme.get(at..).is_some_and(|word| word.len() <= 5);
        let url = written.text.get(at..).unwrap_or_default();
        let url = url.split(['>', ')', ']', '}', '"', '\'']).next().unwrap_or_default();
        if is_url && at > 0 && !scheme.get(..at).unwrap_or_default().ends_with(|c: char| c.is_alphanumeric())
        {
            return Some(format!("only the address is expected{}", did_you_mean(url)));
        }
    }
    let hint = crate::suggest::did_you_mean(scheme, ["https", "http"].into_iter());
    Some(format!("the scheme {} is not supported; use https or http{hint}", shown(scheme)))
}

fn without_host(written: &Written<'_>) -> Option<String> {
    let host = written.port().and_then(|port| written.authority.strip_suffix(port));
    let host = host.map_or(written.authority, |host| host.trim_end_matches(':'));
    host.is_empty()
        .then(|| "there is no host in it".to_owned())
        .filter(|_| !written.authority.starts_with("::"))
}

fn not_ascii(written: &Written<'_>) -> Option<String> {
    let c = written.authority.chars().find(|c| !c.is_ascii())?;
    Some(format!(
        "the character {c:?} cannot be in the name of a host; write an international name in its ASCII form, \
         which begins with xn--"
    ))
}

/// `::1`, `http://fe80::1`.
fn bare_ipv6(written: &Written<'_>) -> Option<String> {
    let address = written.authority;
    let is_ipv6 = address.matches(':').count() > 1
        && address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '%'));
    let scheme = if written.scheme.is_empty() { written.default_scheme } else { written.scheme };
    is_ipv6.then(|| {
        let meant = did_you_mean(&format!("{scheme}://[{address}]"));
        format!("an address of IPv6 is written in brackets, before the port if there is one{meant}")
    })
}

fn port_out_of_range(written: &Written<'_>) -> Option<String> {
    let port = written.port()?;
    if port.is_empty() {
        return None;
    }
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port && written.path.contains('@') {
        return Some("the characters / ? and # in a password are written %2F, %3F and %23".to_owned());
    }
    // It is not shown: it may be a password, or the beginning of one.
    (!is_port)
        .then(|| "what follows the colon is not a port; a number from 1 to 65535 is expected".to_owned())
}

/// What no name of a host has, such as `{host}`, `$HOST` and `a..b`. The names of
/// containers may have a `_`.
fn host_characters(written: &Written<'_>) -> Option<String> {
    if written.authority.starts_with('[') {
        return None;
    }
    let host = written.authority.split(':').next().unwrap_or_default();
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(c) = host.chars().find(|c| !is_legal(*c)) {
        return Some(format!("the character {c:?} cannot be in the name of a host"));
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    labels.split('.').any(str::is_empty).then(|| "the name of the host has a dot too many".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_legal_is_accepted() {
        let ok = |text: &str| assert!(parsed(text, "https").is_ok(), "{text:?}: {:?}", parsed(text, "https"));
        for text in [
            "x",
            "x.",
            "x:8000",
            "localhost:8000",
            "us.i.posthog.com",
            "HTTPS://US.I.POSTHOG.COM",
            "http://x",
            "http://x:1",
            "http://x:65535/",
            "http://x:",
            "https://x/ingest",
            "https://x/it's/(a)/path,with;all:of=it!$&*+@~%20",
            "https://x//ingest",
            "https://x/https://us.i.posthog.com",
            "127.0.0.1",
            "http://127.0.0.1:8000/t/42",
            "http://[::1]",
            "http://[::1]:8000/ingest",
            "[::1]:8000",
            "my_service:8000",
            "xn--bcher-kva.example",
            "http:8000",
            "https:443/ingest",
            "http://http:8000/x",
            "https://http",
            "https://http/ingest",
            "https.example.com",
            "http.example.com:8000/x",
            "httpbin/x",
            "httpd:80/x",
            "https-proxy",
            "http2.example.com",
        ] {
            ok(text);
        }
        for text in ["me:secret@10.0.0.1:3128", "http://me:p,a's \"s<w>\u{f6}rd@proxy:3128", "HTTP://Proxy"] {
            ok(text);
        }
    }

    #[test]
    fn typing_errors_are_refused_with_what_was_meant() {
        for (text, meant) in [
            // The scheme.
            ("http//x", "http://x"),
            ("https//us.i.posthog.com", "https://us.i.posthog.com"),
            ("https:/x", "https://x"),
            ("http:/x/y", "http://x/y"),
            ("http:x", "http://x"),
            ("http:x:8000", "http://x:8000"),
            ("http:127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("https;//x", "https://x"),
            ("https.//x", "https://x"),
            ("https:://x", "https://x"),
            ("http/x", "http://x"),
            ("HTTP//x", "http://x"),
            ("https:\\\\x", "https://x"),
            ("//x", "https://x"),
            ("://x", "https://x"),
            ("/x", "https://x"),
            ("https:///x", "https://x"),
            ("http:////x", "http://x"),
            ("htps//x", "https://x"),
            ("htp:/x", "http://x"),
            ("https://https://x", "https://x"),
            ("https://http://x", "http://x"),
            ("http://https//x", "https://x"),
            ("http://http:x", "http://x"),
            ("htp://x", "http"),
            ("hhtps://x", "https"),
            // What is copied along with it.
            ("\"https://x\"", "https://x"),
            ("'x'", "x"),
            ("'https://x", "https://x"),
            ("https://x\"", "https://x"),
            ("\u{201c}https://x\u{201d}", "https://x"),
            ("\u{2018}https://x\u{2019}", "https://x"),
            ("\u{ab}https://x\u{bb}", "https://x"),
            ("`https://x`", "https://x"),
            ("http://\"x\"", "http://x"),
            ("https://'x'/y", "https://x/y"),
            ("<https://x>", "https://x"),
            ("(https://x/y)", "https://x/y"),
            ("[x](https://x)", "https://x"),
            ("host=https://x", "https://x"),
            ("url:https://x", "https://x"),
            // The host.
            ("::1", "https://[::1]"),
            ("http://fe80::1", "http://[fe80::1]"),
            ("http://::1:8000/x", "http://[::1:8000]"),
        ] {
            let error = parsed(text, "https").expect_err(text);
            assert!(error.ends_with(&format!("(did you mean {meant:?}?)")), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_a_host_is_refused_with_the_reason() {
        for (text, reason) in [
            ("ftp://x", "the scheme \"ftp\" is not supported"),
            ("socks5://x", "the scheme \"socks5\" is not supported"),
            ("http", "http:// is expected"),
            ("https:", "https:// is expected"),
            ("http://", "no host"),
            ("http://:8000", "the host is expected"),
            (":8000", "the host is expected"),
            ("https://?x", "no host"),
            ("https://x y", "white space"),
            ("https://x/a b", "white space"),
            ("https://us.i.\nposthog.com", "white space"),
            ("https://us.i.posthog.com/\u{7}", "white space"),
            ("https://x\u{a0}y", "white space"),
            ("a.com, b.com", "white space"),
            ("a.com,b.com", "commas"),
            ("https://a.com,https://b.com", "commas"),
            ("https://b\u{fc}cher.example", "xn--"),
            ("\u{4f8b}\u{3048}.jp:80/x", "xn--"),
            ("x:0", "1 to 65535"),
            ("http://x:65536", "1 to 65535"),
            ("http://x:99999999999", "1 to 65535"),
            ("http://x:port", "is not a port"),
            ("http://[::1]:0", "1 to 65535"),
            ("http://x:80:80", "the port"),
            ("http://[::1", "not a URL"),
            ("http://[fe80::1%25eth0]", "not a URL"),
            ("https://{host}", "'{'"),
            ("https://$HOST/x", "'$'"),
            ("${POSTHOG_HOST}", "'$'"),
            ("<ph_client_api_host>", "'<'"),
            ("https://<ph_client_api_host>", "'<'"),
            ("https://%68ttps//x", "'%'"),
            ("us..i.posthog.com", "a dot too many"),
            (".posthog.com", "a dot too many"),
            ("http://256.1.1.1", "not a URL"),
        ] {
            let error = parsed(text, "https").expect_err(text);
            // A port is named as such in either text.
            assert!(
                error.contains(reason) || reason == "the port" && error.contains("port"),
                "{text}: {error}"
            );
        }
    }
}

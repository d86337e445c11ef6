//! Which requests to the control addresses are refused: those that the page of another site makes a browser send.

use axum::http::HeaderMap;

/// Checks who sends a request to a control address. `is_local`: the sink can be reached from this machine only, so it
/// has no other names than those of this machine.
pub(crate) fn check(headers: &HeaderMap, is_local: bool) -> Result<(), &'static str> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = get("host") else { return Ok(()) };
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    if get("origin").is_some_and(|origin| !is_own(origin)) {
        return Err("the page of another site sent this request");
    }
    // The name of another site may be made to lead here: then that site's page would have the same origin.
    if is_local && !is_this_machine(host) {
        return Err("a sink on a loopback address is reached by its address or as localhost");
    }
    Ok(())
}

/// Whether it is an address, or `localhost`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split(']').next().is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
        }
        None => host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
    };
    name == "localhost" || name.ends_with(".localhost") || name.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_are_refused() {
        let own = "127.0.0.1:8000";
        let table = [
            (Some(own), None, true, true),
            (None, None, true, true),
            (Some("localhost:8000"), Some("http://localhost:8000"), true, true),
            (Some("[::1]:8000"), None, true, true),
            (Some("Sink.localhost"), None, true, true),
            (Some(own), Some("https://example.com"), true, false),
            (Some(own), Some("http://127.0.0.1:9000"), true, false),
            (Some(own), Some("null"), true, false),
            (Some("example.com:8000"), None, true, false),
            (Some("127.0.0.1.example.com"), None, true, false),
            (Some("sink:8000"), None, false, true),
            (Some("sink:8000"), Some("http://sink:8000"), false, true),
            (Some("sink:8000"), Some("http://example.com"), false, false),
        ];
        for (host, origin, is_local, is_taken) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", host), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(check(&headers, is_local).is_ok(), is_taken, "{host:?} {origin:?} {is_local}");
        }
    }
}

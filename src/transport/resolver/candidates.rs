//! The full names that a name may stand for, in the order in which they are tried.

use super::conf::ResolvConf;

/// By the search list of resolv.conf, unless the name ends in a dot.
pub(super) fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let mut names: Vec<String> = Vec::new();
    for domain in &conf.search {
        let domain = domain.trim_matches('.');
        if !domain.is_empty() {
            names.push(format!("{name}.{domain}"));
        }
    }
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let place = if dots >= conf.ndots { 0 } else { names.len() };
    names.insert(place, name.to_owned());
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_search_list_comes_before_a_short_name_and_after_a_long_one() {
        let conf = |ndots| ResolvConf {
            servers: Vec::new(),
            search: vec!["a.test".to_owned(), "b.test.".to_owned(), ".".to_owned()],
            ndots,
            timeout: Duration::ZERO,
            attempts: 1,
            rotate: false,
            use_tcp: false,
            no_aaaa: false,
        };
        let table: [(usize, &str, &[&str]); 5] = [
            (1, "host", &["host.a.test", "host.b.test", "host"]),
            (1, "host.", &["host."]),
            (1, "host.corp", &["host.corp", "host.corp.a.test", "host.corp.b.test"]),
            (2, "host.corp", &["host.corp.a.test", "host.corp.b.test", "host.corp"]),
            (0, "host", &["host", "host.a.test", "host.b.test"]),
        ];
        for (ndots, name, expected) in table {
            assert_eq!(candidates(&conf(ndots), name), expected, "{ndots} {name}");
        }
    }
}

//! What name servers have said, for as long as they allow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::conf::ResolvConf;
use super::error::{Authority, Reason};

/// A client looks up its host and its proxy.
const MAX_NAMES: usize = 8;
/// The longest time for which a result is used, whatever the server allows.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// The same for the absence of addresses.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// The result of a look-up by DNS.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What was found.
    pub(super) what: What,
    /// How long that is true.
    pub(super) ttl: Duration,
}

/// What name servers know of a name.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Its addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// It exists, without an address.
    NoAddress(Authority),
    /// It does not exist.
    NoSuchName(Authority),
}

impl Found {
    /// The addresses, or why there is none.
    pub(super) fn into_addresses(self) -> Result<Vec<IpAddr>, Reason> {
        match self.what {
            What::Addresses(addresses) => Ok(addresses),
            What::NoAddress(authority) => Err(Reason::NoAddress(authority)),
            What::NoSuchName(authority) => Err(Reason::NoSuchName(authority)),
        }
    }

    fn lifetime(&self) -> Duration {
        let is_positive = matches!(self.what, What::Addresses(_));
        self.ttl.min(if is_positive { MAX_TTL } else { MAX_NEGATIVE_TTL })
    }
}

/// The latest results, the newest first.
#[derive(Default)]
pub(super) struct Cache {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    /// Other servers may say something else.
    conf: Arc<ResolvConf>,
    expires: Instant,
    found: Found,
}

impl Cache {
    /// What is still true of the name, if it was looked up as it would be now.
    pub(super) fn get(&self, name: &str, conf: &ResolvConf, now: Instant) -> Option<Found> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        (now < entry.expires && *entry.conf == *conf).then(|| entry.found.clone())
    }

    /// Keeps a result. One that is true for no time at all replaces an older one, too.
    pub(super) fn put(&mut self, name: &str, conf: &Arc<ResolvConf>, found: &Found, now: Instant) {
        self.entries.retain(|entry| entry.name != name);
        self.entries.truncate(MAX_NAMES - 1);
        let (name, conf, expires) = (name.to_owned(), Arc::clone(conf), now + found.lifetime());
        self.entries.insert(0, Entry { name, conf, expires, found: found.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(last: u8, seconds: u64) -> Found {
        let what = What::Addresses(vec![IpAddr::from([10, 0, 0, last])]);
        Found { what, ttl: Duration::from_secs(seconds) }
    }

    fn last(cache: &Cache, name: &str, at: Instant) -> Option<IpAddr> {
        let found = cache.get(name, &conf(1), at);
        found.and_then(|found| found.into_addresses().ok()).and_then(|found| found.first().copied())
    }

    /// With this number of attempts.
    fn conf(attempts: u32) -> Arc<ResolvConf> {
        Arc::new(ResolvConf {
            servers: vec![([10, 0, 0, 53], 53).into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts,
            rotate: false,
            use_tcp: false,
            no_aaaa: false,
        })
    }

    #[test]
    fn a_result_is_used_as_long_as_its_ttl_and_no_longer_than_an_hour() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let second = Duration::from_secs(1);
        for (ttl, lives) in [(0, 0), (1, 1), (30, 30), (3600, 3600), (1 << 31, 3600)] {
            cache.put("host", &conf(1), &addresses(1, ttl), now);
            if lives > 0 {
                assert!(last(&cache, "host", now + second * lives - second / 2).is_some(), "{ttl}");
            }
            assert!(last(&cache, "host", now + second * lives).is_none(), "{ttl}");
        }
    }

    #[test]
    fn the_absence_of_a_name_is_remembered_for_a_minute_at_most() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let authority = Authority { server: ([10, 0, 0, 1], 53).into(), other_sources: String::new() };
        let found = Found { what: What::NoSuchName(authority), ttl: MAX_TTL };
        cache.put("host", &conf(1), &found, now);
        let at = |time| cache.get("host", &conf(1), now + time);
        assert!(at(MAX_NEGATIVE_TTL / 2).unwrap().into_addresses().is_err());
        assert!(at(MAX_NEGATIVE_TTL).is_none());
    }

    #[test]
    fn a_result_belongs_to_the_resolv_conf_by_which_it_was_found() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("host", &conf(1), &addresses(1, 60), now);
        assert!(cache.get("host", &conf(2), now).is_none());
        assert!(cache.get("host", &conf(1), now).is_some());
    }

    #[test]
    fn a_new_result_replaces_the_old_one_and_the_number_of_names_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("host", &conf(1), &addresses(1, 60), now);
        cache.put("host", &conf(1), &addresses(2, 60), now);
        assert_eq!(last(&cache, "host", now), Some(IpAddr::from([10, 0, 0, 2])));
        for number in 0..100 {
            cache.put(&number.to_string(), &conf(1), &addresses(3, 60), now);
        }
        assert_eq!(cache.entries.len(), MAX_NAMES);
        assert!(last(&cache, "host", now).is_none() && last(&cache, "99", now).is_some());
    }
}

//! phc_config_set: what is accepted is stable, what is refused changes nothing,
//! and a client can be made of whatever was accepted.

use std::ffi::{CStr, CString};

use phc::capi::config::{phc_config_error, phc_config_free, phc_config_new, phc_config_set};
use phc::client::Client;
use phc::config::{Config, host};

const KEY: &str = "phc_key";

/// The input is lines of `key=value`.
pub fn run(data: &[u8]) {
    // SAFETY: the texts live as long as the calls; the config until its free.
    let config = unsafe { phc_config_new(c"phc_key".as_ptr()) };
    let mut mirror = Config::new(KEY);
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let (key, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let (Ok(key), Ok(value)) = (CString::new(key), CString::new(value)) else { continue };
        // SAFETY: as above.
        let status = unsafe { phc_config_set(config, key.as_ptr(), value.as_ptr()) };
        let before = mirror.clone();
        let texts = key.to_str().ok().zip(value.to_str().ok());
        let accepted = texts.is_some_and(|(key, value)| mirror.set(key, value).is_ok());
        if !accepted {
            assert!(status == 1 || status == 2, "{status}");
            assert_eq!(mirror, before);
            // SAFETY: as above.
            let error = unsafe { CStr::from_ptr(phc_config_error(config)) };
            assert!(status == 1 || !error.to_str().expect("UTF-8").is_empty());
            continue;
        }
        assert_eq!(status, 0, "{key:?} = {value:?}");
        let (key, value) = texts.expect("accepted");
        let once = mirror.clone();
        mirror.set(key, value).expect("accepted before");
        assert_eq!(mirror, once, "{key} = {value:?}, twice");
        is_stable(&mirror);
    }
    // SAFETY: as above; it is not used again.
    unsafe { phc_config_free(config) };
    // A file that is missing is the one reason to refuse what was accepted.
    mirror.ca_file.clear();
    if mirror != Config::new(KEY) && mirror.check().is_ok() {
        Client::new(mirror.clone()).unwrap_or_else(|error| panic!("{}: {mirror:?}", error.message));
    }
}

/// What was accepted is accepted again, as it is.
fn is_stable(config: &Config) {
    assert_eq!(host::normalised(&config.host).as_ref(), Ok(&config.host));
    let endpoint = url::Url::parse(&host::endpoint(&config.host)).expect("a URL");
    assert!(matches!(endpoint.scheme(), "http" | "https") && endpoint.has_host(), "{endpoint}");
    assert!(endpoint.path().ends_with("/i/v1/analytics/events"), "{endpoint}");
    let mut copy = config.clone();
    for (key, value) in [("host", &config.host), ("proxy", &config.proxy), ("sdk_name", &config.sdk_name)] {
        copy.set(key, value).unwrap_or_else(|error| panic!("{}", error.message));
    }
    for (name, value) in &config.headers {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name:?}");
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')), "{value:?}");
        copy.set(&format!("header.{name}"), value).unwrap_or_else(|error| panic!("{}", error.message));
    }
    assert_eq!(copy, *config);
}

//! The settings of a client: set as text, kept as values, checked once. It knows
//! the bounds of the protocol, and nothing of what acts on the settings.

mod address;
mod choice;
pub(crate) mod host;
#[cfg(feature = "internals")]
mod page;
mod syntax;
mod table;

use std::time::Duration;

use phc_compression::ZSTD_MAX_LEVEL;

use crate::failpoint;
use crate::protocol::headers::MAX_SDK_INFO;
use crate::protocol::{Backoff, RetryPolicy};
use crate::status::{Error, Status};
use crate::suggest::did_you_mean;
pub(crate) use choice::{Codec, LogLevel, Overflow, Reports, ResolverKind, SpoolSafety};
#[cfg(feature = "internals")]
pub use page::settings_page;
use table::{SETTINGS, Setting};

/// All settings; docs/settings.md describes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table describes them")]
pub struct Config {
    pub(crate) api_key: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) host: String,
    pub(crate) sdk_name: String,
    pub(crate) sdk_version: String,
    pub(crate) proxy: String,
    pub(crate) ca_file: String,
    pub(crate) client_cert_file: String,
    pub(crate) client_key_file: String,
    pub(crate) disable_geoip: bool,
    pub(crate) is_server: bool,
    pub(crate) historical_migration: bool,
    pub(crate) test_mode: bool,
    pub(crate) overflow: Overflow,
    pub(crate) resolver: ResolverKind,
    pub(crate) compression: Codec,
    pub(crate) reports: Reports,
    pub(crate) log_level: LogLevel,
    pub(crate) retry_statuses: Vec<u16>,
    pub(crate) flush_at: usize,
    pub(crate) flush_interval: Duration,
    pub(crate) max_batch_events: usize,
    pub(crate) max_batch_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) queue_max_events: u64,
    pub(crate) queue_max_bytes: u64,
    pub(crate) block_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) retry_initial: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) retry_after_max: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) exit_flush: Duration,
    pub(crate) compression_level: u32,
    pub(crate) secret_key: String,
    pub(crate) local_evaluation: bool,
    pub(crate) flags_timeout: Duration,
    pub(crate) flags_max_retries: u32,
    pub(crate) flags_poll_interval: Duration,
    pub(crate) flags_idle_pause: Duration,
    pub(crate) flags_definitions_timeout: Duration,
    pub(crate) flags_request_version: u32,
    pub(crate) evaluation_contexts: Vec<String>,
    pub(crate) flags_called_events: bool,
    pub(crate) flags_called_cache: usize,
    pub(crate) spool_dir: String,
    pub(crate) spool_safety: SpoolSafety,
    pub(crate) spool_write: Duration,
    pub(crate) spool_sync: Duration,
    pub(crate) spool_max_bytes: u64,
    pub(crate) spool_min_free_bytes: u64,
    pub(crate) spool_max_age: Duration,
    pub(crate) spool_adopt: bool,
}

/// What a setting is.
pub(crate) struct SettingInfo {
    /// Its name.
    pub(crate) key: &'static str,
    /// The kind of its value.
    pub(crate) kind: &'static str,
    /// Its value if it is not set.
    pub(crate) default: &'static str,
    /// What is accepted.
    pub(crate) accepted: String,
}

const HEADER_PREFIX: &str = "header.";

impl Config {
    /// The defaults, for this project key. An empty key makes a disabled client.
    pub fn new(api_key: &str) -> Self {
        let mut config = Config { api_key: api_key.trim().to_owned(), ..Config::default() };
        for setting in SETTINGS {
            // A test shows that every default is accepted.
            let _ = setting.assign(&mut config, setting.default);
        }
        config
    }

    /// Sets one setting. On an error nothing has changed, and the text names the
    /// key, the value and what would be accepted.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        failpoint::pass("config");
        let invalid = |text: String| Error::new(Status::INVALID_SETTING, text);
        if let Some(name) = key.strip_prefix(HEADER_PREFIX) {
            // The value may be a credential.
            let rejected = |reason| invalid(format!("{key}: {reason}"));
            let name = syntax::header_name(name).map_err(rejected)?;
            let value = syntax::header_value(value).map_err(rejected)?;
            self.headers.retain(|(existing, _)| *existing != name);
            self.headers.push((name, value));
            return Ok(());
        }
        let setting = Setting::named(key)?;
        let rejected = |reason| invalid(format!("{key} = {}: {reason}", syntax::shown(key, value)));
        setting.assign(self, value).map_err(rejected)
    }

    /// All settings except those of headers.
    pub(crate) fn settings() -> impl Iterator<Item = SettingInfo> {
        SETTINGS.iter().map(|setting| {
            let (kind, accepted) = setting.accepted();
            SettingInfo { key: setting.key, kind, default: setting.default, accepted }
        })
    }

    /// The value of a setting as text, as [`Config::set`] accepts it.
    pub fn get(&mut self, key: &str) -> Result<String, Error> {
        if let Some(name) = key.strip_prefix(HEADER_PREFIX) {
            let name = name.to_ascii_lowercase();
            let header = self.headers.iter().find(|(existing, _)| *existing == name);
            return Ok(header.map(|(_, value)| value.clone()).unwrap_or_default());
        }
        Ok(Setting::named(key)?.value(self))
    }

    /// Checks what no single setting can: that the project key can be one, that a
    /// client's key comes with its certificate, the length of both halves of the SDK's
    /// name, and the compression level against the codec.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::new(Status::INVALID_SETTING, text));
        if let Err(reason) = syntax::project_key(&self.api_key) {
            return invalid(format!("the project key is not valid: {reason}"));
        }
        if self.client_cert_file.is_empty() && !self.client_key_file.is_empty() {
            return invalid(
                "client_key_file is set without client_cert_file, the certificate that the key belongs to"
                    .to_owned(),
            );
        }
        if self.sdk_info().len() > MAX_SDK_INFO {
            return invalid(format!(
                "sdk_name and sdk_version together are longer than {MAX_SDK_INFO} bytes"
            ));
        }
        if self.compression == Codec::Zstd && self.compression_level > ZSTD_MAX_LEVEL {
            return invalid(format!(
                "compression_level = \"{}\": zstd supports the levels 1 to {ZSTD_MAX_LEVEL} in this build; \
                 use {ZSTD_MAX_LEVEL} or less, or another compression",
                self.compression_level
            ));
        }
        Ok(())
    }

    /// Lines for the host's log about what is accepted and probably wrong.
    pub(crate) fn warnings(&self) -> Vec<String> {
        syntax::key_warning(&self.api_key).into_iter().collect()
    }

    /// Whether the client sends nothing because it has no project key.
    pub(crate) fn is_disabled(&self) -> bool {
        self.api_key.is_empty()
    }

    /// Whether pending events are kept on disk.
    pub(crate) fn has_spool(&self) -> bool {
        !self.spool_dir.is_empty() && !self.test_mode && !self.is_disabled()
    }

    /// `<name>/<version>` of the SDK.
    pub(crate) fn sdk_info(&self) -> String {
        format!("{}/{}", self.sdk_name, self.sdk_version)
    }

    /// The rules for retries.
    pub fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: self.max_retries,
            backoff: Backoff {
                initial: self.retry_initial,
                max: self.retry_max,
                retry_after_max: self.retry_after_max,
            },
            retry_statuses: self.retry_statuses.clone(),
        }
    }
}

impl Setting {
    fn named(key: &str) -> Result<&'static Setting, Error> {
        SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
            let hint = did_you_mean(key, SETTINGS.iter().map(|setting| setting.key));
            Error::new(Status::INVALID_SETTING, format!("there is no setting {key:?}{hint}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_accepted_and_read_back() {
        for setting in SETTINGS {
            let mut config = Config::new("key");
            config.set(setting.key, setting.default).unwrap();
            assert_eq!(config, Config::new("key"), "{}", setting.key);
            let value = config.get(setting.key).unwrap();
            assert_eq!(value, setting.default, "{}", setting.key);
        }
    }

    #[test]
    fn keys_are_distinct() {
        for (i, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS.iter().skip(i + 1).all(|other| other.key != setting.key));
        }
    }

    #[test]
    fn errors_name_the_key_the_value_and_what_is_accepted() {
        let mut config = Config::new("key");
        let before = config.clone();
        let table = [
            ("flush_att", "1", "did you mean \"flush_at\""),
            ("flush_at", "0", "1 to 100000"),
            ("flush_at", "ten", "\"ten\""),
            ("overflow", "drop_old", "did you mean \"drop_oldest\""),
            ("reports", "loses", "did you mean \"losses\""),
            ("compression_level", "12", "0 to 11"),
            ("is_server", "yes", "true or false"),
            ("host", "ftp://x", "ftp"),
            ("retry_statuses", "200", "300 to 599"),
            ("sdk_name", "a b", "' '"),
            ("header.X-A", "a\nb", "'\\n'"),
            ("header.Authorization", "x", "libphc itself"),
            ("header.", "x", "1 to 100"),
            ("proxy", "socks5://x", "socks5"),
            ("proxy", "http//x", "did you mean \"http://x\""),
            ("client_key_file", "-----BEGIN PRIVATE KEY-----", "the path of a file"),
            ("", "", "no setting"),
        ];
        for (key, value, text) in table {
            let error = config.set(key, value).unwrap_err();
            assert_eq!(error.status, Status::INVALID_SETTING);
            assert!(error.message.contains(text), "{}", error.message);
            assert_eq!(config, before, "{key}");
        }
        assert!(config.get("flush_att").is_err());
    }

    #[test]
    fn a_key_that_cannot_be_a_header_is_rejected() {
        for key in ["phc_\u{e9}", "a\nb", "\"phc_key\"", "Bearer phc_key"] {
            assert_eq!(Config::new(key).check().unwrap_err().status, Status::INVALID_SETTING, "{key:?}");
        }
        assert!(Config::new("  phc_key \n").check().is_ok());
        assert!(Config::new(" ").is_disabled());
    }

    #[test]
    fn a_zstd_level_that_is_not_built_is_rejected_whichever_is_set_first() {
        for order in [["compression", "compression_level"], ["compression_level", "compression"]] {
            for (codec, level, accepted) in [
                ("zstd", "0", true),
                ("zstd", "3", true),
                ("zstd", "4", false),
                ("zstd", "11", false),
                ("gzip", "4", true),
                ("deflate", "11", true),
                ("none", "11", true),
            ] {
                let mut config = Config::new("key");
                for key in order {
                    config.set(key, if key == "compression" { codec } else { level }).unwrap();
                }
                let checked = config.check();
                assert_eq!(checked.is_ok(), accepted, "{codec} {level}");
                if let Err(error) = checked {
                    assert_eq!(error.status, Status::INVALID_SETTING);
                    assert!(error.message.contains("use 3 or less"), "{}", error.message);
                }
            }
        }
    }

    #[test]
    fn a_header_that_is_set_again_is_replaced() {
        let mut config = Config::new("key");
        config.set("header.X-Test-Id", "1").unwrap();
        config.set("header.x-test-id", " 2 ").unwrap();
        assert_eq!(config.headers, [("x-test-id".to_owned(), "2".to_owned())]);
        assert_eq!(config.get("header.X-Test-ID").unwrap(), "2");
        assert_eq!(config.get("header.x-other").unwrap(), "");
    }
}

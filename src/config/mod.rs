//! The settings of a client: set as text, kept as values, checked once.

pub mod host;
pub mod table;
mod texts;

use std::fmt::Write as _;
use std::time::Duration;

use crate::fault;
use crate::protocol::backoff::Backoff;
use crate::protocol::headers::MAX_SDK_INFO;
use crate::protocol::judge::Policy;
use crate::status::{Error, Status};
use crate::suggest::did_you_mean;
use table::{SETTINGS, Setting, Slot, ZSTD_MAX_LEVEL};

/// What a capture does when the queue is at its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Refuse the new event.
    DropNewest,
    /// Evict the oldest waiting ones.
    DropOldest,
    /// Wait for room.
    Block,
}

/// How request bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Zlib-wrapped, RFC 1950.
    Deflate,
    /// RFC 8878.
    Zstd,
    /// Brotli, RFC 7932.
    Br,
}

macro_rules! config {
    ($($kind:ty: $($field:ident)*;)*) => {
        /// All settings; docs/settings.md describes each.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the table describes them")]
        pub struct Config {
            pub api_key: String,
            pub headers: Vec<(String, String)>,
            $($(pub $field: $kind,)*)*
        }
    };
}

config! {
    String: host sdk_name sdk_version proxy ca_file;
    bool: disable_geoip is_server historical_migration test_mode;
    usize: overflow compression reports;
    Vec<u16>: retry_statuses;
    u64: flush_at flush_interval_ms max_batch_events max_batch_bytes max_event_bytes max_in_flight
         queue_max_events queue_max_bytes block_timeout_ms max_retries retry_initial_ms retry_max_ms
         retry_after_max_ms request_timeout_ms connect_timeout_ms shutdown_timeout_ms exit_flush_ms
         compression_level;
}

const HEADER_PREFIX: &str = "header.";

impl Config {
    /// The defaults, for this project key. An empty key makes a disabled client.
    pub fn new(api_key: &str) -> Self {
        let mut config = Config { api_key: api_key.trim().to_owned(), ..Config::default() };
        for setting in SETTINGS {
            // The defaults are proven to be accepted by a test.
            let _ = setting.assign(&mut config, setting.default);
        }
        config
    }

    /// Sets one setting. On an error nothing has changed, and the text names the
    /// key, the value and what would be accepted.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        fault::point("config");
        let invalid = |text| Error::new(Status::INVALID_SETTING, text);
        if let Some(name) = key.strip_prefix(HEADER_PREFIX) {
            let refused = |reason| invalid(format!("{key} = {value:?}: {reason}"));
            let name = texts::header_name(name).map_err(refused)?;
            let value = texts::header_value(value).map_err(refused)?;
            self.headers.retain(|(existing, _)| *existing != name);
            self.headers.push((name, value));
            return Ok(());
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let hint = did_you_mean(key, SETTINGS.iter().map(|setting| setting.key));
            return Err(invalid(format!("the setting {key:?} is unknown{hint}")));
        };
        setting.assign(self, value).map_err(|reason| invalid(format!("{key} = {value:?}: {reason}")))
    }

    /// Checks what no single setting can: the key as header text, the length of
    /// both halves of the SDK's name, and the level against the codec.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text| Err(Error::new(Status::INVALID_SETTING, text));
        if let Err(reason) = texts::header_value(&self.api_key) {
            return invalid(format!("the project key is not valid: {reason}"));
        }
        if self.sdk_info().len() > MAX_SDK_INFO {
            return invalid(format!("sdk_name and sdk_version have over {MAX_SDK_INFO} bytes together"));
        }
        if self.codec() == Codec::Zstd && self.compression_level > u64::from(ZSTD_MAX_LEVEL) {
            return invalid(format!(
                "compression_level = \"{}\": this libphc was built with the levels 1 to {ZSTD_MAX_LEVEL} of zstd; \
                 set it to {ZSTD_MAX_LEVEL} or less, or compression to another codec",
                self.compression_level
            ));
        }
        Ok(())
    }

    /// Whether the client sends nothing, for want of a key.
    pub fn is_disabled(&self) -> bool {
        self.api_key.is_empty()
    }

    /// `<name>/<version>`
    pub fn sdk_info(&self) -> String {
        format!("{}/{}", self.sdk_name, self.sdk_version)
    }

    /// The overflow policy.
    pub fn overflow(&self) -> Overflow {
        [Overflow::DropNewest, Overflow::DropOldest, Overflow::Block]
            .get(self.overflow)
            .copied()
            .unwrap_or(Overflow::DropNewest)
    }

    /// The codec to begin with.
    pub fn codec(&self) -> Codec {
        [Codec::None, Codec::Gzip, Codec::Deflate, Codec::Zstd, Codec::Br]
            .get(self.compression)
            .copied()
            .unwrap_or(Codec::None)
    }

    /// Whether attempts without losses are reported too.
    pub fn reports_all(&self) -> bool {
        self.reports == 1
    }

    /// The rules for retries.
    pub fn policy(&self) -> Policy {
        Policy {
            max_retries: u32::try_from(self.max_retries).unwrap_or(u32::MAX),
            backoff: Backoff {
                initial: Duration::from_millis(self.retry_initial_ms),
                max: Duration::from_millis(self.retry_max_ms),
                retry_after_max: Duration::from_millis(self.retry_after_max_ms),
            },
            retry_statuses: self.retry_statuses.clone(),
        }
    }
}

impl Setting {
    fn assign(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match (self.slot)(config) {
            Slot::Integer(field, bounds) => {
                let (min, max) = (bounds.start(), bounds.end());
                *field = (value.trim().parse().ok())
                    .filter(|number| bounds.contains(number))
                    .ok_or_else(|| format!("a whole number from {min} to {max} is expected"))?;
            }
            Slot::Bool(field) => {
                *field = match value.trim() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err("true or false is expected".to_owned()),
                };
            }
            Slot::Choice(field, words) => {
                let word = value.trim();
                *field = words.iter().position(|known| *known == word).ok_or_else(|| {
                    format!(
                        "one of {} is expected{}",
                        words.join(", "),
                        did_you_mean(word, words.iter().copied())
                    )
                })?;
                if cfg!(not(feature = "brotli")) && word == "br" {
                    *field = 0;
                    return Err("this libphc was built without brotli".to_owned());
                }
            }
            Slot::Text(field, check) => *field = check(value)?,
            Slot::Statuses(field) => {
                let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                *field = parts
                    .map(|part| part.parse().ok().filter(|status| (300..=599).contains(status)))
                    .collect::<Option<_>>()
                    .ok_or("HTTP statuses from 300 to 599, separated by commas, are expected")?;
            }
        }
        Ok(())
    }
}

/// docs/settings.md, from the table.
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n<!-- Made from src/config/table.rs by `make docs`; edit that. -->\n\n\
         `phc_config_set(config, key, value)` takes every value as text, so that a binding built last year\n\
         reaches a setting added today. A value that is not accepted answers `PHC_INVALID_SETTING`, changes\n\
         nothing, and `phc_config_error()` says why.\n\n\
         | key | type | default | accepted | what it does |\n|---|---|---|---|---|\n",
    );
    let mut scratch = Config::default();
    for setting in SETTINGS {
        let (kind, accepted) = match (setting.slot)(&mut scratch) {
            Slot::Integer(_, bounds) => ("integer", format!("{} to {}", bounds.start(), bounds.end())),
            Slot::Bool(_) => ("bool", "`true`, `1`, `false`, `0`".to_owned()),
            Slot::Choice(_, words) => {
                ("word", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
            }
            Slot::Text(..) => ("text", String::new()),
            Slot::Statuses(_) => ("list", "statuses from 300 to 599, separated by commas".to_owned()),
        };
        let default =
            if setting.default.is_empty() { "(empty)".to_owned() } else { format!("`{}`", setting.default) };
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {accepted} | {} |", setting.key, setting.doc);
    }
    page.push_str(
        "| `header.<Name>` | text | (none) | visible ASCII | An additional header in every request, for proxies \
         and tests. Set again, it is replaced. Headers that libphc sets itself are refused. |\n\n\
         Keys ending in `_ms` are milliseconds, in `_bytes` bytes.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_accepted() {
        for setting in SETTINGS {
            let mut config = Config::new("key");
            config.set(setting.key, setting.default).unwrap();
            assert_eq!(config, Config::new("key"), "{}", setting.key);
        }
    }

    #[test]
    fn keys_are_distinct() {
        for (i, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS.iter().skip(i + 1).all(|other| other.key != setting.key));
        }
    }

    #[test]
    fn errors_name_the_key_the_value_and_the_way_out() {
        let mut config = Config::new("key");
        let before = config.clone();
        let table = [
            ("flush_att", "1", "did you mean \"flush_at\""),
            ("flush_at", "0", "1 to 100000"),
            ("flush_at", "ten", "\"ten\""),
            ("overflow", "drop_old", "did you mean \"drop_oldest\""),
            ("compression_level", "12", "0 to 11"),
            ("is_server", "yes", "true or false"),
            ("host", "ftp://x", "ftp"),
            ("retry_statuses", "200", "300 to 599"),
            ("sdk_name", "a b", "' '"),
            ("header.X-A", "a\nb", "'\\n'"),
            ("header.Authorization", "x", "libphc itself"),
            ("header.", "x", "1 to 100"),
            ("proxy", "socks5://x", "socks5"),
            ("", "", "unknown"),
        ];
        for (key, value, text) in table {
            let error = config.set(key, value).unwrap_err();
            assert_eq!(error.status, Status::INVALID_SETTING);
            assert!(error.message.contains(text), "{}", error.message);
            assert_eq!(config, before, "{key}");
        }
    }

    #[test]
    fn a_key_that_is_no_header_text_is_refused() {
        assert!(Config::new("phc_\u{e9}").check().is_err());
        assert!(Config::new("a\nb").check().is_err());
        assert!(Config::new("  phc_key \n").check().is_ok());
        assert!(Config::new(" ").is_disabled());
    }

    #[test]
    fn a_level_that_zstd_was_not_built_with_is_refused_whichever_is_set_first() {
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
                    assert!(error.message.contains("set it to 3 or less"), "{}", error.message);
                }
            }
        }
    }

    #[test]
    fn a_header_is_set_once() {
        let mut config = Config::new("key");
        config.set("header.X-Test-Id", "1").unwrap();
        config.set("header.x-test-id", " 2 ").unwrap();
        assert_eq!(config.headers, [("x-test-id".to_owned(), "2".to_owned())]);
    }
}

//! Every setting, once: its key, where it is kept, its bounds, its default and
//! its description. Parsing, checking, "did you mean" and docs/settings.md all
//! come from here.

use crate::protocol::statuses::RETRYABLE;
use std::ops::RangeInclusive;

use super::{Config, host, texts};

/// One setting.
pub struct Setting {
    /// Its name in `phc_config_set`.
    pub key: &'static str,
    /// Its value when it is not set, as text.
    pub default: &'static str,
    /// What it does, for docs/settings.md.
    pub doc: &'static str,
    /// Where it is kept and what is accepted.
    pub slot: fn(&mut Config) -> Slot<'_>,
}

/// A place for a value, with the values it takes.
pub enum Slot<'a> {
    /// A whole number.
    Integer(&'a mut u64, RangeInclusive<u64>),
    /// `true` or `false`.
    Bool(&'a mut bool),
    /// One of some words, kept as its position among them.
    Choice(&'a mut usize, &'static [&'static str]),
    /// Text, perhaps rewritten by its check.
    Text(&'a mut String, fn(&str) -> Result<String, String>),
    /// HTTP statuses, separated by commas.
    Statuses(&'a mut Vec<u16>),
}

/// Values of `overflow`.
pub const OVERFLOW: &[&str] = &["drop_newest", "drop_oldest", "block"];
/// Values of `compression`.
pub const COMPRESSION: &[&str] = &["none", "gzip", "deflate", "zstd", "br"];
/// Values of `reports`.
pub const REPORTS: &[&str] = &["losses", "all"];

/// The highest level of zstd: .cargo/config.toml leaves out what those above need.
pub const ZSTD_MAX_LEVEL: u32 = 3;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const GIB: u64 = 1 << 30;

/// All settings but `header.<Name>`, which stands for many.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "host",
        default: host::DEFAULT,
        doc: "Where events go. A path prefix is kept, trailing slashes are not; without a scheme it is https. The addresses of the PostHog web application are mapped to their ingestion hosts.",
        slot: |c| Slot::Text(&mut c.host, host::normalised),
    },
    Setting {
        key: "flush_at",
        default: "100",
        doc: "This many waiting events are sent without waiting for `flush_interval_ms`.",
        slot: |c| Slot::Integer(&mut c.flush_at, 1..=100_000),
    },
    Setting {
        key: "flush_interval_ms",
        default: "5000",
        doc: "No event waits longer than this before it is first sent, while there is room in flight.",
        slot: |c| Slot::Integer(&mut c.flush_interval_ms, 1..=HOUR),
    },
    Setting {
        key: "max_batch_events",
        default: "2000",
        doc: "A batch has at most this many events.",
        slot: |c| Slot::Integer(&mut c.max_batch_events, 1..=100_000),
    },
    Setting {
        key: "max_batch_bytes",
        default: "1048576",
        doc: "A batch body has at most this many bytes before compression; an event that is larger by itself travels alone.",
        slot: |c| Slot::Integer(&mut c.max_batch_bytes, 1024..=16 << 20),
    },
    Setting {
        key: "max_event_bytes",
        default: "921600",
        doc: "An event of more wire bytes is refused.",
        slot: |c| Slot::Integer(&mut c.max_event_bytes, 512..=16 << 20),
    },
    Setting {
        key: "max_in_flight",
        default: "4",
        doc: "This many requests are open at once, at most.",
        slot: |c| Slot::Integer(&mut c.max_in_flight, 1..=64),
    },
    Setting {
        key: "queue_max_events",
        default: "100000",
        doc: "Bound of the events that are waiting, in flight or in back-off, all together.",
        slot: |c| Slot::Integer(&mut c.queue_max_events, 1..=100_000_000),
    },
    Setting {
        key: "queue_max_bytes",
        default: "33554432",
        doc: "Bound of their wire bytes and bookkeeping (48 bytes each).",
        slot: |c| Slot::Integer(&mut c.queue_max_bytes, 1024..=64 * GIB),
    },
    Setting {
        key: "overflow",
        default: "drop_newest",
        doc: "What a capture does when a bound is reached: answer `PHC_QUEUE_FULL`, evict the oldest waiting events, or block for at most `block_timeout_ms`.",
        slot: |c| Slot::Choice(&mut c.overflow, OVERFLOW),
    },
    Setting {
        key: "block_timeout_ms",
        default: "1000",
        doc: "How long a capture waits for room when `overflow` is `block`; then it answers `PHC_QUEUE_FULL`.",
        slot: |c| Slot::Integer(&mut c.block_timeout_ms, 0..=HOUR),
    },
    Setting {
        key: "max_retries",
        default: "3",
        doc: "Attempts after the first one.",
        slot: |c| Slot::Integer(&mut c.max_retries, 0..=1000),
    },
    Setting {
        key: "retry_initial_ms",
        default: "200",
        doc: "The wait before the first retry. It doubles from one to the next and is spread upwards by up to a half.",
        slot: |c| Slot::Integer(&mut c.retry_initial_ms, 1..=HOUR),
    },
    Setting {
        key: "retry_max_ms",
        default: "30000",
        doc: "No wait of our own choice is longer.",
        slot: |c| Slot::Integer(&mut c.retry_max_ms, 1..=HOUR),
    },
    Setting {
        key: "retry_after_max_ms",
        default: "30000",
        doc: "No `Retry-After` makes us wait longer.",
        slot: |c| Slot::Integer(&mut c.retry_after_max_ms, 0..=HOUR),
    },
    Setting {
        key: "retry_statuses",
        default: RETRYABLE,
        doc: "HTTP statuses worth another attempt; replaces the default set. A 413 splits the batch and a 2xx is read for verdicts, whatever stands here.",
        slot: |c| Slot::Statuses(&mut c.retry_statuses),
    },
    Setting {
        key: "request_timeout_ms",
        default: "10000",
        doc: "An attempt that has no whole answer after this long has failed.",
        slot: |c| Slot::Integer(&mut c.request_timeout_ms, 1..=HOUR),
    },
    Setting {
        key: "connect_timeout_ms",
        default: "5000",
        doc: "The part of it that name resolution, TCP and TLS may take.",
        slot: |c| Slot::Integer(&mut c.connect_timeout_ms, 1..=HOUR),
    },
    Setting {
        key: "shutdown_timeout_ms",
        default: "2000",
        doc: "How long `phc_client_free` lets pending events go out.",
        slot: |c| Slot::Integer(&mut c.shutdown_timeout_ms, 0..=HOUR),
    },
    Setting {
        key: "exit_flush_ms",
        default: "0",
        doc: "How long the end of the process (`exit` or a return from `main`) waits for pending events; 0 is not at all. Not for `_exit`, `quick_exit` or a fatal signal.",
        slot: |c| Slot::Integer(&mut c.exit_flush_ms, 0..=60_000),
    },
    Setting {
        key: "compression",
        default: "zstd",
        doc: "Codec of request bodies. After a 415 to another codec the client uses gzip for the rest of its life.",
        slot: |c| Slot::Choice(&mut c.compression, COMPRESSION),
    },
    Setting {
        key: "compression_level",
        default: "1",
        doc: "Effort, in the codec's own scale (gzip and deflate 1 to 9, br 0 to 11); above the scale's end is its end. For zstd 1 to 3: what more takes is not built in, and a client that asks for it is refused.",
        slot: |c| Slot::Integer(&mut c.compression_level, 0..=11),
    },
    Setting {
        key: "disable_geoip",
        default: "false",
        doc: "Adds `$geoip_disable: true` to every event.",
        slot: |c| Slot::Bool(&mut c.disable_geoip),
    },
    Setting {
        key: "is_server",
        default: "false",
        doc: "Adds `$is_server: true` to every event.",
        slot: |c| Slot::Bool(&mut c.is_server),
    },
    Setting {
        key: "historical_migration",
        default: "false",
        doc: "Marks every batch as an import of old events.",
        slot: |c| Slot::Bool(&mut c.historical_migration),
    },
    Setting {
        key: "sdk_name",
        default: "libphc",
        doc: "The first half of `User-Agent` and `PostHog-Sdk-Info`, from which the server derives `$lib`. A wrapper sets its own.",
        slot: |c| Slot::Text(&mut c.sdk_name, texts::token),
    },
    Setting {
        key: "sdk_version",
        default: env!("CARGO_PKG_VERSION"),
        doc: "The second half.",
        slot: |c| Slot::Text(&mut c.sdk_version, texts::token),
    },
    Setting {
        key: "proxy",
        default: "",
        doc: "URL of an HTTP proxy (`http://user:password@host:port`); empty is none. The environment is never read.",
        slot: |c| Slot::Text(&mut c.proxy, texts::proxy),
    },
    Setting {
        key: "ca_file",
        default: "",
        doc: "PEM file of the certificates to trust, instead of the system's; empty is the system's, and the bundled Mozilla set where there is none.",
        slot: |c| Slot::Text(&mut c.ca_file, |text| Ok(text.to_owned())),
    },
    Setting {
        key: "test_mode",
        default: "false",
        doc: "Sends nothing and starts no thread: an event is encoded as ever, counts as delivered at once, and `phc_test_next` hands out its wire bytes.",
        slot: |c| Slot::Bool(&mut c.test_mode),
    },
    Setting {
        key: "reports",
        default: "losses",
        doc: "Which attempts are reported: those that lost an event or drew a remark of the server, or all.",
        slot: |c| Slot::Choice(&mut c.reports, REPORTS),
    },
];

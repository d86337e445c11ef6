//! Every setting, once: its key, where it is kept, its bounds, its default and its
//! description. Parsing, checking, "did you mean" and docs/settings.md all come from
//! this table.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::choice::Choice;
use super::{Config, host, syntax};
use crate::protocol::statuses::RETRYABLE;
use crate::runtime::{DEFAULT_RESOLVER, NO_BUILTIN_RESOLVER};
use crate::suggest::did_you_mean;

/// One setting.
pub(crate) struct Setting {
    /// Its name in `phc_config_set`.
    pub(crate) key: &'static str,
    /// Its value when it is not set, as text.
    pub(crate) default: &'static str,
    /// What it does, for docs/settings.md.
    #[cfg_attr(not(feature = "internals"), allow(dead_code, reason = "docs/settings.md is made of it"))]
    pub(crate) doc: &'static str,
    /// Where it is kept and what is accepted.
    slot: fn(&mut Config) -> Slot<'_>,
}

/// A place for a value, with the values that are accepted.
enum Slot<'a> {
    /// A whole number.
    U64(&'a mut u64, RangeInclusive<u64>),
    /// A whole number.
    U32(&'a mut u32, RangeInclusive<u64>),
    /// A whole number.
    Size(&'a mut usize, RangeInclusive<u64>),
    /// Milliseconds.
    Millis(&'a mut Duration, RangeInclusive<u64>),
    /// `true` or `false`.
    Bool(&'a mut bool),
    /// One of a few words.
    Choice(&'a mut dyn Choice),
    /// Text, perhaps rewritten by its check.
    Text(&'a mut String, fn(&str) -> Result<String, String>),
    /// HTTP statuses, separated by commas.
    Statuses(&'a mut Vec<u16>),
    /// Texts without commas, separated by them.
    Texts(&'a mut Vec<String>),
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const GIB: u64 = 1 << 30;

impl Setting {
    /// Parses and stores a value. The error says what would be accepted; nothing has
    /// changed then.
    pub(super) fn assign(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match (self.slot)(config) {
            Slot::U64(field, bounds) => *field = parsed(value, &bounds)?,
            Slot::U32(field, bounds) => *field = parsed(value, &bounds)?,
            Slot::Size(field, bounds) => *field = parsed(value, &bounds)?,
            Slot::Millis(field, bounds) => *field = Duration::from_millis(parsed(value, &bounds)?),
            Slot::Bool(field) => {
                *field = match value.trim() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err("true or false is expected".to_owned()),
                };
            }
            Slot::Choice(field) => {
                let (word, words) = (value.trim(), field.words());
                let position = words.iter().position(|known| *known == word).ok_or_else(|| {
                    let hint = did_you_mean(word, words.iter().copied());
                    format!("one of {} is expected{hint}", words.join(", "))
                })?;
                if cfg!(not(feature = "brotli")) && word == "br" {
                    return Err("this libphc was built without brotli".to_owned());
                }
                if let Some(reason) = NO_BUILTIN_RESOLVER.filter(|_| word == "builtin") {
                    return Err(reason.to_owned());
                }
                field.select(position);
            }
            Slot::Text(field, check) => *field = check(value)?,
            Slot::Statuses(field) => {
                *field = parts(value)
                    .map(|part| part.parse().ok().filter(|status| (300..=599).contains(status)))
                    .collect::<Option<_>>()
                    .ok_or("HTTP statuses from 300 to 599, separated by commas, are expected")?;
            }
            Slot::Texts(field) => *field = parts(value).map(str::to_owned).collect(),
        }
        Ok(())
    }

    /// The present value as text, as [`Setting::assign`] accepts it.
    pub(super) fn value(&self, config: &mut Config) -> String {
        match (self.slot)(config) {
            Slot::U64(field, _) => field.to_string(),
            Slot::U32(field, _) => field.to_string(),
            Slot::Size(field, _) => field.to_string(),
            Slot::Millis(field, _) => field.as_millis().to_string(),
            Slot::Bool(field) => field.to_string(),
            Slot::Choice(field) => field.word().to_owned(),
            Slot::Text(field, _) => field.clone(),
            Slot::Statuses(field) => field.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
            Slot::Texts(field) => field.join(","),
        }
    }

    /// The kind of value, and what is accepted; empty if any text of that kind is.
    pub(crate) fn accepted(&self) -> (&'static str, String) {
        let mut config = Config::default();
        match (self.slot)(&mut config) {
            Slot::U64(_, bounds) | Slot::U32(_, bounds) | Slot::Size(_, bounds) | Slot::Millis(_, bounds) => {
                ("integer", format!("{} to {}", bounds.start(), bounds.end()))
            }
            Slot::Bool(_) => ("bool", "true, 1, false, 0".to_owned()),
            Slot::Choice(field) => ("word", field.words().join(", ")),
            Slot::Text(..) => ("text", String::new()),
            Slot::Statuses(_) => ("list", "statuses from 300 to 599, separated by commas".to_owned()),
            Slot::Texts(_) => ("list", "texts, separated by commas".to_owned()),
        }
    }
}

/// The parts of a list; white space around them does not count, and neither do empty ones.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// The number that `value` is, within its bounds and within `T`.
fn parsed<T: TryFrom<u64>>(value: &str, bounds: &RangeInclusive<u64>) -> Result<T, String> {
    (value.trim().parse().ok())
        .filter(|number| bounds.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("a whole number from {} to {} is expected", bounds.start(), bounds.end()))
}

/// All settings except `header.<Name>`, which stands for many.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "host",
        default: host::DEFAULT,
        doc: "Where events are sent. A path prefix is kept and trailing slashes are removed; without a scheme it is https, also for `localhost:8000`. An international name is written in its ASCII form (`xn--…`). What looks like a typing error (`http//x`, quotation marks, two addresses, the path of the endpoint) is refused. The addresses of the PostHog web application are mapped to their ingestion hosts.",
        slot: |c| Slot::Text(&mut c.host, host::normalised),
    },
    Setting {
        key: "flush_at",
        default: "100",
        doc: "This many waiting events are sent at once, without waiting for `flush_interval_ms`.",
        slot: |c| Slot::Size(&mut c.flush_at, 1..=100_000),
    },
    Setting {
        key: "flush_interval_ms",
        default: "5000",
        doc: "No event waits longer than this before it is first sent, while fewer than `max_in_flight` requests are open.",
        slot: |c| Slot::Millis(&mut c.flush_interval, 1..=HOUR),
    },
    Setting {
        key: "max_batch_events",
        default: "2000",
        doc: "The largest number of events in a batch.",
        slot: |c| Slot::Size(&mut c.max_batch_events, 1..=100_000),
    },
    Setting {
        key: "max_batch_bytes",
        default: "1048576",
        doc: "The largest batch body before compression, in bytes; an event that is larger by itself is sent alone.",
        slot: |c| Slot::Size(&mut c.max_batch_bytes, 1024..=16 << 20),
    },
    Setting {
        key: "max_event_bytes",
        default: "921600",
        doc: "The largest event on the wire, in bytes. A larger one is refused with `PHC_EVENT_TOO_LARGE`.",
        slot: |c| Slot::Size(&mut c.max_event_bytes, 512..=16 << 20),
    },
    Setting {
        key: "max_in_flight",
        default: "4",
        doc: "The largest number of requests that are open at once. As many connections are kept, each for 25 seconds after its last request; none is open after a minute without one.",
        slot: |c| Slot::Size(&mut c.max_in_flight, 1..=64),
    },
    Setting {
        key: "queue_max_events",
        default: "100000",
        doc: "The largest number of pending events: waiting, in flight and in back-off together.",
        slot: |c| Slot::U64(&mut c.queue_max_events, 1..=100_000_000),
    },
    Setting {
        key: "queue_max_bytes",
        default: "33554432",
        doc: "The largest number of bytes of pending events: their wire bytes and 48 bytes of bookkeeping each.",
        slot: |c| Slot::U64(&mut c.queue_max_bytes, 1024..=64 * GIB),
    },
    Setting {
        key: "overflow",
        default: "drop_newest",
        doc: "What a capture does when the queue is full: `drop_newest` returns `PHC_QUEUE_FULL`, `drop_oldest` evicts the oldest waiting events, `block` waits for at most `block_timeout_ms`.",
        slot: |c| Slot::Choice(&mut c.overflow),
    },
    Setting {
        key: "block_timeout_ms",
        default: "1000",
        doc: "How long a capture waits for room when `overflow` is `block`; then it returns `PHC_QUEUE_FULL`.",
        slot: |c| Slot::Millis(&mut c.block_timeout, 0..=HOUR),
    },
    Setting {
        key: "max_retries",
        default: "3",
        doc: "The number of attempts after the first one.",
        slot: |c| Slot::U32(&mut c.max_retries, 0..=1000),
    },
    Setting {
        key: "retry_initial_ms",
        default: "200",
        doc: "The wait before the first retry. It doubles from one retry to the next and is spread upwards by up to a half.",
        slot: |c| Slot::Millis(&mut c.retry_initial, 1..=HOUR),
    },
    Setting {
        key: "retry_max_ms",
        default: "30000",
        doc: "The longest wait between attempts that libphc chooses itself.",
        slot: |c| Slot::Millis(&mut c.retry_max, 1..=HOUR),
    },
    Setting {
        key: "retry_after_max_ms",
        default: "30000",
        doc: "The longest wait that a `Retry-After` header can ask for.",
        slot: |c| Slot::Millis(&mut c.retry_after_max, 0..=HOUR),
    },
    Setting {
        key: "retry_statuses",
        default: RETRYABLE,
        doc: "HTTP statuses after which another attempt is made; replaces the default set. A 413 always splits the batch, a 415 first has another codec tried, and a 2xx is always read for verdicts.",
        slot: |c| Slot::Statuses(&mut c.retry_statuses),
    },
    Setting {
        key: "request_timeout_ms",
        default: "10000",
        doc: "An attempt that has no complete response after this time has failed. If the process was suspended meanwhile, it first reads what has arrived. Where the system supports it (Linux), an attempt whose bytes are not acknowledged fails earlier: after half of this time, at most 5 seconds, but never before `connect_timeout_ms` has passed.",
        slot: |c| Slot::Millis(&mut c.request_timeout, 1..=HOUR),
    },
    Setting {
        key: "connect_timeout_ms",
        default: "5000",
        doc: "The part of `request_timeout_ms` that name resolution, TCP and TLS may take.",
        slot: |c| Slot::Millis(&mut c.connect_timeout, 1..=HOUR),
    },
    Setting {
        key: "shutdown_timeout_ms",
        default: "2000",
        doc: "How long `phc_client_free` waits for pending events to be sent.",
        slot: |c| Slot::Millis(&mut c.shutdown_timeout, 0..=HOUR),
    },
    Setting {
        key: "exit_flush_ms",
        default: "0",
        doc: "How long the end of the process (`exit` or a return from `main`) waits for pending events; 0 does not wait. It has no effect for `_exit`, `quick_exit` and fatal signals. On Windows, which ends the threads of a process before a DLL can act, creating a client with it fails (`PHC_INVALID_SETTING`): close the client before `main` returns.",
        slot: |c| Slot::Millis(&mut c.exit_flush, 0..=60_000),
    },
    Setting {
        key: "compression",
        default: "zstd",
        doc: "The codec of request bodies. After a 415 to another codec the client uses gzip for the rest of its life.",
        slot: |c| Slot::Choice(&mut c.compression),
    },
    Setting {
        key: "compression_level",
        default: "1",
        doc: "The effort, in the codec's own scale (gzip and deflate 1 to 9, br 0 to 11). Values above the codec's maximum are clamped. zstd supports 1 to 3 in this build; with zstd, higher values are rejected when the client is created.",
        slot: |c| Slot::U32(&mut c.compression_level, 0..=11),
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
        doc: "The first half of `User-Agent` and `PostHog-Sdk-Info`, from which the server derives `$lib`. A binding sets its own.",
        slot: |c| Slot::Text(&mut c.sdk_name, syntax::token),
    },
    Setting {
        key: "sdk_version",
        default: env!("CARGO_PKG_VERSION"),
        doc: "The second half of these two headers.",
        slot: |c| Slot::Text(&mut c.sdk_version, syntax::token),
    },
    Setting {
        key: "proxy",
        default: "",
        doc: "The URL of an HTTP proxy (`http://user:password@host:port`); empty means no proxy. libphc reads no environment variable; some packages pass one on, see [below](#the-environment).",
        slot: |c| Slot::Text(&mut c.proxy, syntax::proxy),
    },
    Setting {
        key: "resolver",
        default: DEFAULT_RESOLVER,
        doc: "What looks up the names of the host and the proxy. `builtin` reads `/etc/hosts` and `/etc/resolv.conf` and sends DNS queries itself; `system` calls libc's `getaddrinfo` on threads, for names that only another source of `/etc/nsswitch.conf` knows. [names.md](names.md) compares them. On Windows, which has no such files, the default is `system`, and `builtin` is refused.",
        slot: |c| Slot::Choice(&mut c.resolver),
    },
    Setting {
        key: "ca_file",
        default: "",
        doc: "A file of the certificates to trust instead of the system's; see [below](#certificates). A relative path is that from the folder which is current when it is set.",
        slot: |c| Slot::Text(&mut c.ca_file, syntax::path),
    },
    Setting {
        key: "client_cert_file",
        default: "",
        doc: "A PEM file of the certificate that this client shows to a server that requires one, with the intermediate ones after it; see [below](#certificates).",
        slot: |c| Slot::Text(&mut c.client_cert_file, syntax::path),
    },
    Setting {
        key: "client_key_file",
        default: "",
        doc: "A PEM file of its private key, without a passphrase. Empty means that the key is in `client_cert_file`, too.",
        slot: |c| Slot::Text(&mut c.client_key_file, syntax::path),
    },
    Setting {
        key: syntax::SECRET_KEY,
        default: "",
        doc: "The feature flags secure key of the project (`phs_…`), or a personal API key (`phx_…`): with it the definitions of feature flags are fetched, from the first evaluation on, and flags are evaluated here ([flags.md](flags.md)); remote configs need it. Empty: definitions are those that the program sets.",
        slot: |c| Slot::Text(&mut c.secret_key, syntax::secret_key),
    },
    Setting {
        key: "local_evaluation",
        default: "true",
        doc: "`false` fetches no definitions although there is a `secret_key`.",
        slot: |c| Slot::Bool(&mut c.local_evaluation),
    },
    Setting {
        key: "flags_timeout_ms",
        default: "3000",
        doc: "The longest time that an evaluation of feature flags, or a call for a remote config, waits for the server, retries included, whatever time limit the call has.",
        slot: |c| Slot::Millis(&mut c.flags_timeout, 1..=HOUR),
    },
    Setting {
        key: "flags_max_retries",
        default: "1",
        doc: "The number of attempts of an evaluation, or of a call for a remote config, after the first one: after 300 ms, 600 ms and so on, and only if there was no response, a 502 or a 504.",
        slot: |c| Slot::U32(&mut c.flags_max_retries, 0..=10),
    },
    Setting {
        key: "flags_poll_interval_ms",
        default: "30000",
        doc: "The time between two requests for definitions, a tenth more or less. PostHog bills each as ten flag requests. 0: one request at the first evaluation, others only by `phc_flags_reload`.",
        slot: |c| Slot::Millis(&mut c.flags_poll_interval, 0..=24 * HOUR),
    },
    Setting {
        key: "flags_idle_pause_ms",
        default: "0",
        doc: "After this time without an evaluation, fetching of definitions pauses until the next evaluation, which uses the definitions that are there. 0: it never pauses.",
        slot: |c| Slot::Millis(&mut c.flags_idle_pause, 0..=24 * HOUR),
    },
    Setting {
        key: "flags_definitions_timeout_ms",
        default: "10000",
        doc: "A request for definitions without a complete response after this time has failed.",
        slot: |c| Slot::Millis(&mut c.flags_definitions_timeout, 1..=HOUR),
    },
    Setting {
        key: "evaluation_contexts",
        default: "",
        doc: "The evaluation contexts of queries that name none: flags that have contexts of their own exist only where one of these is among them. Empty: all flags exist.",
        slot: |c| Slot::Texts(&mut c.evaluation_contexts),
    },
    Setting {
        key: "flags_request_version",
        default: "2",
        doc: "The version of `/flags` that is asked for. From 3 on the server says by which rule of an experiment a person got a variant, and `$experiment_exposure` is captured, too.",
        slot: |c| Slot::U32(&mut c.flags_request_version, 2..=4),
    },
    Setting {
        key: "flags_called_events",
        default: "true",
        doc: "Captures `$feature_flag_called` (and `$experiment_exposure`, see `flags_request_version`) when the value of a flag is read for the first time for a person; experiments need it.",
        slot: |c| Slot::Bool(&mut c.flags_called_events),
    },
    Setting {
        key: "flags_called_cache",
        default: "50000",
        doc: "How many such reads are remembered, each in eight bytes, so that they are captured once. Over it, those are forgotten whose last read is the oldest.",
        slot: |c| Slot::Size(&mut c.flags_called_cache, 0..=10_000_000),
    },
    Setting {
        key: "spool_dir",
        default: "",
        doc: "A folder in which pending events survive the end of the process; empty means none. It belongs to the user of the process, no one else may write to it, and its last part is made if it is missing. Several processes and clients can share it. [durability.md](durability.md) says what survives what. Not on Windows, nor in a library built without the cargo feature `spool`, both of which refuse it.",
        slot: |c| Slot::Text(&mut c.spool_dir, syntax::spool_dir),
    },
    Setting {
        key: "spool_safety",
        default: "crash",
        doc: "What survives: with `exit`, a close, an exit and an outage; with `crash`, also a crash of the process, except for what was captured in the last `spool_write_ms`; with `call`, every event whose capture has returned `PHC_OK`, which the capturing thread writes before it returns; with `power`, as with `crash`, and a power cut, except for what was captured in the last `spool_write_ms` and `spool_sync_ms`.",
        slot: |c| Slot::Choice(&mut c.spool_safety),
    },
    Setting {
        key: "spool_write_ms",
        default: "50",
        doc: "How long an event waits before it is written to disk (`crash`, `power`).",
        slot: |c| Slot::Millis(&mut c.spool_write, 1..=HOUR),
    },
    Setting {
        key: "spool_sync_ms",
        default: "1000",
        doc: "How long what was written waits before it is synced (`power`).",
        slot: |c| Slot::Millis(&mut c.spool_sync, 1..=HOUR),
    },
    Setting {
        key: "spool_max_bytes",
        default: "268435456",
        doc: "The largest number of bytes on disk of this host and key, those of all processes together. When it is reached, `overflow` = `drop_oldest` removes the oldest events from the disk; otherwise new ones are kept in memory only.",
        slot: |c| Slot::U64(&mut c.spool_max_bytes, 65_536..=1024 * GIB),
    },
    Setting {
        key: "spool_min_free_bytes",
        default: "67108864",
        doc: "Nothing is written to disk while fewer bytes than this are free on its file system.",
        slot: |c| Slot::U64(&mut c.spool_min_free_bytes, 0..=1024 * GIB),
    },
    Setting {
        key: "spool_max_age_ms",
        default: "604800000",
        doc: "Events that another process left on disk longer ago than this are lost (`expired`).",
        slot: |c| Slot::Millis(&mut c.spool_max_age, 1000..=365 * 24 * HOUR),
    },
    Setting {
        key: "spool_adopt",
        default: "true",
        doc: "Whether this client sends what ended processes with the same host and key have left on disk.",
        slot: |c| Slot::Bool(&mut c.spool_adopt),
    },
    Setting {
        key: "test_mode",
        default: "false",
        doc: "Sends nothing and starts no thread: events are encoded as usual and count as delivered at once, and `phc_binding_next_test_event` returns their wire bytes.",
        slot: |c| Slot::Bool(&mut c.test_mode),
    },
    Setting {
        key: "reports",
        default: "losses",
        doc: "Which attempts `phc_poll` and the error callback receive: those that lost an event; also those in which the server stored an event and made a remark (a warning, or details of an ok); or all. The delivery callback does not depend on it.",
        slot: |c| Slot::Choice(&mut c.reports),
    },
    Setting {
        key: "log_level",
        default: "info",
        doc: "The least important lines that the log callback gets. `debug` adds a line for every attempt.",
        slot: |c| Slot::Choice(&mut c.log_level),
    },
];

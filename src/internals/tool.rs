//! What phc-cli uses: a client whose losses are values, single steps of an attempt, and the folders of a spool.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

#[cfg(all(unix, feature = "spool"))]
pub use crate::spool::{
    BadSegment, DestinationFolder, Discarded, InstanceFolder, Liveness, NotRead, SegmentEntry,
    SegmentSummary, SpoolFolder, Unreadable,
};

use crate::client::Client;
use crate::config::Config;
use crate::delivery::{LossReason, Report};
use crate::event::EventInput;
#[cfg(all(unix, feature = "spool"))]
use crate::spool::Destination;
use crate::status::Error;
use crate::transport::probe;

/// A client. Safe to use from any thread; dropping it closes it.
pub struct ToolClient(Client);

/// The counters of a client: `captured` + `recovered` = `delivered` + `lost` + `kept` + `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were taken.
    pub captured: u64,
    /// Events that ended processes had left, and that this client has taken over.
    pub recovered: u64,
    /// Those that the server stored.
    pub delivered: u64,
    /// Delivered events about which the server said more than a plain `ok`.
    pub delivered_with_remark: u64,
    /// Those that are lost.
    pub lost: u64,
    /// Lost events that the server may have stored nevertheless.
    pub maybe_delivered: u64,
    /// Those that a close has left on disk.
    pub kept: u64,
    /// Those that are neither delivered nor lost yet.
    pub pending: u64,
}

/// A drain that was begun.
#[cfg(all(unix, feature = "spool"))]
#[derive(Debug)]
pub struct Drain(u64);

/// Events that were lost on one occasion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// What went wrong with their batch as a whole; empty if nothing did.
    pub error: String,
    /// The events.
    pub events: Vec<Loss>,
    /// How many more were lost and are not named here or later, because earlier reports were not read in time.
    pub unnamed: u64,
}

/// A lost event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its uuid.
    pub uuid: Uuid,
    /// The name of the loss reason.
    pub reason: &'static str,
    /// Whether the server may have stored it nevertheless.
    pub maybe_delivered: bool,
    /// What the server said of it, or nothing.
    pub details: String,
}

impl ToolClient {
    /// A client with these settings. Starts no thread before its first event.
    pub fn open(config: Config) -> Result<Self, Error> {
        Client::new(config).map(ToolClient)
    }

    /// Takes an event, and returns its uuid.
    pub fn capture(&self, event: &EventInput<'_>) -> Result<Uuid, Error> {
        self.0.capture(event)
    }

    /// The next losses; `None` if there are none within this time, or if there will be none because the client is
    /// closed.
    pub fn next_losses(&self, timeout: Duration) -> Option<Losses> {
        self.0.poll(Some(timeout)).map(Losses::of)
    }

    /// The counters, of one instant.
    pub fn counts(&self) -> Counts {
        let stats = self.0.stats();
        Counts {
            captured: stats.captured,
            recovered: stats.recovered,
            kept: stats.kept,
            delivered: stats.delivered,
            delivered_with_remark: stats.delivered_with_remark,
            lost: stats.lost_total(),
            maybe_delivered: stats.maybe_delivered,
            pending: stats.pending_events,
        }
    }

    /// Sends what waits, and waits until every event that was taken before has ended; at most for `timeout`, at which
    /// nothing is abandoned. Returns whether all have ended.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.0.flush(Some(timeout)).is_ok_and(|result| result.pending == 0)
    }

    /// Begins to send what ended processes have left in the spool for this host and key, without waiting for the time
    /// at which a client looks for that. Needs the setting `spool_dir`.
    #[cfg(all(unix, feature = "spool"))]
    pub fn begin_drain(&self) -> Result<Drain, Error> {
        self.0.begin_drain().map(Drain)
    }

    /// Waits until nothing is pending and nothing is left that this client could take over, or the disk does not allow
    /// that; at most for `timeout`. Returns whether that is so.
    #[cfg(all(unix, feature = "spool"))]
    pub fn wait_drained(&self, drain: &Drain, timeout: Duration) -> bool {
        self.0.wait_drained(drain.0, timeout)
    }

    /// Waits until everything that was taken before has ended or is on disk and synced, at most for `timeout`. The error
    /// says why it is not.
    #[cfg(all(unix, feature = "spool"))]
    pub fn persist(&self, timeout: Duration) -> Result<(), Error> {
        self.0.persist(Some(timeout))
    }

    /// Passes each line of the log, of `log_level` or above, to a function, which is called on a thread of the client.
    pub fn set_log(&self, line: impl Fn(&str) + Send + Sync + 'static) -> Result<(), Error> {
        self.0.set_log_callback(Some(Box::new(move |_, text| line(text))))
    }

    /// As [`ToolClient::close`], but first sends what this client itself has taken, and gives the disk time: both together
    /// have this long.
    pub fn close_within(&self, timeout: Duration) {
        // Its error says that events are lost, as the reports do.
        let _ = self.0.close(Some(timeout));
    }

    /// Ends every event that is still pending, and takes no more: with a spool, what is on disk is kept there; the rest
    /// is lost (`closed`). The losses can still be read.
    pub fn close(&self) {
        self.close_within(Duration::ZERO);
    }
}

impl Losses {
    fn of(report: Report) -> Self {
        let lost = report.events.into_iter().filter_map(|event| {
            let details = event.verdict.and_then(|verdict| verdict.details).unwrap_or_default();
            Some(Loss {
                uuid: event.uuid,
                reason: LossReason::name(event.loss?),
                maybe_delivered: event.maybe_delivered,
                details,
            })
        });
        Losses { events: lost.collect(), error: report.error, unnamed: report.missed_events }
    }
}

/// The name of the folder of a client's host and key in its spool.
#[cfg(all(unix, feature = "spool"))]
pub fn destination_name(config: &Config) -> String {
    Destination::of(&probe::endpoint(config), &config.api_key).folder_name()
}

/// The URL that events are posted to.
pub fn endpoint(config: &Config) -> String {
    probe::endpoint(config)
}

/// The host, without brackets, and the port of a URL; `None` if it has none.
pub fn address(url: &str) -> Option<(String, u16)> {
    probe::address(url)
}

/// Looks a name up as an attempt does, within `connect_timeout_ms`. The error says what was asked and what to do.
pub fn look_up(config: &Config, name: &str) -> Result<Vec<IpAddr>, String> {
    probe::look_up(config, name)
}

/// The TLS configuration of an attempt, a text that says where its certificates come from, and what is wrong with
/// files although it goes on.
pub fn tls_config(config: &Config) -> Result<(rustls::ClientConfig, String, Vec<String>), String> {
    probe::tls_config(config)
}

/// What an error of TLS means, and what to do about it; `None` if it is not one, or not a known one.
pub fn tls_meaning(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    probe::tls_meaning(error)
}

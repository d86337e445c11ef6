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
use crate::status::Error;
use crate::transport::probe;

/// A client. Safe to use from any thread; dropping it closes it.
pub struct ToolClient(Client);

/// The counters of a client: `captured` = `delivered` + `lost` + `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were taken.
    pub captured: u64,
    /// Those that the server stored.
    pub delivered: u64,
    /// Delivered events about which the server said more than a plain `ok`.
    pub delivered_with_remark: u64,
    /// Those that are lost.
    pub lost: u64,
    /// Lost events that the server may have stored nevertheless.
    pub maybe_delivered: u64,
    /// Those that are neither delivered nor lost yet.
    pub pending: u64,
}

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

    /// Ends every event that is still pending as lost (`closed`), and takes no more. The losses can still be read.
    pub fn close(&self) {
        // Its error says that events are lost, as the reports do.
        let _ = self.0.close(Some(Duration::ZERO));
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

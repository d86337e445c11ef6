//! Reads of flags become events: `$feature_flag_called`, once for each value that is read for a person, and
//! `$experiment_exposure`, once for each variant of an experiment.
//!
//! A snapshot may outlive its client, and may be read while that is freed. So it has a [`Reporter`] in place of the
//! client, which the end of the client closes: a read never waits for it, and no event is captured after it.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::super::{Client, Inside, inside};
use crate::config::Config;
use crate::event::{Encoder, EventInput};
use crate::flags::{Kind, Read, Reported, Snapshot};
use crate::runtime::PerProcess;
use crate::status::{Error, Status};
use crate::sync::recover;

/// How many threads can note reads at once without waiting for each other.
const SHARDS: usize = 16;

/// The way from a snapshot to its client.
#[derive(Default)]
pub(crate) struct Reporter {
    client: OnceLock<Weak<Client>>,
    /// Read by reads, which do not wait for it, and written by the end of the client. A forked child has another one.
    ///
    /// Lock order: the first lock to be taken; code of the host (`before_send`) may run while it is read.
    gate: PerProcess<RwLock<()>>,
}

/// Which reads were reported in this process.
struct Reads {
    /// Lock order: no other lock is taken while one of them is held.
    shards: [Mutex<Reported>; SHARDS],
    keys: RandomState,
}

/// One event of the reads of a flag, and the key of that.
type Event = (Kind, Box<str>);

/// Which events a binding got for the reads of one snapshot. It asks until there is none, so each is handed out once,
/// also where reads are not remembered or are forgotten meanwhile.
#[derive(Default)]
pub(crate) struct HandedOut {
    /// Lock order: no other lock is taken while it is held.
    events: PerProcess<Mutex<Vec<Event>>>,
}

impl HandedOut {
    fn has(&self, kind: Kind, key: &str) -> bool {
        let Some(events) = self.events.get() else { return false };
        recover(events.lock()).iter().any(|known| known.0 == kind && *known.1 == *key)
    }

    fn add(&self, kind: Kind, key: &str) {
        recover(self.events.get_or_make(Mutex::default).lock()).push((kind, key.into()));
    }
}

/// What a client needs to report reads.
pub(in super::super) struct Reporting {
    reporter: Option<Arc<Reporter>>,
    reads: PerProcess<Reads>,
}

impl Reporting {
    pub(super) fn new(config: &Config) -> Self {
        let reports = config.flags_called_events && !config.is_disabled();
        Reporting { reporter: reports.then(Arc::default), reads: PerProcess::new() }
    }
}

impl Client {
    /// A client that its snapshots can report to.
    pub(crate) fn shared(self) -> Arc<Client> {
        let client = Arc::new(self);
        if let Some(reporter) = &client.flags.reporting.reporter {
            let _ = reporter.client.set(Arc::downgrade(&client));
        }
        client
    }

    /// Gives one reference back. If it is the last one, the client ends here, and not in a read.
    pub(crate) fn release(self: Arc<Self>) {
        let reporter = self.flags.reporting.reporter.clone();
        let gate = reporter.as_ref().map(|reporter| reporter.gate.get_or_make(RwLock::default));
        let _closed = gate.map(|gate| gate.write().unwrap_or_else(PoisonError::into_inner));
        drop(self);
    }

    /// What the client's snapshots report to; `None` if reads are not reported.
    pub(crate) fn flag_reporter(&self) -> Option<Arc<Reporter>> {
        self.flags.reporting.reporter.clone()
    }

    /// Has this event of a read captured, unless it was before; returns whether that was tried. If it failed, a later
    /// read is captured.
    fn flag_was_read(&self, read: &Read<'_>, kind: Kind, capture: impl FnOnce() -> bool) -> bool {
        let reads = self.flags.reporting.reads.get_or_make(|| {
            let each = self.config.flags_called_cache.div_ceil(SHARDS);
            let shards = std::array::from_fn(|_| Mutex::new(Reported::new(each)));
            Reads { shards, keys: RandomState::new() }
        });
        let hash = read.hash(kind, &reads.keys);
        let shard = usize::try_from(hash & 0xFF).unwrap_or(0) % SHARDS;
        let Some(shard) = reads.shards.get(shard) else { return false };
        let is_new = recover(shard.lock()).add(hash);
        if is_new && !capture() {
            recover(shard.lock()).remove(hash);
        }
        is_new
    }

    /// Whether this event of the read need not be made again: it is captured, or `before_send` has discarded it.
    fn settle_read(&self, read: &Read<'_>, kind: Kind) -> bool {
        self.capture_read(read, kind).map_or_else(|error| error.status == Status::BEFORE_SEND, |()| true)
    }

    /// Captures the event of a read: like any other, but it never waits for room, and few of them have super
    /// properties.
    #[cold]
    fn capture_read(&self, read: &Read<'_>, kind: Kind) -> Result<(), Error> {
        let kept = self.kept.load();
        if self.is_closed() || kept.opted_out {
            return Err(Status::CLOSED.into());
        }
        let properties = read.properties(kind);
        let input = EventInput::Parts {
            distinct_id: read.distinct_id().as_bytes(),
            event: kind.name().as_bytes(),
            properties: Some(&properties),
        };
        let of_settings;
        let super_properties = if read.is_minimal(kind) {
            of_settings = Self::properties_of_settings(&self.config)?;
            &of_settings
        } else {
            &kept.super_properties
        };
        let take =
            |encoder: &mut Encoder| self.take_with(encoder, &input, &kept, super_properties, Duration::ZERO);
        self.with_encoder(take).map(|_| ())
    }
}

impl Reporter {
    /// Reports the read of a flag, unless its client has ended or ends just now.
    pub(crate) fn report(&self, snapshot: &Snapshot, key: &str) {
        let read = Read::new(snapshot, key);
        if read.is_reportable() {
            self.with_client(|client| {
                for kind in read.kinds() {
                    client.flag_was_read(&read, kind, || client.settle_read(&read, kind));
                }
            });
        }
    }

    /// The same for a binding, which captures the events itself: `take` gets the first that was not captured before, and
    /// returns whether it could take it.
    pub(crate) fn hand_out(
        &self,
        snapshot: &Snapshot,
        handed_out: &HandedOut,
        key: &str,
        mut take: impl FnMut(&[u8]) -> bool,
    ) {
        let read = Read::new(snapshot, key);
        if read.is_of_person() {
            self.with_client(|client| {
                if !client.is_closed() && !client.kept.load().opted_out {
                    let mut left = read.kinds().filter(|kind| !handed_out.has(*kind, key));
                    left.any(|kind| {
                        client.flag_was_read(&read, kind, || {
                            let is_taken = take(&read.event(kind));
                            if is_taken {
                                handed_out.add(kind, key);
                            }
                            is_taken
                        })
                    });
                }
            });
        }
    }

    /// Calls it with the client, unless that has ended or ends just now.
    fn with_client(&self, call: impl FnOnce(&Client)) {
        // An event of before_send would be passed to before_send.
        if inside() == Inside::BeforeSend {
            return;
        }
        let Ok(_open) = self.gate.get_or_make(RwLock::default).try_read() else { return };
        if let Some(client) = self.client.get().and_then(Weak::upgrade) {
            call(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::remote::{Decision, Exchange, decide};
    use crate::flags::{OfClient, Query};

    /// A typed record of a flag that an experiment has split.
    const SPLIT: &str = r#"{"flags":{"a":{"value":"red","reason":{"code":"experiment_split"},"metadata":{"id":12,
        "version":4,"config_version":2,"rule_type":"experiment","variant_key":"red",
        "rule_id":"018f4f9e-0000-7000-8000-000000000001"}}}}"#;

    fn snapshot(query: &Query) -> Snapshot {
        let body = SPLIT.as_bytes().to_vec();
        let exchange = Exchange::Response { status: 200, body, etag: None, retry_after: None };
        let Decision::Known(remote) = decide(&exchange) else { panic!("the response has values") };
        Snapshot::new(None, query, OfClient { contexts: &[], now: 0 }).with_server(query, Ok(remote))
    }

    #[test]
    fn a_binding_that_asks_until_there_is_nothing_gets_each_event_once() {
        for remembered in [0, 50_000] {
            let config =
                Config { flags_called_cache: remembered, test_mode: true, ..Config::new("phc_conformance") };
            let client = Client::new(config).unwrap().shared();
            let reporter = client.flag_reporter().unwrap();
            let query = Query::new("user");
            let all_of = |snapshot: &Snapshot, handed_out: &HandedOut, key: &str| {
                let mut events: Vec<String> = Vec::new();
                loop {
                    let before = events.len();
                    reporter.hand_out(snapshot, handed_out, key, |event| {
                        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
                        events.push(event["event"].as_str().unwrap().to_owned());
                        true
                    });
                    assert!(events.len() < 5, "{events:?}");
                    if events.len() == before {
                        return events.join(" ");
                    }
                }
            };
            let (first, handed_out) = (snapshot(&query), HandedOut::default());
            // What did not fit is handed out again.
            let mut refused = 0;
            for _ in 0..2 {
                reporter.hand_out(&first, &handed_out, "a", |_| {
                    refused += 1;
                    false
                });
            }
            assert_eq!(refused, 2);
            assert_eq!(all_of(&first, &handed_out, "a"), "$feature_flag_called $experiment_exposure");
            assert_eq!(all_of(&first, &handed_out, "nothing"), "$feature_flag_called");
            assert_eq!(all_of(&first, &handed_out, "a"), "");
            // Without a memory, another snapshot has them once more.
            let again = if remembered == 0 { "$feature_flag_called $experiment_exposure" } else { "" };
            assert_eq!(all_of(&snapshot(&query), &HandedOut::default(), "a"), again);
        }
    }
}

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
    pub(crate) fn hand_out(&self, snapshot: &Snapshot, key: &str, mut take: impl FnMut(&[u8]) -> bool) {
        let read = Read::new(snapshot, key);
        if read.is_of_person() {
            self.with_client(|client| {
                if !client.is_closed() && !client.kept.load().opted_out {
                    read.kinds().any(|kind| client.flag_was_read(&read, kind, || take(&read.event(kind))));
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

//! The thread that works on the disk for one client, `phc-disk`. A disk that hangs stops this thread, and not the
//! network; of captures, it stops those that append by themselves (`call`).

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::spool_driver::{SpoolDriver, Turn};
use crate::config::Config;
use crate::delivery::{Delivery, DeliveryState, LossReason, Signal, Wait, Wake, has_passed};
use crate::event::timestamp::Timestamp;
use crate::event::uuid::UuidSource;
use crate::runtime;
use crate::spool::{Moment, UnixDisk, boot_id};
use crate::status::Status;

/// The thread's name, as `ps -T` shows it.
const NAME: &str = "phc-disk";

/// See the module. It ends once the client is closed.
pub(super) struct DiskThread {
    thread: JoinHandle<()>,
}

impl DiskThread {
    /// Starts the thread of a client that has a spool.
    pub(super) fn start(delivery: Arc<Delivery>, config: &Config) -> std::io::Result<DiskThread> {
        let config = config.clone();
        // Without randomness, the name of the instance is still not the last one of this process.
        let uuid = UuidSource::new().uuid_v7(Timestamp::now().unix_ms());
        let random = uuid.map_or_else(|_| runtime::fork_epoch(), |uuid| uuid.as_u64_pair().1);
        let thread = runtime::spawn(NAME, move || run(&delivery, &config, random))?;
        Ok(DiskThread { thread })
    }

    /// Has everything that is pending written, once nothing is sent any more, and waits until that is done, at most
    /// until `deadline`.
    pub(super) fn close(delivery: &Delivery, deadline: Instant) {
        delivery.update(|state| ((), state.freeze()));
        delivery.wait_until(Signal::Settled, Some(deadline), |state| state.is_disk_closed());
    }

    /// Waits for the end of the thread, unless the disk holds it up.
    pub(super) fn end(self, delivery: &Delivery) {
        if delivery.read(DeliveryState::is_disk_closed) {
            let _ = self.thread.join();
        }
    }
}

fn run(delivery: &Delivery, config: &Config, random: u64) {
    let _guard = Exit(delivery);
    let boot_id = boot_id();
    let mut driver = SpoolDriver::new(config, UnixDisk, std::process::id(), random, Moment::now(boot_id));
    loop {
        let now = Moment::now(boot_id);
        match driver.turn(delivery, now) {
            Turn::Again => {}
            Turn::Sleep { until, is_timed } => {
                let until = until.map(|until| Duration::from_millis(until.saturating_sub(now.boot_ms)));
                sleep(delivery, until.and_then(|wait| Instant::now().checked_add(wait)), is_timed);
            }
            Turn::Closed => return,
        }
    }
}

fn sleep(delivery: &Delivery, until: Option<Instant>, is_timed: bool) {
    let mut has_begun = false;
    delivery.wait_until(Signal::Disk, until, |state| {
        if !has_begun {
            has_begun = true;
            state.disk_sleeps(is_timed);
        }
        state.is_disk_awake()
    });
}

/// However the thread ends, a close does not wait for it.
struct Exit<'a>(&'a Delivery);

impl Drop for Exit<'_> {
    fn drop(&mut self) {
        self.0.update(|state| ((), state.disk_stopped()));
    }
}

impl Delivery {
    /// Ends what is pending, in memory and on disk, and waits until the files are removed. Returns how many events have
    /// ended by then, also where the wait fails.
    pub(super) fn discard(&self, deadline: Option<Instant>) -> (u64, Status) {
        let lost = |state: &DeliveryState| {
            state.stats().lost.get(LossReason::Discarded.index()).copied().unwrap_or_default()
        };
        let (before, order) = self.update(|state| {
            let before = lost(state);
            let (order, wake) = state.ask_discard();
            ((before, order), wake)
        });
        self.wait_for(Signal::Settled, |state| {
            let done = |status| Wait::Done((lost(state) - before, status), Wake::NONE);
            match state.discarded(order) {
                Some(status) => done(status),
                None if has_passed(deadline) => done(Status::TIMEOUT),
                None => Wait::Until(deadline),
            }
        })
    }
}

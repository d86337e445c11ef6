//! Errors of the disk change what the store does, and for how long.

use super::health::Health;
use super::{Notice, Store};
use crate::spool::disk::{Disk, DiskError, ErrorKind};
use crate::spool::moment::Moment;

impl<D: Disk> Store<D> {
    /// Whether the disk is to be used: it works, or it is time to try it again.
    pub(super) fn may_try(&mut self, now: Moment) -> bool {
        let Some(retry_at) = self.health.retry_at() else { return true };
        if retry_at > now.boot_ms {
            return false;
        }
        self.health.health = Health::Ok;
        self.request_rewrites();
        true
    }

    /// Records an error of the disk.
    pub(super) fn failed(&mut self, error: &DiskError, now: Moment) {
        let health = Health::after(error.kind);
        self.set_health(health, &error.text, now);
        if error.kind == ErrorKind::Missing {
            self.leave_home();
        }
    }

    pub(super) fn set_health(&mut self, health: Health, why: &str, now: Moment) {
        self.health.health = health;
        self.health.retry_at = now.after(health.retry());
        if self.health.reported != health {
            self.health.reported = health;
            self.note(Notice::Health(health, why.to_owned()));
        }
    }

    /// Records that the disk has taken something.
    pub(super) fn worked(&mut self) {
        self.health.failures = 0;
        if self.health.health == Health::Ok && self.health.reported != Health::Ok {
            self.health.reported = Health::Ok;
            self.note(Notice::Health(Health::Ok, "the spool works again".to_owned()));
        }
    }
}

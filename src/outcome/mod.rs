//! How events ended: counters that add up, and reports that say why.

pub mod beacon;
pub mod ledger;
pub mod mailbox;
pub mod notes;
pub mod report;
pub mod tray;

pub use beacon::Beacon;
pub use ledger::Ledger;
pub use mailbox::Mailbox;
pub use notes::{Level, Notes};
pub use report::{Ending, EventReport, Report};
pub use tray::Tray;

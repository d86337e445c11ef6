//! How events ended: counters that add up, and reports that say why.

pub mod ledger;
pub mod mailbox;
pub mod report;

pub use ledger::Ledger;
pub use mailbox::Mailbox;
pub use report::{Ending, EventReport, Report};

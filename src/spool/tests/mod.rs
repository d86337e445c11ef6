//! The spool on a disk in memory, and on a real one.

mod golden;
mod histories;
// The fuzz target has it as well.
#[allow(unreachable_pub)]
mod naive;
mod reading;
mod real_disk;
mod sim_disk;
mod stores;
mod taking_over;

pub(crate) use sim_disk::SimDisk;

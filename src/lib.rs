//! libphc

pub mod event;
pub mod status;
mod suggest;

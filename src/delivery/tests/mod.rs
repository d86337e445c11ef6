//! Tests of the parts of this module together.

mod poisoned;
mod simulation;
mod staging;

//! Tests of the parts of this module together.

mod simulation;
mod staging;

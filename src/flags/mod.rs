//! Feature flags as rules: definitions, and their evaluation for a person.
//!
//! No I/O, no lock, no clock but the time that is passed in. Definitions are compiled once into an immutable
//! structure; an evaluation only reads it, so any thread may evaluate while others load new definitions, and a forked
//! child goes on with what it has inherited. docs/flags.md says what is exact and what is left to the server.
//!
//! Its parts, each of which imports only those before it: `texts`, `hash`, `operator`, `tree` (JSON),
//! `case_folding` ← `date`, `version`, `pattern`, `property` ← `matching` (an operator with its value) ← `definitions` (the compiled form), `graph`
//! ← `compile`, `cohort` (from JSON), `query` ← `evaluate` ← `remote` (what the server evaluates) ← `found` ←
//! `snapshot` ← `called` (what is said of a read), `reported` (which reads were).

mod called;
mod case_folding;
mod cohort;
mod compile;
mod date;
mod definitions;
mod evaluate;
mod found;
mod graph;
mod hash;
mod matching;
mod operator;
mod pattern;
mod property;
mod query;
pub(crate) mod remote;
mod reported;
mod snapshot;
#[cfg(test)]
mod tests;
mod texts;
mod tree;
mod version;

pub(crate) use called::{Kind, Read};
pub(crate) use definitions::{Definitions, Unresolved};
pub(crate) use evaluate::{OfClient, Reason, Value};
pub(crate) use found::Found;
pub(crate) use query::Query;
pub(crate) use reported::Reported;
pub(crate) use snapshot::Snapshot;

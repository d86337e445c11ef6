//! Capture v1 as data, and what holds a client against it.
//!
//! - [`contract`]: the rules, each with its cases; the index.
//! - [`case`]: the file formats of vectors and scenarios.
//! - [`json`]: JSON compared without losing a digit.
//! - [`driver`]: a client under test: a [`worker`] process over JSON lines, or a
//!   [`remote`] adapter over HTTP.
//! - [`referee`]: the sink that the client sends to, and a recording proxy.
//! - [`steps`], [`vectors`], [`scenarios`]: one case, run and judged.
//! - [`run`]: all cases in parallel; [`outcome`]: the table, JUnit and JSON.
//! - [`front`]: the adapter that the official harness drives.

pub mod case;
pub mod contract;
pub mod driver;
pub mod front;
pub mod json;
pub mod outcome;
pub mod referee;
pub mod remote;
pub mod run;
pub mod scenarios;
pub mod steps;
pub mod vectors;
pub mod worker;

//! Feature flags that the server evaluates, as rules: what is sent, what a response means, when to try again, when
//! not to ask at all, and when definitions are fetched again.
//!
//! Time goes in as an argument and waits come out; who sends is `transport`, and who waits is `client`. The parts:
//! `request` writes the body, `response` reads every form of the server's, `decide` says what an exchange means,
//! `config` does so for remote configs, `circuit` remembers that the server does not respond, `schedule` spaces the requests for definitions.

mod circuit;
mod config;
mod decide;
mod request;
mod response;
mod schedule;

pub(crate) use circuit::{Admission, FlagCircuit};
pub(crate) use config::{RemoteConfig, config_path, decide_config};
pub(crate) use decide::{Decision, Exchange, Failure, decide, failure_of, retry_wait};
pub(crate) use request::Sender;
pub(crate) use response::Remote;
pub(super) use response::{RemoteFlag, Rule, c_text};
pub(crate) use schedule::{Polled, Schedule};

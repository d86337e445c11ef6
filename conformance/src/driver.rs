//! A client under test, in whatever language it is written: one trait for workers and adapters.
//!
//! It says how a client is driven, call by call, and nothing about what a case expects of it.

use crate::case::Settings;
use crate::json::Tree;

/// What a driver says about its client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    /// The first half of its User-Agent.
    pub(crate) sdk_name: String,
    /// The second half of its User-Agent.
    pub(crate) sdk_version: String,
    /// The forms in which the client can be given an event; at least one.
    pub(crate) forms: Vec<String>,
    /// What the worker can make fail inside of the client.
    pub(crate) faults: Vec<String>,
}

/// What a call returned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    /// The name of its status, such as `ok`.
    pub(crate) status: String,
    /// What was wrong, if the status is not `ok`.
    pub(crate) message: String,
    /// The uuid of the captured event.
    pub(crate) uuid: Option<String>,
    /// Anything else that the call returned.
    pub(crate) result: Option<Tree>,
}

/// How a call went.
#[derive(Clone, Debug)]
pub(crate) enum CallResult {
    /// It was made.
    Done(Response),
    /// The client has no such call, or cannot be given this argument; the reason.
    Unsupported(String),
}

/// One client at a time, call by call. An `Err` means that the driver itself is broken and must be replaced.
pub(crate) trait Driver: Send {
    /// What the driver said about its client when it started.
    fn hello(&self) -> &Hello;

    /// Creates a client in place of the one before. A client that lacks one of the `optional` settings is
    /// created without it.
    fn init(&mut self, api_key: &str, settings: &Settings, optional: &Settings)
    -> Result<CallResult, String>;

    /// Makes a call. `form` is one of the forms of [`Hello`]; `argument` is JSON text.
    fn call(&mut self, name: &str, form: &str, argument: &str) -> Result<CallResult, String>;
}

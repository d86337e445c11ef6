//! A client under test, whatever language it is in.

use crate::case::Settings;
use crate::json::Tree;

/// What a driver says of itself.
#[derive(Clone, Debug, Default)]
pub struct Hello {
    /// The first half of its User-Agent.
    pub sdk_name: String,
    /// The second half.
    pub sdk_version: String,
    /// The ways in which it can be given an event.
    pub ways: Vec<String>,
}

/// What a call answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The name of its status, `ok`.
    pub status: String,
    /// What was wrong.
    pub message: String,
    /// The uuid of the event that was taken.
    pub uuid: Option<String>,
    /// What else there is.
    pub result: Option<Tree>,
}

/// How a call went.
#[derive(Clone, Debug)]
pub enum Called {
    /// It was made.
    Answered(Answer),
    /// This client has no such call, or cannot be given this; and why.
    NotOffered(String),
}

/// One client at a time, call by call. An `Err` means that the driver itself is
/// broken and of no more use.
pub trait Driver: Send {
    /// What it says of itself.
    fn hello(&self) -> &Hello;

    /// Makes the client, in place of the one before. `pace` are settings that
    /// may be left out.
    ///
    /// # Errors
    /// The driver is broken.
    fn init(&mut self, api_key: &str, settings: &Settings, pace: &Settings) -> Result<Called, String>;

    /// Makes a call. `with` is its argument, as JSON text.
    ///
    /// # Errors
    /// The driver is broken.
    fn call(&mut self, name: &str, way: &str, with: &str) -> Result<Called, String>;
}

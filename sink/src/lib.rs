//! phc-sink: a strict local Capture v1 server, and the referee of the tests.
//!
//! It shares no code with the library that it judges. A request is decoded
//! ([`decode`]), read ([`wire`]), held against the rules ([`check`]) and against
//! what came before it ([`history`]), and answered as scripted ([`script`],
//! [`chaos`], [`answer`]). Everything is kept per [`space`], so that many tests
//! can share one sink, and is shown by [`view`] and [`terminal`].

pub mod answer;
pub mod chaos;
pub mod check;
pub mod decode;
pub mod history;
pub mod script;
pub mod server;
pub mod space;
pub mod terminal;
pub mod view;
pub mod wire;

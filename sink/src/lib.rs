//! phc-sink: a strict local Capture v1 server for tests, demos and authors of clients.
//!
//! It accepts events, checks every request against the contract, responds as a script says, and
//! shows what it received. It knows nothing of libphc and shares no code with it: a mistake in the
//! library cannot be repeated, and thereby hidden, in the server that checks its requests.
//!
//! A request is decompressed (`decode`), read with all its bytes (`read`, `members`), checked by itself
//! (`check`) and against the requests before it (`history`). A `script`, or else `chaos`, says what is
//! special about the response; `response` writes its body and `transmit` sends it, with every failure
//! that the script asks for. Requests of feature flags take the same way by `flags`. Each URL prefix is a `namespace`
//! with a script and records of its own, so that many tests can share one sink; `view`, `page` and `terminal` show the
//! records, and `printer` prints the last of these.
//!
//! No client makes it use memory without bounds: `connections`, `namespaces`, `kept` and `recent` see to that.

#![warn(unreachable_pub)]

mod chaos;
mod check;
mod connections;
mod decode;
mod flags;
mod history;
mod kept;
mod members;
mod namespace;
mod namespaces;
mod origin;
mod page;
mod printer;
mod read;
mod recent;
mod records;
mod response;
mod script;
mod server;
mod strict;
mod terminal;
mod text;
mod timeline;
mod transmit;
mod view;

pub use chaos::Chaos;
pub use check::{FLAG_RULES, RULES, Violation};
pub use flags::FlagRecord;
pub use namespace::{IncomingRequest, MAX_BODY, MAX_WIRE_BODY, MEMORY, Namespace, Options, ResponsePlan};
pub use page::snippets;
pub use recent::Recent;
pub use records::{EventRecord, RequestRecord, Summary};
pub use script::{Endpoint, Script};
pub use server::{Sink, Terminal};

//! Values of flags from the server: one request for each evaluation that needs it, which the caller waits for.

use std::time::Duration;

use bytes::Bytes;

use super::Client;
use super::process::Service;
use crate::flags::remote::{Sender, decide};
use crate::flags::{Query, Snapshot};
use crate::status::{Error, Status};
use crate::transport::FlagCall;

impl Client {
    /// Asks the server for what a snapshot lacks.
    #[cold]
    pub(super) fn ask_server(
        &self,
        local: Snapshot,
        query: &Query,
        timeout: Duration,
    ) -> (Snapshot, Result<(), Error>) {
        let refused = match () {
            () if self.config.is_disabled() => Some(Status::DISABLED),
            () if self.is_closed() => Some(Status::CLOSED),
            // The server needs to know whom it is about.
            () if self.config.test_mode || query.whom().distinct_id.is_empty() => Some(Status::WOULD_WAIT),
            () => None,
        };
        if let Some(status) = refused {
            return (local, Err(status.into()));
        }
        let request = || {
            let sender = Sender {
                token: &self.config.api_key,
                disable_geoip: self.config.disable_geoip,
                contexts: &self.config.evaluation_contexts,
            };
            FlagCall::Values(Bytes::from(query.request_body(sender)))
        };
        match self.call_server(Service::Values, request, decide, timeout) {
            Ok(Ok(remote)) => (local.with_server(query, Ok(remote)), Ok(())),
            Ok(Err(failure)) => {
                let error = failure.error();
                (local.with_server(query, Err(&failure)), Err(error))
            }
            Err(error) => (local, Err(error)),
        }
    }
}

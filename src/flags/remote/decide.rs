//! What an exchange with the flag service means: values, another attempt, or a failure with its words. What is the
//! same for remote configs is here, too.

use std::time::Duration;

use super::response::{self, Remote, Reply};
use crate::status::{Error, Status};

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Exchange {
    Response {
        status: u16,
        body: Vec<u8>,
        etag: Option<String>,
        retry_after: Option<Duration>,
    },
    /// There was none.
    NoResponse {
        message: String,
        /// Whether the time limit has passed.
        timed_out: bool,
    },
}

/// Why the server has returned nothing of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub cause: Cause,
    /// For people.
    pub message: String,
}

/// The kinds of failures that `$feature_flag_error` distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Timeout,
    Connection,
    /// A status other than 200.
    Api(u16),
    QuotaLimited,
    /// The response could not be read.
    Unreadable,
    /// The client was closed.
    Closed,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Failure { cause, message: message.into() }
    }

    /// The time limit of a call.
    pub(crate) fn timeout() -> Self {
        Failure::new(Cause::Timeout, "the server did not respond completely within the time limit")
    }

    /// Definitions that are refused, for this reason.
    pub(crate) fn unreadable(reason: &str) -> Self {
        Failure::new(Cause::Unreadable, reason)
    }

    /// The end of the client.
    pub(crate) fn closed() -> Self {
        Failure::new(Cause::Closed, "the client was closed before the server had responded")
    }

    /// The word of `$feature_flag_error`.
    pub(crate) fn word(&self) -> String {
        match self.cause {
            Cause::Timeout => "timeout".to_owned(),
            Cause::Connection => "connection_error".to_owned(),
            Cause::Api(status) => format!("api_error_{status}"),
            Cause::QuotaLimited => "quota_limited".to_owned(),
            Cause::Unreadable | Cause::Closed => "unknown_error".to_owned(),
        }
    }

    /// The error of a call that ends with it.
    pub(crate) fn error(&self) -> Error {
        let is_timeout = self.cause == Cause::Timeout;
        self.error_with(if is_timeout { Status::TIMEOUT } else { Status::UNAVAILABLE })
    }

    /// The error of a call that ends with this status, because of it.
    pub(crate) fn error_with(&self, status: Status) -> Error {
        let error = Error::new(status, self.message.clone());
        match self.cause {
            Cause::Api(http_status) => error.with_http_status(http_status),
            _ => error,
        }
    }

    /// Whether the server is not there, rather than that it refuses.
    pub(crate) fn is_outage(&self) -> bool {
        match self.cause {
            Cause::Timeout | Cause::Connection => true,
            Cause::Api(status) => status >= 500,
            Cause::QuotaLimited | Cause::Unreadable | Cause::Closed => false,
        }
    }
}

/// What to do after a request.
#[derive(Debug)]
pub(crate) enum Decision<T> {
    /// The server has returned what was asked for.
    Known(T),
    /// Another attempt may help; without one, this is why there is nothing.
    Retry(Failure),
    Failed(Failure),
}

/// What a status means, and what to do about it.
const HINTS: [(u16, &str); 4] = [
    (
        401,
        "the server does not know the project key, or not together with this secret key; check both, and that `host` is where the project is",
    ),
    (402, "the project has used up its flag requests: raise its billing limit, or wait for the next period"),
    (
        403,
        "the secret key may not read feature flags; use the feature flags secure key of the project (phs_…)",
    ),
    (429, "the server limits the rate of requests; evaluate locally, or ask less often"),
];

/// The failure that a response with this status is.
pub(crate) fn failure_of(status: u16) -> Failure {
    failure_with("the flag service", status, &HINTS)
}

/// The same for a response of this service, with these hints by status.
pub(super) fn failure_with(service: &str, status: u16, hints: &[(u16, &str)]) -> Failure {
    let hint = hints.iter().find(|(known, _)| *known == status).map_or("", |(_, hint)| hint);
    let colon = if hint.is_empty() { "" } else { ": " };
    Failure::new(Cause::Api(status), format!("{service} responded with HTTP {status}{colon}{hint}"))
}

impl Exchange {
    /// The failure that it is, if there was no response.
    pub(crate) fn no_response(message: &str, timed_out: bool) -> Failure {
        Failure::new(if timed_out { Cause::Timeout } else { Cause::Connection }, message)
    }
}

/// Says what the exchange means. Only transport failures, 502 and 504 are worth another attempt: the official
/// libraries agree on these, and anything else is the server's decision.
pub(crate) fn decide(exchange: &Exchange) -> Decision<Remote> {
    match exchange {
        Exchange::NoResponse { message, timed_out } => {
            Decision::Retry(Exchange::no_response(message, *timed_out))
        }
        Exchange::Response { status: 200, body, .. } => match response::read(body) {
            Reply::Values(remote) => Decision::Known(remote),
            Reply::QuotaLimited => Decision::Failed(Failure::new(
                Cause::QuotaLimited,
                "the project has used up its flag requests: raise its billing limit, or wait for the next period",
            )),
            Reply::Unreadable(reason) => {
                let message = format!("the response of the flag service is not JSON of flags: {reason}");
                Decision::Failed(Failure::new(Cause::Unreadable, message))
            }
        },
        Exchange::Response { status: status @ (502 | 504), .. } => Decision::Retry(failure_of(*status)),
        Exchange::Response { status, .. } => Decision::Failed(failure_of(*status)),
    }
}

/// The wait before this retry, from 1: 300 ms, doubling.
pub(crate) fn retry_wait(retry: u32) -> Duration {
    Duration::from_millis(300).saturating_mul(1 << retry.saturating_sub(1).min(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Exchange {
        Exchange::Response { status, body: body.into(), etag: None, retry_after: None }
    }

    #[test]
    fn only_transport_failures_502_and_504_are_tried_again() {
        for status in [301, 400, 401, 402, 403, 404, 408, 429, 500, 503, 505, 599] {
            let Decision::Failed(failure) = decide(&response(status, "{}")) else { panic!("{status}") };
            assert_eq!(failure.word(), format!("api_error_{status}"));
            assert_eq!(failure.is_outage(), status >= 500, "{status}");
        }
        for status in [502, 504] {
            let Decision::Retry(failure) = decide(&response(status, "{}")) else { panic!("{status}") };
            assert!(failure.is_outage() && failure.word().ends_with(&status.to_string()));
        }
        for (timed_out, word) in [(true, "timeout"), (false, "connection_error")] {
            let lost = Exchange::NoResponse { message: "reset".to_owned(), timed_out };
            let Decision::Retry(failure) = decide(&lost) else { panic!() };
            assert!(failure.is_outage() && failure.word() == word && failure.message == "reset");
        }
    }

    #[test]
    fn a_200_has_values_or_says_why_not() {
        assert!(matches!(decide(&response(200, "{\"flags\":{}}")), Decision::Known(_)));
        for (body, word) in
            [("{\"quotaLimited\":[\"feature_flags\"]}", "quota_limited"), ("<html>", "unknown_error")]
        {
            let Decision::Failed(failure) = decide(&response(200, body)) else { panic!("{body}") };
            assert_eq!((failure.word().as_str(), failure.is_outage()), (word, false));
        }
    }

    #[test]
    fn waits_double() {
        assert_eq!([1, 2, 3].map(|retry| retry_wait(retry).as_millis()), [300, 600, 1200]);
        assert!(retry_wait(u32::MAX) > Duration::from_secs(1000));
    }
}

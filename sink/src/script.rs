//! Scripts: what the sink responds, request by request. sink/README.md describes the keys.
//!
//! It only parses scripts and picks the step for a request; `response` and `transmit` carry it out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The script of a namespace. A request takes the first step that matches it, or else `then`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Tried in this order.
    steps: Vec<Step>,
    /// For requests that no step matches.
    then: Option<Step>,
}

/// One response, and what is special about it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of the script")]
pub(crate) struct Step {
    /// The requests that it is for; all if absent.
    pub(crate) when: Option<When>,
    /// For how many requests; 1 if absent, 0 for any number.
    pub(crate) times: Option<u64>,
    /// The HTTP status; 200 if absent.
    pub(crate) status: Option<u16>,
    /// Headers of the response; `{date+N}` stands for the HTTP date in N seconds.
    pub(crate) headers: BTreeMap<String, String>,
    /// Verdicts by position or by event name.
    pub(crate) verdicts: Option<Verdicts>,
    /// Names of events that the results leave out.
    pub(crate) omit: Vec<String>,
    /// Further members of `results`.
    pub(crate) extra_results: Map<String, Value>,
    /// Wait this long before the response.
    pub(crate) delay_ms: u64,
    /// The response waits until another script is set.
    pub(crate) wait_for_script: bool,
    /// Where the connection is cut.
    pub(crate) close: Option<Close>,
    /// Whether accepted events are stored. True if absent, except for `close: before_read`, where nothing is.
    pub(crate) accept: Option<bool>,
    /// A body in place of the results.
    pub(crate) body: Option<String>,
    /// A body of this many bytes of filler in place of the results.
    pub(crate) body_size: Option<u64>,
    /// The body is sent byte by byte, this many milliseconds apart.
    pub(crate) drip_ms: Option<u64>,
    /// The body is compressed with this codec, whatever the request accepts.
    pub(crate) compress: Option<Compress>,
    /// So many header lines more.
    pub(crate) more_headers: usize,
    /// Header lines without end.
    pub(crate) endless_headers: bool,
    /// No response at all; the connection stays open.
    pub(crate) never: bool,
    /// A gzip body of a few kilobytes that decompresses to 1 GB.
    pub(crate) bomb: bool,
}

/// The requests that a step is for: every key that is given must match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct When {
    /// `PostHog-Attempt`
    attempt: Option<u64>,
    /// The number of the request in its namespace, from 1.
    request: Option<u64>,
    /// The name of an event in the batch.
    event: Option<String>,
    /// The least number of events in the batch.
    min_events: Option<usize>,
    /// `Content-Encoding`; `identity` matches a request without it.
    encoding: Option<String>,
}

/// A codec of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compress {
    Gzip,
    Deflate,
    Zstd,
    Br,
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Close {
    /// As if the request's body had never been read: nothing is stored or sent.
    BeforeRead,
    /// After the request was handled, with nothing sent.
    BeforeResponse,
    /// After the headers of the response.
    AfterHeaders,
    /// After half of the response's body.
    MidBody,
}

impl Close {
    /// Its name in a script.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Close::BeforeRead => "before_read",
            Close::BeforeResponse => "before_response",
            Close::AfterHeaders => "after_headers",
            Close::MidBody => "mid_body",
        }
    }
}

/// The verdicts of a step.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Verdicts {
    /// By position; the last one is for all further events.
    List(Vec<Verdict>),
    /// By event name; `*` is for all others.
    ByEvent(BTreeMap<String, Verdict>),
}

/// One verdict.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Verdict {
    /// A code, such as `"retry"`.
    Code(String),
    /// Anything else is put into the results as it is: `{"result": "drop", "details": "…"}`, or a value
    /// that a client cannot expect.
    Raw(Value),
}

impl Verdicts {
    /// The verdict on the event at this position with this name.
    pub(crate) fn of(&self, position: usize, event: &str) -> Option<&Verdict> {
        match self {
            Verdicts::List(list) => list.get(position).or_else(|| list.last()),
            Verdicts::ByEvent(by_event) => by_event.get(event).or_else(|| by_event.get("*")),
        }
    }
}

/// What a step's `when` is compared with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request<'a> {
    /// See [`When`].
    pub(crate) attempt: u64,
    /// See [`When`].
    pub(crate) number: u64,
    /// The names of the events.
    pub(crate) events: Vec<&'a str>,
    /// See [`When`].
    pub(crate) encoding: &'a str,
}

impl When {
    fn matches(&self, it: &Request<'_>) -> bool {
        self.attempt.is_none_or(|attempt| attempt == it.attempt)
            && self.request.is_none_or(|request| request == it.number)
            && self.event.as_ref().is_none_or(|event| it.events.contains(&event.as_str()))
            && self.min_events.is_none_or(|count| it.events.len() >= count)
            && self.encoding.as_ref().is_none_or(|encoding| encoding == it.encoding)
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When the text is not a script; the message says where and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map_err(|error| format!("not a script: {error}; sink/README.md lists the keys"))
    }

    /// Returns the step for a request, and uses it up.
    pub(crate) fn take(&mut self, request: &Request<'_>) -> Option<Step> {
        let matches = |step: &Step| step.when.as_ref().is_none_or(|when| when.matches(request));
        let Some(position) = self.steps.iter().position(matches) else {
            return self.then.clone().filter(matches);
        };
        let step = self.steps.get_mut(position)?;
        match step.times.unwrap_or(1) {
            0 => Some(step.clone()),
            1 => Some(self.steps.remove(position)),
            times => {
                step.times = Some(times - 1);
                Some(step.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_used_in_order_where_they_match() {
        let mut script = Script::parse(
            r#"{"steps":[{"when":{"attempt":2},"status":502},{"status":503,"times":2},{"times":0,"status":504}]}"#,
        )
        .unwrap();
        let mut status =
            |attempt| script.take(&Request { attempt, ..Request::default() }).unwrap().status.unwrap();
        assert_eq!([status(1), status(2), status(2), status(1), status(1)], [503, 502, 503, 504, 504]);
    }

    #[test]
    fn a_place_to_cut_has_one_name() {
        for name in ["before_read", "before_response", "after_headers", "mid_body"] {
            let script = Script::parse(&format!(r#"{{"then":{{"close":"{name}"}}}}"#)).unwrap();
            assert_eq!(script.then.unwrap().close.unwrap().name(), name);
        }
    }

    #[test]
    fn errors_name_the_unknown_key() {
        let error = Script::parse(r#"{"steps":[{"stats":503}]}"#).unwrap_err();
        assert!(error.contains("unknown field `stats`"), "{error}");
    }
}

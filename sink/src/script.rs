//! What a script says the sink shall answer, request by request.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The script of a space. Of the steps that match a request the first one is
/// used; what no step matches is answered by `then`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// In this order.
    pub steps: Vec<Step>,
    /// When no step is left that matches.
    pub then: Option<Step>,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of the script")]
pub struct Step {
    /// Which requests it is for; all when absent.
    pub when: Option<When>,
    /// For how many requests; 1 when absent, 0 for ever.
    pub times: Option<u64>,
    /// The HTTP status; 200 when absent.
    pub status: Option<u16>,
    /// Headers of the answer; `{date+N}` stands for the HTTP date in N seconds.
    pub headers: BTreeMap<String, String>,
    /// Verdicts by position (the last one for all the rest) or by event name
    /// (`*` for all the rest).
    pub verdicts: Option<Verdicts>,
    /// Event names that the results leave out.
    pub omit: Vec<String>,
    /// Further members of `results`.
    pub extra_results: Map<String, Value>,
    /// Wait before the answer.
    pub delay_ms: u64,
    /// The answer waits until another script is set.
    pub hold: bool,
    /// Where the connection is cut.
    pub close: Option<Close>,
    /// Whether the events of a cut request are stored all the same; true when
    /// absent, but for a cut before the request is read.
    pub accept: Option<bool>,
    /// Text in place of the results.
    pub body: Option<String>,
    /// Filler of so many bytes in place of the results.
    pub body_size: Option<u64>,
    /// The body comes byte by byte, so many milliseconds apart.
    pub drip_ms: Option<u64>,
    /// Header lines without end.
    pub endless_headers: bool,
    /// No answer at all; the connection stays.
    pub never: bool,
    /// A gzip body of a few kilobytes that is 1 GB decompressed.
    pub bomb: bool,
}

/// Which requests a step is for: all that is given must be true of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// `PostHog-Attempt`
    pub attempt: Option<u64>,
    /// The request's number in its space, from 1.
    pub request: Option<u64>,
    /// An event of this name is in the batch.
    pub event: Option<String>,
    /// The batch has at least so many events.
    pub min_events: Option<usize>,
    /// `Content-Encoding`; `identity` is none.
    pub encoding: Option<String>,
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// Before the request's body is read.
    BeforeRead,
    /// After the request was handled, with nothing sent.
    BeforeAnswer,
    /// After the answer's head.
    AfterHeaders,
    /// After half of the answer's body.
    MidBody,
}

/// Verdicts of a step.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Verdicts {
    /// By position.
    List(Vec<Verdict>),
    /// By event name.
    ByEvent(BTreeMap<String, Verdict>),
}

/// One verdict: a code, or an object to be put into the results as it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Verdict {
    /// `"retry"`
    Code(String),
    /// `{"result": "drop", "details": "…"}`, or anything odd.
    Raw(Value),
}

impl Verdicts {
    /// The verdict on the event at this position with this name.
    #[must_use]
    pub fn of(&self, position: usize, event: &str) -> Option<&Verdict> {
        match self {
            Verdicts::List(list) => list.get(position).or_else(|| list.last()),
            Verdicts::ByEvent(by_event) => by_event.get(event).or_else(|| by_event.get("*")),
        }
    }
}

/// What a step is matched against.
#[derive(Clone, Debug, Default)]
pub struct Seen<'a> {
    /// See [`When`].
    pub attempt: u64,
    /// See [`When`].
    pub request: u64,
    /// Names of the batch's events.
    pub events: Vec<&'a str>,
    /// See [`When`].
    pub encoding: &'a str,
}

impl When {
    fn matches(&self, seen: &Seen<'_>) -> bool {
        self.attempt.is_none_or(|attempt| attempt == seen.attempt)
            && self.request.is_none_or(|request| request == seen.request)
            && self.event.as_ref().is_none_or(|event| seen.events.contains(&event.as_str()))
            && self.min_events.is_none_or(|count| seen.events.len() >= count)
            && self.encoding.as_ref().is_none_or(|encoding| encoding == seen.encoding)
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The text is no script; the message says where and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("the script does not parse: {error}"))
    }

    /// The step for a request; it is used up by that.
    pub fn take(&mut self, seen: &Seen<'_>) -> Option<Step> {
        let matches = |step: &Step| step.when.as_ref().is_none_or(|when| when.matches(seen));
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
        let mut status = |attempt| script.take(&Seen { attempt, ..Seen::default() }).unwrap().status.unwrap();
        assert_eq!([status(1), status(2), status(2), status(1), status(1)], [503, 502, 503, 504, 504]);
    }

    #[test]
    fn errors_name_the_place() {
        let error = Script::parse(r#"{"steps":[{"stats":503}]}"#).unwrap_err();
        assert!(error.contains("unknown field `stats`"), "{error}");
    }
}

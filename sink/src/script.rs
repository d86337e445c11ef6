//! Scripts: what the sink responds, request by request. sink/README.md describes the keys.
//!
//! It only parses scripts and picks the step for a request; `response` and `transmit` carry it out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::cut;

/// The script of a namespace. A request takes the first step that matches it, or else `then`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Tried in this order.
    steps: Vec<Step>,
    /// For requests that no step matches.
    then: Option<Step>,
    /// The length of its text.
    #[serde(skip)]
    bytes: usize,
}

/// The longest text of a script, and of all steps that were put before it.
pub(crate) const MAX_SCRIPT: usize = 4 << 20;

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
    /// The endpoint; that of events if absent.
    endpoint: Endpoint,
    /// `PostHog-Attempt`
    attempt: Option<u64>,
    /// The number of the request in its namespace, among those to its endpoint, from 1.
    request: Option<u64>,
    /// The name of an event in the batch.
    event: Option<String>,
    /// The least number of events in the batch.
    min_events: Option<usize>,
    /// `Content-Encoding`; `identity` matches a request without it.
    encoding: Option<String>,
}

/// What a request is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /i/v1/analytics/events`
    #[default]
    Events,
    /// `POST /flags`
    Flags,
    /// `GET /flags/definitions`
    Definitions,
    /// `GET /api/projects/@current/feature_flags/<key>/remote_config`
    RemoteConfig,
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

    fn in_words(self) -> &'static str {
        match self {
            Close::BeforeRead => "cut before anything is stored",
            Close::BeforeResponse => "stored, and cut before the response",
            Close::AfterHeaders => "stored, and cut after the headers",
            Close::MidBody => "stored, and cut in the body",
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
    pub(crate) endpoint: Endpoint,
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
        self.endpoint == it.endpoint
            && self.attempt.is_none_or(|attempt| attempt == it.attempt)
            && self.request.is_none_or(|request| request == it.number)
            && self.event.as_ref().is_none_or(|event| it.events.contains(&event.as_str()))
            && self.min_events.is_none_or(|count| it.events.len() >= count)
            && self.encoding.as_ref().is_none_or(|encoding| encoding == it.encoding)
    }
}

impl Step {
    /// What is special about the response, in a few words; empty if nothing is.
    pub(crate) fn in_words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.status.map(|status| format!("status {status}")));
        words.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        words.extend(self.verdicts.as_ref().map(Verdicts::in_words));
        words.extend((self.delay_ms > 0).then(|| format!("after {} ms", self.delay_ms)));
        words.extend(self.close.map(|close| close.in_words().to_owned()));
        words.extend(self.drip_ms.map(|ms| format!("one byte each {ms} ms")));
        words.extend(self.body_size.map(|size| format!("a body of {size} bytes")));
        words.extend((self.accept == Some(false)).then(|| "nothing stored".to_owned()));
        let others = [
            (self.never, "no response"),
            (self.bomb, "a body that decompresses to a gigabyte"),
            (self.endless_headers, "endless headers"),
            (self.more_headers > 0, "more headers"),
            (self.wait_for_script, "waits for another script"),
            (self.body.is_some(), "another body"),
            (self.compress.is_some(), "a compressed body"),
            (!self.omit.is_empty(), "results left out"),
            (!self.extra_results.is_empty(), "more results"),
        ];
        words.extend(others.into_iter().filter(|(is_so, _)| *is_so).map(|(_, words)| words.to_owned()));
        words.truncate(8);
        cut(&words.join(", "), 200).to_owned()
    }
}

impl Verdicts {
    /// The verdicts, as far as a few words show them.
    fn in_words(&self) -> String {
        let code = |verdict: &Verdict| match verdict {
            Verdict::Code(code) => code.clone(),
            Verdict::Raw(value) => match value.get("result").and_then(Value::as_str) {
                Some(code) => code.to_owned(),
                None => cut(&value.to_string(), 20).to_owned(),
            },
        };
        let list: Vec<_> = match self {
            Verdicts::List(list) => list.iter().take(5).map(code).collect(),
            Verdicts::ByEvent(by_event) => by_event
                .iter()
                .take(5)
                .map(|(name, verdict)| {
                    if name == "*" { code(verdict) } else { format!("{}: {}", cut(name, 40), code(verdict)) }
                })
                .collect(),
        };
        format!("verdict {}", list.join(", "))
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When the text is not a script; the message says where and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let script: Script = serde_json::from_str(text)
            .map_err(|error| format!("not a script: {error}; sink/README.md lists the keys"))?;
        Ok(Script { bytes: text.len(), ..script })
    }

    /// Puts the steps of another script before its own. Without any, there are none left but `then`.
    pub(crate) fn put_first(&mut self, mut first: Script) {
        first.steps.append(&mut self.steps);
        self.steps = first.steps;
        self.bytes += first.bytes;
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes * 2 + self.steps.len() * size_of::<Step>()
    }

    /// Whether other steps of this length fit.
    pub(crate) fn has_space_for(&self, steps: &Script) -> bool {
        self.bytes + steps.bytes <= MAX_SCRIPT
    }

    /// The steps that are left and what is for all other requests, in words, each with how often it is used: 0 is
    /// always.
    pub(crate) fn in_words(&self) -> Vec<(String, u64)> {
        let left = self.steps.iter().map(|step| (step.in_words(), step.times.unwrap_or(1)));
        left.chain(self.then.iter().map(|step| (step.in_words(), 0))).collect()
    }

    /// Returns the step for a request, and uses it up.
    pub(crate) fn take(&mut self, request: &Request<'_>) -> Option<Step> {
        let of_any = When::default();
        let matches = |step: &Step| step.when.as_ref().unwrap_or(&of_any).matches(request);
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
    fn a_step_is_for_events_unless_it_names_another_endpoint() {
        let mut script = Script::parse(
            r#"{"steps":[{"status":503},{"when":{"endpoint":"flags"},"status":502}],"then":{"status":500}}"#,
        )
        .unwrap();
        let mut status = |endpoint| script.take(&Request { endpoint, ..Request::default() })?.status;
        assert_eq!(status(Endpoint::Definitions), None);
        assert_eq!([status(Endpoint::Flags), status(Endpoint::Flags)], [Some(502), None]);
        assert_eq!([status(Endpoint::Events), status(Endpoint::Events)], [Some(503), Some(500)]);
    }

    #[test]
    fn steps_that_are_put_first_come_before_the_others() {
        let mut script = Script::parse(r#"{"steps":[{"status":500}],"then":{"delay_ms":5}}"#).unwrap();
        let first = Script::parse(
            r#"{"steps":[{"status":503,"headers":{"Retry-After":"1"},"times":2},{"verdicts":{"*":"drop","a":"ok"}}]}"#,
        );
        script.put_first(first.unwrap());
        let words = script.in_words();
        let words: Vec<_> = words.iter().map(|(words, times)| (words.as_str(), *times)).collect();
        assert_eq!(
            words,
            [
                ("status 503, Retry-After: 1", 2),
                ("verdict drop, a: ok", 1),
                ("status 500", 1),
                ("after 5 ms", 0)
            ]
        );
        assert_eq!(script.take(&Request::default()).unwrap().status, Some(503));
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

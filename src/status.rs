//! Every status a call can answer, once: its number, its name, its meaning.
//!
//! A number is never reused and never changes its meaning: bindings built years
//! ago compare against it.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;

/// The outcome of a call. Zero is success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub i32);

const fn c_str(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

macro_rules! statuses {
    ($($number:literal $name:ident $label:literal $meaning:literal;)*) => {
        impl Status {
            $(#[doc = $meaning] pub const $name: Status = Status($number);)*

            /// All statuses with their names and meanings, in order of number.
            pub const ALL: &[(Status, &str, &str)] = &[$((Status::$name, $label, $meaning)),*];

            /// The names and meanings once more, for C.
            const ALL_C: &[(&CStr, &CStr)] = &[$((c_str(concat!($label, "\0")), c_str(concat!($meaning, "\0")))),*];
        }
    };
}

statuses! {
    0  OK                  "ok"                  "success";
    1  INVALID_ARGUMENT    "invalid_argument"    "an argument is NULL or out of its range; phc_last_error() names it";
    2  INVALID_SETTING     "invalid_setting"     "the key or the value of a setting is not accepted; phc_config_error() says which and why";
    3  DISABLED            "disabled"            "the client has an empty project key and sends nothing; set the key";
    4  CLOSED              "closed"              "the client was closed; make a new one";
    5  QUEUE_FULL          "queue_full"          "the queue has reached its bound; the event was not taken. Try later, or raise queue_max_events or queue_max_bytes";
    6  TIMEOUT             "timeout"             "the time limit passed first; nothing was abandoned by this call";
    7  LOST_EVENTS         "lost_events"         "everything is settled, but events were lost since the last flush or close; the reports and phc_stats say why";
    8  REENTRANT           "reentrant"           "only captures may be called from inside a callback";
    9  CONFLICT            "conflict"            "a client of this name is open with other settings";
    10 INVALID_JSON        "invalid_json"        "a JSON text is broken or of the wrong shape; phc_last_error() says at which byte";
    11 INVALID_EVENT       "invalid_event"       "the event name must be text of 1 to 200 bytes";
    12 INVALID_DISTINCT_ID "invalid_distinct_id" "the distinct_id must be text of 1 to 200 bytes";
    13 INVALID_TIMESTAMP   "invalid_timestamp"   "the timestamp must be RFC 3339 with an offset (2026-01-31T12:00:00Z), in a year of four digits";
    14 INVALID_PROPERTY    "invalid_property"    "a property has a value that cannot be sent; phc_last_error() names it";
    15 EVENT_TOO_LARGE     "event_too_large"     "the event is over max_event_bytes";
    16 OPTED_OUT           "opted_out"           "the client is opted out; the event was not taken";
    17 BEFORE_SEND         "before_send"         "the before_send callback dropped the event";
    18 INTERNAL            "internal"            "a fault inside libphc; the event was not taken. Please report it with phc_last_error()";
    19 OUT_OF_RESOURCES    "out_of_resources"    "the system refused a thread, memory or randomness; try again later";
}

impl Status {
    /// The short name: `queue_full`.
    pub fn name(self) -> &'static str {
        self.entry().map_or("unknown", |(_, name, _)| name)
    }

    /// What the status means and what to do next.
    pub fn meaning(self) -> &'static str {
        self.entry().map_or("an unknown status, perhaps of a newer libphc", |(_, _, meaning)| meaning)
    }

    /// [`Status::name`] for C.
    pub fn name_c(self) -> &'static CStr {
        self.entry_c().map_or(c"unknown", |(name, _)| name)
    }

    /// [`Status::meaning`] for C.
    pub fn meaning_c(self) -> &'static CStr {
        self.entry_c().map_or(c"an unknown status, perhaps of a newer libphc", |(_, meaning)| meaning)
    }

    fn entry_c(self) -> Option<&'static (&'static CStr, &'static CStr)> {
        usize::try_from(self.0).ok().and_then(|number| Self::ALL_C.get(number))
    }

    fn entry(self) -> Option<&'static (Status, &'static str, &'static str)> {
        usize::try_from(self.0).ok().and_then(|number| Self::ALL.get(number))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call that did not succeed: its status, and what exactly was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The number the caller gets.
    pub status: Status,
    /// The text behind `phc_last_error`; names the argument and the place. A fixed text is borrowed, so that
    /// refusing an event allocates nothing here.
    pub message: Cow<'static, str>,
}

impl Error {
    /// An error with a text of its own.
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Error { status, message: message.into() }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Error::new(status, status.meaning())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_their_positions() {
        for (position, (status, name, _)) in Status::ALL.iter().enumerate() {
            assert_eq!(usize::try_from(status.0).unwrap(), position, "{name}");
            assert_eq!(status.name(), *name);
            assert_eq!(status.name_c().to_str().unwrap(), *name);
            assert_eq!(status.meaning_c().to_str().unwrap(), status.meaning());
        }
        assert_eq!(Status(-1).name(), "unknown");
        assert_eq!(Status(i32::MAX).name(), "unknown");
    }
}

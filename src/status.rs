//! The status of every call, once: its number, its name and its meaning.
//!
//! A number is never reused and never changes its meaning: bindings built years
//! ago compare against it.

use std::cell::Cell;
use std::ffi::CStr;
use std::fmt;
use std::ops::Deref;

/// The outcome of a call. Zero is success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(i32);

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

            /// All statuses with their names and meanings, in the order of the numbers.
            pub const ALL: &[(Status, &str, &str)] = &[$((Status::$name, $label, $meaning)),*];

            /// The same names and meanings for C.
            const ALL_C: &[(&CStr, &CStr)] = &[$((c_str(concat!($label, "\0")), c_str(concat!($meaning, "\0")))),*];
        }
    };
}

statuses! {
    0  OK                  "ok"                  "success";
    1  INVALID_ARGUMENT    "invalid_argument"    "an argument is NULL or out of range; phc_last_error() names it";
    2  INVALID_SETTING     "invalid_setting"     "the key or the value of a setting is not accepted; phc_last_error() says which and why";
    3  DISABLED            "disabled"            "the client has an empty project key and sends nothing; set the key";
    4  CLOSED              "closed"              "the client was closed; create a new one";
    5  QUEUE_FULL          "queue_full"          "the queue is full and the event was not taken; try again later, or raise queue_max_events or queue_max_bytes";
    6  TIMEOUT             "timeout"             "the time limit passed first; nothing was abandoned by this call";
    7  LOST_EVENTS         "lost_events"         "everything is settled, but some events were lost; the reports and phc_stats say why";
    8  REENTRANT           "reentrant"           "this function cannot be called from inside a callback; docs/callbacks.md lists those that can";
    9  CONFLICT            "conflict"            "a client of this name is open with different settings";
    10 INVALID_JSON        "invalid_json"        "the JSON text is malformed or has the wrong shape; phc_last_error() says at which byte";
    11 INVALID_EVENT       "invalid_event"       "the event name must be text of 1 to 200 bytes";
    12 INVALID_DISTINCT_ID "invalid_distinct_id" "the distinct_id must be text of 1 to 200 bytes";
    13 INVALID_TIMESTAMP   "invalid_timestamp"   "the timestamp must be RFC 3339 with an offset (2026-01-31T12:00:00Z), in a year of four digits";
    14 INVALID_PROPERTY    "invalid_property"    "a property has a value that cannot be sent; phc_last_error() names it";
    15 EVENT_TOO_LARGE     "event_too_large"     "the event is larger than max_event_bytes";
    16 OPTED_OUT           "opted_out"           "the client is opted out; the event was not taken";
    17 BEFORE_SEND         "before_send"         "the before_send callback discarded the event";
    18 INTERNAL            "internal"            "an internal error in libphc; the event was not taken. Please report it together with phc_last_error()";
    19 OUT_OF_RESOURCES    "out_of_resources"    "the system refused a thread, a descriptor, memory or randomness; try again later";
    20 WOULD_WAIT          "would_wait"          "some flags have no value without asking the server, and this call does not wait; the others have theirs";
    21 UNAVAILABLE         "unavailable"         "the server did not return values or definitions of flags, or a remote config; phc_last_error() says why. What was evaluated here has its value";
    22 SPOOL               "spool"               "the disk did not take everything, or this client has no spool; phc_last_error() says which. Nothing was abandoned by this call";
}

impl Status {
    /// How many statuses there are; their numbers are below it.
    pub const COUNT: usize = Self::ALL.len();

    /// The status with this number, which may be unknown.
    pub const fn from_number(number: i32) -> Self {
        Status(number)
    }

    /// The number in the C API.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The short name, such as `queue_full`.
    pub fn name(self) -> &'static str {
        self.entry().map_or("unknown", |(_, name, _)| name)
    }

    /// What the status means and what to do next.
    pub fn meaning(self) -> &'static str {
        self.entry().map_or("an unknown status, perhaps of a newer libphc", |(_, _, meaning)| meaning)
    }

    /// [`Status::name`] for C.
    pub(crate) fn name_c(self) -> &'static CStr {
        self.entry_c().map_or(c"unknown", |(name, _)| name)
    }

    /// [`Status::meaning`] for C.
    pub(crate) fn meaning_c(self) -> &'static CStr {
        self.entry_c().map_or(c"an unknown status, perhaps of a newer libphc", |(_, meaning)| meaning)
    }

    /// The position of the status in tables of [`Status::COUNT`] rows, if it is known.
    pub(crate) fn index(self) -> Option<usize> {
        usize::try_from(self.0).ok().filter(|index| *index < Self::COUNT)
    }

    fn entry(self) -> Option<&'static (Status, &'static str, &'static str)> {
        Self::ALL.get(self.index()?)
    }

    fn entry_c(self) -> Option<&'static (&'static CStr, &'static CStr)> {
        Self::ALL_C.get(self.index()?)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call that failed: its status, and what exactly was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The number that the caller gets.
    pub status: Status,
    /// The text of `phc_last_error`; it names the argument and the place.
    pub message: Message,
    /// The HTTP status with which the server refused what the call asked for; 0 for none.
    pub http_status: u16,
}

impl Error {
    /// An error with a text of its own.
    pub(crate) fn new(status: Status, message: impl Into<Message>) -> Self {
        Error { status, message: message.into(), http_status: 0 }
    }

    /// The same error, for a response with this HTTP status.
    #[cfg(feature = "flags")]
    pub(crate) fn with_http_status(self, http_status: u16) -> Self {
        Error { http_status, ..self }
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

/// The text of an error. An overloaded host refuses many events: a fixed text is not copied,
/// and the memory of one that is put together is kept for the thread's next one.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Fixed(&'static str),
    Written(String),
}

/// The longest text that is put together from [`fmt::Arguments`], in bytes; it is cut there.
const MAX_MADE: usize = 1023;

thread_local! {
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Message(Text::Fixed(text))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message(Text::Written(text))
    }
}

impl From<fmt::Arguments<'_>> for Message {
    #[cold]
    fn from(text: fmt::Arguments<'_>) -> Self {
        let mut made = SPARE.try_with(Cell::take).unwrap_or_default();
        if made.try_reserve_exact(MAX_MADE).is_err() {
            return Message(Text::Fixed("there is no memory for the text of this error"));
        }
        // A value whose text cannot be made ends the message.
        let _ = fmt::write(&mut Bounded(&mut made), text);
        Message(Text::Written(made))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Text::Written(text) = &mut self.0 {
            let mut text = std::mem::take(text);
            if text.capacity() <= 2 * MAX_MADE {
                text.clear();
                // Fails on a thread that is ending.
                let _ = SPARE.try_with(|spare| spare.set(text));
            }
        }
    }
}

impl Deref for Message {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Text::Fixed(text) => text,
            Text::Written(text) => text,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Takes text as long as it fits.
struct Bounded<'a>(&'a mut String);

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut end = MAX_MADE.saturating_sub(self.0.len()).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(text.get(..end).unwrap_or_default());
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_put_together_is_bounded_and_uses_its_memory_again() {
        let long = "é".repeat(2000);
        let error = Error::new(Status::INTERNAL, format_args!("1{long}2"));
        assert_eq!(error.message.len(), MAX_MADE);
        assert!(long.starts_with(&error.message[1..]));
        let place = error.message.as_ptr();
        drop(error);
        let error = Error::new(Status::INTERNAL, format_args!("{} of {}", 1, 2));
        assert_eq!((&*error.message, error.message.as_ptr()), ("1 of 2", place));
        // Two at once have memory of their own.
        let other = Error::new(Status::INTERNAL, format_args!("about {error}"));
        assert_eq!(&*other.message, "about internal: 1 of 2");
        // Long memory is not kept.
        drop(Error::new(Status::INTERNAL, "x".repeat(100_000)));
        assert!(SPARE.take().capacity() <= 2 * MAX_MADE);
    }

    #[test]
    fn numbers_are_their_positions() {
        for (position, (status, name, _)) in Status::ALL.iter().enumerate() {
            assert_eq!(status.index(), Some(position), "{name}");
            assert_eq!(status.name(), *name);
            assert_eq!(status.name_c().to_str().unwrap(), *name);
            assert_eq!(status.meaning_c().to_str().unwrap(), status.meaning());
        }
        assert_eq!(Status(-1).name(), "unknown");
        assert_eq!(Status(i32::MAX).name(), "unknown");
    }
}

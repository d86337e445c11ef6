//! The server's verdict on one event.

use std::borrow::Cow;
use std::fmt;

/// What the server said about one event. A plain `ok`, without details, and an event
/// that the response does not mention have no `Verdict`: both mean that the event is
/// stored and that there is nothing more to say about it. So the verdict on a stored
/// event is a remark of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The result code as the server wrote it: `ok` (with details), `warning`, `drop`,
    /// `retry`, or a code that this version does not know, which counts as accepted.
    pub code: Cow<'static, str>,
    /// The server's explanation.
    pub details: Option<String>,
}

/// For people: `the server's verdict is "drop" (invalid_options)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's verdict is {:?}", self.code)?;
        self.details
            .iter()
            .filter(|details| !details.is_empty())
            .try_for_each(|details| write!(f, " ({details})"))
    }
}

/// The codes that Capture v1 defines.
const KNOWN: [&str; 4] = ["ok", "warning", "drop", "retry"];

impl Verdict {
    /// A verdict with this code; the text of a known code is not copied.
    pub(crate) fn new(code: &str, details: Option<String>) -> Self {
        let known = KNOWN.iter().find(|known| **known == code);
        Verdict {
            code: known.map_or_else(|| Cow::Owned(code.to_owned()), |known| Cow::Borrowed(*known)),
            details,
        }
    }

    /// Bytes on the heap besides the verdict itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        let code = if let Cow::Owned(code) = &self.code { code.len() } else { 0 };
        code + self.details.as_ref().map_or(0, String::len)
    }
}

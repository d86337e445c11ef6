//! The server's word on one event.

/// What the server did with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored.
    Ok,
    /// Stored, with a remark.
    Warning,
    /// Refused for good.
    Drop,
    /// Not stored; to be sent again.
    Retry,
    /// A code of which this version knows nothing (`limited` is one): accepted.
    Other,
    /// Not mentioned: accepted.
    Absent,
}

impl Verdict {
    /// The verdict that a result code stands for.
    pub fn from_code(code: &str) -> Self {
        match code {
            "ok" => Verdict::Ok,
            "warning" => Verdict::Warning,
            "drop" => Verdict::Drop,
            "retry" => Verdict::Retry,
            _ => Verdict::Other,
        }
    }

    /// Whether the event is delivered.
    pub fn is_accepted(self) -> bool {
        !matches!(self, Verdict::Drop | Verdict::Retry)
    }
}

/// A result as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The raw code.
    pub code: String,
    /// The server's explanation.
    pub details: Option<String>,
}

/// The verdict on one event, with the server's words unless it is plain `ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it means.
    pub verdict: Verdict,
    /// What it said.
    pub remark: Option<Box<Remark>>,
}

impl Word {
    /// The event was not mentioned.
    pub const ABSENT: Word = Word { verdict: Verdict::Absent, remark: None };
    /// The event was stored, and nothing is said of it.
    pub const STORED: Word = Word { verdict: Verdict::Ok, remark: None };
}

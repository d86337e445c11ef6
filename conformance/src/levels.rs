//! Whose a rule is, and which rules a run is about.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose a rule is. The order is that of what it costs to break one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The real server rejects the request, drops the event, or data is lost.
    Server,
    /// PostHog's specification or its compliance harness asks for it.
    Protocol,
    /// A promise of libphc that goes beyond both.
    Libphc,
}

impl Level {
    /// All of them, in order.
    pub(crate) const ALL: [Level; 3] = [Level::Server, Level::Protocol, Level::Libphc];

    /// Its name in contract.json and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Server => "server",
            Level::Protocol => "protocol",
            Level::Libphc => "libphc",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The levels that a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Levels(BTreeSet<Level>);

impl Levels {
    /// Reads `all` or names that are separated by commas.
    ///
    /// # Errors
    /// When a name is unknown; the message lists the names.
    pub(crate) fn parse(text: &str) -> Result<Levels, String> {
        if text == "all" {
            return Ok(Levels(BTreeSet::from(Level::ALL)));
        }
        let named = |name: &str| Level::ALL.into_iter().find(|level| level.name() == name.trim());
        let levels = text.split(',').map(|name| {
            named(name).ok_or_else(|| {
                format!("unknown level {name:?}; the levels are server, protocol and libphc, or all of them")
            })
        });
        levels.collect::<Result<_, _>>().map(Levels)
    }

    /// Whether rules of this level count.
    pub(crate) fn has(&self, level: Level) -> bool {
        self.0.contains(&level)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|level| level.name()).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_named_or_all() {
        assert_eq!(Levels::parse("all").unwrap().to_string(), "server, protocol, libphc");
        assert_eq!(Levels::parse("protocol,server").unwrap().to_string(), "server, protocol");
        assert!(!Levels::parse("server").unwrap().has(Level::Protocol));
        assert!(Levels::parse("servers").unwrap_err().contains("server, protocol and libphc"));
    }
}

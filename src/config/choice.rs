//! Settings that are one of a few words.

/// A setting that is one of a few words.
pub(crate) trait Choice {
    /// The accepted words.
    fn words(&self) -> &'static [&'static str];

    /// Takes the word at this position of [`Choice::words`].
    fn select(&mut self, position: usize);

    /// The present word.
    fn word(&self) -> &'static str;
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl Choice for $name {
            fn words(&self) -> &'static [&'static str] {
                &[$($word),*]
            }

            fn select(&mut self, position: usize) {
                if let Some(value) = [$($name::$value),*].get(position) {
                    *self = *value;
                }
            }

            fn word(&self) -> &'static str {
                match self { $($name::$value => $word,)* }
            }
        }
    )*};
}

choices! {
    /// What a capture does when the queue is full.
    Overflow {
        /// The new event is refused.
        #[default]
        DropNewest = "drop_newest",
        /// The oldest waiting events are evicted.
        DropOldest = "drop_oldest",
        /// The capture waits until there is room.
        Block = "block",
    }

    /// How request bodies are compressed.
    Codec {
        /// Not at all.
        #[default]
        None = "none",
        /// RFC 1952.
        Gzip = "gzip",
        /// Zlib-wrapped, RFC 1950.
        Deflate = "deflate",
        /// RFC 8878.
        Zstd = "zstd",
        /// Brotli, RFC 7932.
        Br = "br",
    }

    /// Which attempts are reported to `phc_poll` and to the error callback. Each
    /// value includes those before it.
    Reports {
        /// Those that lost an event.
        #[default]
        Losses = "losses",
        /// Those in which the server stored an event with a warning.
        Warnings = "warnings",
        /// All.
        All = "all",
    }

    /// What of the pending events survives what, with a spool.
    SpoolSafety {
        /// They are written when the client is closed, at the exit, and while the server does not respond.
        Exit = "exit",
        /// Also: what was captured longer ago than `spool_write_ms` survives a crash of the process.
        #[default]
        Crash = "crash",
        /// Also: an event whose capture has returned survives a crash of the process.
        Call = "call",
        /// As `crash`, and what was captured longer ago than `spool_write_ms` and `spool_sync_ms` survives a power
        /// cut.
        Power = "power",
    }

    /// What looks up names.
    ResolverKind {
        /// The library itself, from `/etc/hosts` and by DNS.
        #[default]
        Builtin = "builtin",
        /// libc, on threads of its own.
        System = "system",
    }

    /// The least important lines that the log callback gets. Each value includes
    /// those before it.
    LogLevel {
        /// Events were lost.
        Error = "error",
        /// Something is wrong and may recover by itself.
        Warning = "warning",
        /// Worth knowing once.
        #[default]
        Info = "info",
        /// Every attempt and its result.
        Debug = "debug",
    }
}

impl LogLevel {
    /// The number in the C API.
    pub(crate) fn number(self) -> i32 {
        self as i32 + 1
    }
}

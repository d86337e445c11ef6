//! One flag of a snapshot: its value and what is known of it, whether it was evaluated here or by the server.

use std::ffi::CStr;

use super::definitions::{Definitions, Flag, Unresolved};
use super::evaluate::{Outcome, Reason, Value};
use super::remote::{Remote, RemoteFlag, Rule, c_text};
use super::texts::{TextRef, Texts};
use crate::json::{write_integer, write_string};

impl Unresolved {
    /// The name, as official libraries have it.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Unresolved::ExperienceContinuity => c"experience_continuity",
            Unresolved::UnsupportedDefinition => c"unsupported_definition",
            Unresolved::UnresolvedDependency => c"unresolved_dependency",
            Unresolved::MissingContext => c"missing_context",
            Unresolved::EvaluationFailed => c"evaluation_failed",
        }
    }
}

impl Reason {
    /// The code of the server.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Reason::None => c"",
            Reason::FlagDisabled => c"flag_disabled",
            Reason::NoGroupType => c"no_group_type",
            Reason::NoConditionMatch => c"no_condition_match",
            Reason::OutOfRolloutBound => c"out_of_rollout_bound",
            Reason::ConditionMatch => c"condition_match",
            Reason::Holdout => c"holdout_condition_value",
            Reason::SuperCondition => c"super_condition_value",
            Reason::MissingDependency => c"missing_dependency",
            Reason::Other => c"other",
        }
    }
}

/// What is known of one flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(super) source: Source<'a>,
    pub outcome: Outcome,
}

/// What has evaluated it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Local(&'a Definitions, &'a Flag),
    Remote(&'a Remote, &'a RemoteFlag),
}

impl<'a> Found<'a> {
    fn texts(&self) -> &'a Texts {
        match self.source {
            Source::Local(definitions, _) => &definitions.kept.texts,
            Source::Remote(remote, _) => &remote.texts,
        }
    }

    fn key_text(&self) -> TextRef {
        match self.source {
            Source::Local(_, flag) => flag.key,
            Source::Remote(_, flag) => flag.key,
        }
    }

    pub(crate) fn key(&self) -> &'a str {
        self.texts().get(self.key_text())
    }

    pub(crate) fn key_c(&self) -> &'a CStr {
        self.texts().c(self.key_text())
    }

    /// Whether it was evaluated here, by its definition.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.source, Source::Local(..))
    }

    /// Whether the flag is on; `None` if it has no value.
    pub(crate) fn is_enabled(&self) -> Option<bool> {
        match self.outcome.value {
            Value::Unresolved(_) => None,
            value => Some(value != Value::False),
        }
    }

    /// The variant, for C.
    pub(crate) fn variant_c(&self) -> Option<&'a CStr> {
        let Value::Variant(variant) = self.outcome.value else { return None };
        Some(self.texts().c(variant))
    }

    /// The variant.
    pub(crate) fn variant(&self) -> Option<&'a str> {
        let Value::Variant(variant) = self.outcome.value else { return None };
        Some(self.texts().get(variant))
    }

    fn payload_text(&self) -> Option<TextRef> {
        match (self.source, self.outcome.value) {
            (_, Value::Unresolved(_)) | (Source::Local(..), Value::False) => None,
            (Source::Remote(_, flag), _) => flag.payload,
            (Source::Local(definitions, flag), Value::True) => definitions.payload(flag, "true"),
            (Source::Local(definitions, flag), Value::Variant(variant)) => {
                definitions.payload(flag, definitions.text(variant))
            }
        }
    }

    /// The payload of the value, as JSON text.
    pub(crate) fn payload(&self) -> Option<&'a str> {
        self.payload_text().map(|text| self.texts().get(text))
    }

    /// The payload for C.
    pub(crate) fn payload_c(&self) -> Option<&'a CStr> {
        self.payload_text().map(|text| self.texts().c(text))
    }

    pub(crate) fn id(&self) -> i64 {
        match self.source {
            Source::Local(_, flag) => flag.id,
            Source::Remote(_, flag) => flag.id,
        }
    }

    pub(crate) fn version(&self) -> i64 {
        match self.source {
            Source::Local(_, flag) => flag.version,
            Source::Remote(_, flag) => flag.version,
        }
    }

    pub(crate) fn has_experiment(&self) -> Option<bool> {
        match self.source {
            Source::Local(_, flag) => flag.has_experiment,
            Source::Remote(_, flag) => flag.has_experiment,
        }
    }

    /// The code of the reason, also one that is not known here.
    pub(crate) fn reason_code(&self) -> &'a CStr {
        match self.source {
            Source::Local(..) => self.outcome.reason.name(),
            Source::Remote(remote, flag) => c_text(&remote.texts, flag.code),
        }
    }

    /// The rule that decided its value, as the server says it of a flag in the second form of configuration.
    pub(super) fn rule(&self) -> Option<&'a Rule> {
        match self.source {
            Source::Local(..) => None,
            Source::Remote(_, flag) => flag.rule.as_ref(),
        }
    }

    /// One of its texts.
    pub(super) fn text(&self, text: TextRef) -> &'a str {
        self.texts().get(text)
    }

    /// The reason in the words of the server, or that it was evaluated here, if it has a value.
    pub(crate) fn reason_description(&self) -> &'a str {
        match self.source {
            Source::Local(..) => self.is_enabled().map_or("", |_| "Evaluated locally"),
            Source::Remote(remote, flag) => flag.description.map_or("", |text| remote.texts.get(text)),
        }
    }

    /// Writes the member of a flag with a value, in the form of the server's responses.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let optional = |out: &mut Vec<u8>, text: Option<&str>| match text {
            Some(text) => write_string(out, text),
            None => out.extend_from_slice(b"null"),
        };
        write_string(out, self.key());
        out.extend_from_slice(b":{\"key\":");
        write_string(out, self.key());
        out.extend_from_slice(b",\"enabled\":");
        out.extend_from_slice(truth(self.is_enabled() == Some(true)));
        out.extend_from_slice(b",\"variant\":");
        optional(out, self.variant());
        out.extend_from_slice(b",\"reason\":{\"code\":");
        write_c(out, self.reason_code());
        out.extend_from_slice(b",\"condition_index\":");
        match self.outcome.condition {
            Some(index) => write_integer(out, index.into()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"},\"metadata\":{\"id\":");
        write_integer(out, self.id());
        out.extend_from_slice(b",\"version\":");
        write_integer(out, self.version());
        out.extend_from_slice(b",\"payload\":");
        optional(out, self.payload());
        if let Some(has_experiment) = self.has_experiment() {
            out.extend_from_slice(b",\"has_experiment\":");
            out.extend_from_slice(truth(has_experiment));
        }
        out.extend_from_slice(b"},\"locally_evaluated\":");
        out.extend_from_slice(truth(self.is_local()));
        out.push(b'}');
    }
}

pub(super) fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

pub(super) fn write_c(out: &mut Vec<u8>, name: &CStr) {
    write_string(out, &name.to_string_lossy());
}

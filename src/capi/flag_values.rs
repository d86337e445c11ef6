//! What C learns of one feature flag: its kind, reasons as numbers, and phc_flag_detail.

use super::handle::Plain;
use crate::flags::{Found, Reason, Unresolved, Value};

/// What kind of value a feature flag has.
pub type phc_flag_kind = i32;
/// It has none: it is not in the snapshot, or could not be evaluated.
pub const PHC_FLAG_ABSENT: phc_flag_kind = 0;
/// It is off.
pub const PHC_FLAG_FALSE: phc_flag_kind = 1;
/// It is on.
pub const PHC_FLAG_TRUE: phc_flag_kind = 2;
/// It is on, with a variant.
pub const PHC_FLAG_VARIANT: phc_flag_kind = 3;

/// Why a flag has its value. A number that a program does not know is a reason that was added
/// later.
pub type phc_flag_reason = i32;
/// It has no value.
pub const PHC_FLAG_REASON_NONE: phc_flag_reason = 0;
/// It is switched off in the project.
pub const PHC_FLAG_DISABLED: phc_flag_reason = 1;
/// It is for groups of one type, and the query has no group of that type.
pub const PHC_FLAG_NO_GROUP_TYPE: phc_flag_reason = 2;
/// No condition matches.
pub const PHC_FLAG_NO_CONDITION_MATCH: phc_flag_reason = 3;
/// A condition matches, and the person is outside of its rollout.
pub const PHC_FLAG_OUT_OF_ROLLOUT_BOUND: phc_flag_reason = 4;
/// A condition matches.
pub const PHC_FLAG_CONDITION_MATCH: phc_flag_reason = 5;
/// The person is in a holdout.
pub const PHC_FLAG_HOLDOUT: phc_flag_reason = 6;
/// The person's enrolment in an early access feature decides.
pub const PHC_FLAG_SUPER_CONDITION: phc_flag_reason = 7;

/// A flag that it depends on is missing on the server.
pub const PHC_FLAG_MISSING_DEPENDENCY: phc_flag_reason = 8;
/// The server has a reason that this libphc does not know; phc_flags_json has its code.
pub const PHC_FLAG_REASON_OTHER: phc_flag_reason = 9;

/// Why a flag has no value. A number that a program does not know is a reason that was added
/// later.
pub type phc_flag_unresolved = i32;
/// It has a value, or is not in the snapshot.
pub const PHC_FLAG_RESOLVED: phc_flag_unresolved = 0;
/// It keeps the value that a person once had, which only the server knows.
pub const PHC_FLAG_EXPERIENCE_CONTINUITY: phc_flag_unresolved = 1;
/// Something in its definition needs the server, such as a static cohort, or is not known here.
pub const PHC_FLAG_UNSUPPORTED_DEFINITION: phc_flag_unresolved = 2;
/// A flag that it depends on has no value.
pub const PHC_FLAG_UNRESOLVED_DEPENDENCY: phc_flag_unresolved = 3;
/// The query lacks something: a property, the properties of a group, the device or distinct id.
pub const PHC_FLAG_MISSING_CONTEXT: phc_flag_unresolved = 4;
/// The server could not evaluate it, or what it returned is not understood.
pub const PHC_FLAG_EVALUATION_FAILED: phc_flag_unresolved = 5;

/// What is known of one flag. The struct only ever grows at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct phc_flag_detail {
    /// The number of its definition; 0 if that is not known.
    pub id: i64,
    /// The version of its definition; 0 if that is not known.
    pub version: i64,
    /// Its value.
    pub kind: phc_flag_kind,
    /// Why it has that value.
    pub reason: phc_flag_reason,
    /// The position of the condition that the reason is about; -1 if it is about none.
    pub condition_index: i32,
    /// Why it has no value.
    pub unresolved: phc_flag_unresolved,
    /// Whether it belongs to an experiment: 1 or 0; -1 if that is not known.
    pub has_experiment: i32,
    /// 1 if it was evaluated here, from definitions; 0 if the server evaluated it, or it is not in
    /// the snapshot.
    pub is_local: i32,
}

// SAFETY: two numbers of eight bytes, and six of four.
unsafe impl Plain for phc_flag_detail {}
const _: () = assert!(size_of::<phc_flag_detail>() == 40);

impl phc_flag_detail {
    pub(super) const ABSENT: Self = phc_flag_detail {
        id: 0,
        version: 0,
        kind: PHC_FLAG_ABSENT,
        reason: PHC_FLAG_REASON_NONE,
        condition_index: -1,
        unresolved: PHC_FLAG_RESOLVED,
        has_experiment: -1,
        is_local: 0,
    };

    pub(super) fn of(found: &Found<'_>) -> Self {
        let condition = found.outcome.condition.and_then(|index| i32::try_from(index).ok());
        phc_flag_detail {
            id: found.id(),
            version: found.version(),
            kind: kind(found),
            reason: reason_number(found.outcome.reason),
            condition_index: condition.unwrap_or(-1),
            unresolved: match found.outcome.value {
                Value::Unresolved(reason) => unresolved_number(reason),
                _ => PHC_FLAG_RESOLVED,
            },
            has_experiment: found.has_experiment().map_or(-1, i32::from),
            is_local: i32::from(found.is_local()),
        }
    }
}

pub(super) fn kind(found: &Found<'_>) -> phc_flag_kind {
    match found.outcome.value {
        Value::Unresolved(_) => PHC_FLAG_ABSENT,
        Value::False => PHC_FLAG_FALSE,
        Value::True => PHC_FLAG_TRUE,
        Value::Variant(_) => PHC_FLAG_VARIANT,
    }
}

/// All reasons, by their number.
pub(super) const REASONS: [Reason; 10] = [
    Reason::None,
    Reason::FlagDisabled,
    Reason::NoGroupType,
    Reason::NoConditionMatch,
    Reason::OutOfRolloutBound,
    Reason::ConditionMatch,
    Reason::Holdout,
    Reason::SuperCondition,
    Reason::MissingDependency,
    Reason::Other,
];
/// All reasons of flags without a value, by their number less one.
pub(super) const UNRESOLVED: [Unresolved; 5] = [
    Unresolved::ExperienceContinuity,
    Unresolved::UnsupportedDefinition,
    Unresolved::UnresolvedDependency,
    Unresolved::MissingContext,
    Unresolved::EvaluationFailed,
];

/// The position of a value in a table, as a number for C.
fn number_in<T: PartialEq>(table: &[T], value: &T) -> i32 {
    table.iter().position(|known| known == value).and_then(|at| i32::try_from(at).ok()).unwrap_or(-1)
}

fn reason_number(reason: Reason) -> phc_flag_reason {
    number_in(&REASONS, &reason)
}

fn unresolved_number(reason: Unresolved) -> phc_flag_unresolved {
    number_in(&UNRESOLVED, &reason) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_positions_in_the_tables() {
        let reasons = [
            (PHC_FLAG_REASON_NONE, Reason::None),
            (PHC_FLAG_DISABLED, Reason::FlagDisabled),
            (PHC_FLAG_NO_GROUP_TYPE, Reason::NoGroupType),
            (PHC_FLAG_NO_CONDITION_MATCH, Reason::NoConditionMatch),
            (PHC_FLAG_OUT_OF_ROLLOUT_BOUND, Reason::OutOfRolloutBound),
            (PHC_FLAG_CONDITION_MATCH, Reason::ConditionMatch),
            (PHC_FLAG_HOLDOUT, Reason::Holdout),
            (PHC_FLAG_SUPER_CONDITION, Reason::SuperCondition),
            (PHC_FLAG_MISSING_DEPENDENCY, Reason::MissingDependency),
            (PHC_FLAG_REASON_OTHER, Reason::Other),
        ];
        for (number, reason) in reasons {
            assert_eq!(reason_number(reason), number);
        }
        assert_eq!(reasons.len(), REASONS.len());
        let unresolved = [
            (PHC_FLAG_EXPERIENCE_CONTINUITY, Unresolved::ExperienceContinuity),
            (PHC_FLAG_UNSUPPORTED_DEFINITION, Unresolved::UnsupportedDefinition),
            (PHC_FLAG_UNRESOLVED_DEPENDENCY, Unresolved::UnresolvedDependency),
            (PHC_FLAG_MISSING_CONTEXT, Unresolved::MissingContext),
            (PHC_FLAG_EVALUATION_FAILED, Unresolved::EvaluationFailed),
        ];
        for (number, reason) in unresolved {
            assert_eq!(unresolved_number(reason), number);
        }
        assert_eq!(unresolved.len(), UNRESOLVED.len());
    }
}

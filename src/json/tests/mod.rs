//! The cursor, held against a naive reader and against serde_json; and the generator of JSON texts that the
//! tests of events use too.

mod cursor;
pub(crate) mod generators;
pub(crate) mod reference;

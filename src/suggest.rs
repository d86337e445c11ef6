//! "Did you mean …?" for names that are not known.

/// In bytes. The comparison needs memory, and time, in proportion.
const LONGEST: usize = 100;

/// Returns ` (did you mean "flush_at"?)` when a known name is close to `given`,
/// else an empty string, as for any long text.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known = known.filter(|_| given.len() <= LONGEST);
    known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 3 + 1)
        .map_or_else(String::new, |(_, name)| format!(" (did you mean {name:?}?)"))
}

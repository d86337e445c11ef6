//! Which events and requests fit a filter: as ranges of their numbers, piece by piece, so that one response looks at
//! a bounded number of bytes.

use crate::kept::Kept;
use crate::records::{EventRecord, RequestRecord};
use crate::view::parameter;

/// What one response looks at, at most.
const MAX_BYTES: usize = 4 << 20;
const MAX_ITEMS: usize = 50_000;

/// What is looked for; what is empty fits everything. Text is compared without regard to the case of ASCII letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// In the name of an event.
    name: String,
    /// In the distinct id, or at the start of the uuid or the request id.
    id: String,
    /// The code of a verdict, or `none`.
    verdict: String,
    /// Anywhere.
    text: String,
}

/// What one response found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// First and last numbers.
    pub(crate) ranges: Vec<(u64, u64)>,
    /// All up to this number were looked at.
    pub(crate) until: u64,
}

/// An item that a filter may fit.
pub(crate) trait Searchable {
    fn fits(&self, filter: &Filter) -> bool;
    /// How many bytes a search for text looks at.
    fn text_bytes(&self) -> usize;
}

impl Filter {
    pub(crate) fn of(query: &str) -> Self {
        let get = |name| parameter(query, name).map(decoded).unwrap_or_default().to_ascii_lowercase();
        Self { name: get("name"), id: get("id"), verdict: get("verdict"), text: get("text") }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Looks at the items after this number.
    pub(crate) fn find<T: Searchable + crate::kept::Size>(&self, kept: &Kept<T>, after: u64) -> Found {
        let after = after.max(kept.first() - 1);
        if self.is_empty() {
            let all = (after + 1, kept.last());
            let ranges = if all.0 <= all.1 { vec![all] } else { Vec::new() };
            return Found { ranges, until: after.max(kept.last()) };
        }
        let mut found = Found { ranges: Vec::new(), until: after };
        let mut bytes = 0;
        for (number, item) in kept.from(after + 1).take(MAX_ITEMS) {
            if item.fits(self) {
                match found.ranges.last_mut().filter(|(_, last)| *last + 1 == number) {
                    Some((_, last)) => *last = number,
                    None => found.ranges.push((number, number)),
                }
            }
            found.until = number;
            bytes += if self.text.is_empty() { 0 } else { item.text_bytes() };
            if bytes > MAX_BYTES {
                break;
            }
        }
        found
    }
}

impl Searchable for EventRecord {
    fn fits(&self, filter: &Filter) -> bool {
        let is_verdict = match filter.verdict.as_str() {
            "" => true,
            "none" => self.verdict.is_empty(),
            code => self.verdict.eq_ignore_ascii_case(code),
        };
        is_verdict
            && contains(&self.name, &filter.name)
            && (contains(&self.distinct_id, &filter.id) || starts(&self.uuid.to_string(), &filter.id))
            && contains(self.event.get(), &filter.text)
    }

    fn text_bytes(&self) -> usize {
        self.event.get().len()
    }
}

impl Searchable for RequestRecord {
    fn fits(&self, filter: &Filter) -> bool {
        let fits_text = || {
            contains(&self.path, &filter.text)
                || contains(&self.response, &filter.text)
                || contains(&self.status.to_string(), &filter.text)
                || self.headers.values().any(|value| contains(value, &filter.text))
        };
        (filter.verdict.is_empty() || self.verdicts.contains_key(&filter.verdict))
            && starts(&self.request_id, &filter.id)
            && fits_text()
    }

    fn text_bytes(&self) -> usize {
        self.headers.values().map(String::len).sum()
    }
}

fn starts(text: &str, lower: &str) -> bool {
    text.as_bytes().get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower.as_bytes()))
}

/// Whether the text has the other one in it, which is in lower case.
fn contains(text: &str, lower: &str) -> bool {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    let Some(first) = lower.first() else { return true };
    text.iter().enumerate().any(|(at, byte)| {
        byte.to_ascii_lowercase() == *first
            && text.get(at..at + lower.len()).is_some_and(|part| part.eq_ignore_ascii_case(lower))
    })
}

/// The text of a query parameter as it was before a browser escaped it.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => b'?',
            },
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Size;

    struct Word(&'static str);

    impl Size for Word {
        fn size(&self) -> usize {
            1
        }
    }

    impl Searchable for Word {
        fn fits(&self, filter: &Filter) -> bool {
            contains(self.0, &filter.text)
        }

        fn text_bytes(&self) -> usize {
            MAX_BYTES / 4
        }
    }

    fn words(words: &[&'static str]) -> Kept<Word> {
        let mut kept = Kept::new(1000, 1000);
        for word in words {
            kept.push(Word(word));
        }
        kept
    }

    #[test]
    fn a_search_stops_after_a_number_of_bytes_and_goes_on_from_there() {
        let kept = words(&["Tea", "cup", "TEA", "steam", "tea", "pot", "tea"]);
        let filter = Filter::of("text=TeA");
        let first = filter.find(&kept, 0);
        assert_eq!(first, Found { ranges: vec![(1, 1), (3, 5)], until: 5 });
        assert_eq!(filter.find(&kept, first.until), Found { ranges: vec![(7, 7)], until: 7 });
        assert_eq!(filter.find(&kept, 7), Found { ranges: vec![], until: 7 });
    }

    #[test]
    fn without_a_filter_everything_is_one_range() {
        let kept = words(&["a"; 10]);
        assert_eq!(Filter::default().find(&kept, 0), Found { ranges: vec![(1, 10)], until: 10 });
        assert_eq!(Filter::default().find(&kept, 4), Found { ranges: vec![(5, 10)], until: 10 });
        assert_eq!(Filter::default().find(&kept, 10), Found { ranges: vec![], until: 10 });
        assert_eq!(Filter::default().find(&words(&[]), 0), Found { ranges: vec![], until: 0 });
    }

    #[test]
    fn parameters_are_decoded_and_compared_without_regard_to_case() {
        let filter = Filter::of("name=Order+Placed&id=%C3%BC%26&verdict=&text=100%25");
        assert_eq!((filter.name.as_str(), filter.id.as_str()), ("order placed", "ü&"));
        assert_eq!((filter.verdict.as_str(), filter.text.as_str()), ("", "100%"));
        assert_eq!(decoded("%zz%4"), "??");
        for (text, part, expected) in
            [("ORDER", "rd", true), ("ab", "abc", false), ("", "", true), ("x", "", true)]
        {
            assert_eq!(contains(text, part), expected, "{text} {part}");
        }
        assert!(starts("ABC", "ab") && !starts("ABC", "b") && !starts("A", "ab"));
    }
}

//! JSON that is read in full and not kept: whether serde_json accepts a text, without the memory of its values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value. Unlike `IgnoredAny` it is read as strictly as a value that is kept: numbers beyond the range of a
/// double and lone surrogates are errors.
pub(crate) struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
                while list.next_element::<Strict>()?.is_some() {}
                Ok(Strict)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Strict, A::Error> {
                while object.next_entry::<Strict, Strict>()?.is_some() {}
                Ok(Strict)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::Strict;

    #[test]
    fn it_accepts_and_refuses_what_a_value_does() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let texts = [
            "1",
            "-1",
            "1.5e3",
            "1e999",
            "-1e999",
            "123456789012345678901234567890",
            "null",
            "true",
            "nul",
            "\"a\"",
            r#""\ud800""#,
            r#""\ud83d\ude00""#,
            r#"{"\udc00":1}"#,
            r#"{"a":[1,{"b":null}],"a":2}"#,
            "[1,]",
            "{",
            "",
            "[] []",
            "{1:2}",
            "\"\u{1}\"",
        ];
        for text in texts.into_iter().map(str::to_owned).chain([deep(127), deep(128), deep(129)]) {
            let strict = serde_json::from_str::<Strict>(&text).map(|_| ()).map_err(|error| error.to_string());
            let value = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(strict, value.map(|_| ()).map_err(|error| error.to_string()), "{text}");
        }
    }
}

//! JSON that somebody else wrote: a field of the wrong type counts as missing, and what is kept is bounded.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cataloger::File;
use crate::error::Result;
use crate::model::problem::{Problem, ProblemKind};

/// The most bytes of a text.
const TEXT: usize = 256;
/// The most texts of a list.
const TEXTS: usize = 16;
/// The most elements of a list.
const ELEMENTS: usize = 20_000;

/// Reads a file that is a document; what is no JSON of this shape is the problem `what` of the file.
///
/// # Errors
/// Those of [`File::bytes`].
pub fn read<T: DeserializeOwned>(file: &mut File<'_>, what: &'static str) -> Result<Option<T>> {
    let found = parse(file.bytes()?);
    if found.is_none() {
        file.problem(Problem::new(ProblemKind::Malformed, what));
    }
    Ok(found)
}

/// Reads a document, with or without a byte order mark; none for what is no JSON of this shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).ok()
}

/// What a value takes of whatever stands there; everything else is passed over.
pub trait Take: Default {
    /// The elements of a list, and the members of an object.
    type Part: DeserializeOwned;

    /// The value is a text.
    fn text(&mut self, _text: &str) {}

    /// One element of the list that the value is.
    fn element(&mut self, _element: Self::Part) {}

    /// Whether a member of the object that the value is matters.
    fn wants(&self, _name: &str) -> bool {
        false
    }

    /// One of the members that do.
    fn member(&mut self, _name: &str, _member: Self::Part) {}
}

/// Reads whatever stands there as a `T`: what implements [`Take`] is deserialized so.
///
/// # Errors
/// Those of the deserializer: what stands there is no JSON.
pub fn take<'de, D: Deserializer<'de>, T: Take>(deserializer: D) -> std::result::Result<T, D::Error> {
    deserializer.deserialize_any(Anything(PhantomData))
}

struct Anything<T>(PhantomData<T>);

impl<'de, T: Take> Visitor<'de> for Anything<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<T, E> {
        let mut value = T::default();
        value.text(text);
        Ok(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<T, A::Error> {
        let mut value = T::default();
        while let Some(element) = list.next_element()? {
            value.element(element);
        }
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<T, A::Error> {
        let mut value = T::default();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if value.wants(&name) {
                value.member(&name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(value)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> std::result::Result<T, E> {
        Ok(T::default())
    }
}

/// A text of a sensible length; empty for anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

/// A text or a list of texts, at most 16.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

/// The elements of a list; at most 20,000, the others are counted.
#[derive(Clone, Debug)]
pub struct Few<T> {
    /// The elements.
    pub elements: Vec<T>,
    /// How many more there are.
    pub refused: u64,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { elements: Vec::new(), refused: 0 }
    }
}

/// The text, if it may be a name, a version or a licence.
pub fn sensible(text: &str) -> Option<String> {
    let is_sensible = (1..=TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
    is_sensible.then(|| text.trim().to_owned())
}

impl Take for Text {
    type Part = IgnoredAny;

    fn text(&mut self, text: &str) {
        self.0 = sensible(text).unwrap_or_default();
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        take(deserializer)
    }
}

impl Take for Texts {
    type Part = Text;

    fn text(&mut self, text: &str) {
        self.0.extend(sensible(text));
    }

    fn element(&mut self, Text(text): Text) {
        if !text.is_empty() && self.0.len() < TEXTS {
            self.0.push(text);
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        take(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Few<T>, A::Error> {
                let mut few = Few::default();
                while few.elements.len() < ELEMENTS {
                    let Some(element) = list.next_element()? else { return Ok(few) };
                    few.elements.push(element);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    few.refused += 1;
                }
                Ok(few)
            }

            fn visit_unit<E>(self) -> std::result::Result<Few<T>, E> {
                Ok(Few::default())
            }
        }

        deserializer.deserialize_any(List(PhantomData))
    }
}

/// The members of an object, each with its name; at most 20,000, the others are counted.
#[derive(Clone, Debug)]
pub struct Members<T> {
    /// The members, in their order.
    pub members: Vec<(String, T)>,
    /// How many more there are.
    pub refused: u64,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { members: Vec::new(), refused: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<T>, A::Error> {
                let mut found = Members::default();
                while found.members.len() < ELEMENTS {
                    let Some((Text(name), member)) = map.next_entry()? else { return Ok(found) };
                    if !name.is_empty() {
                        found.members.push((name, member));
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    found.refused += 1;
                }
                Ok(found)
            }

            fn visit_unit<E>(self) -> std::result::Result<Members<T>, E> {
                Ok(Members::default())
            }
        }

        deserializer.deserialize_any(Object(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_none() {
        for (json, text, texts) in [
            (r#"" a ""#, "a", vec!["a"]),
            (r#"["a", 1, null, "b"]"#, "", vec!["a", "b"]),
            (r#"{"a": [1]}"#, "", vec![]),
            ("1.5", "", vec![]),
            ("null", "", vec![]),
            ("\"a\\u0000b\"", "", vec![]),
        ] {
            assert_eq!(parse::<Text>(json.as_bytes()).unwrap().0, text, "{json}");
            assert_eq!(parse::<Texts>(json.as_bytes()).unwrap().0, texts, "{json}");
        }
        assert!(parse::<Text>(b"{").is_none());
    }

    #[test]
    fn lists_are_bounded() {
        let list = format!("[{}0]", "0,".repeat(ELEMENTS + 4));
        let few: Few<u8> = parse(list.as_bytes()).unwrap();
        assert_eq!((few.elements.len(), few.refused), (ELEMENTS, 5));
        let members: Members<u8> = parse(br#"{"a": 1, "b": 2}"#).unwrap();
        assert_eq!(members.members, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }
}

//! Node packages that are installed: their `package.json` (docs.npmjs.com, "package.json").

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Cataloger, Facts, File, Interest, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};
use crate::model::problem::{Problem, ProblemKind};

/// Reads every `package.json` below a `node_modules` directory or `usr/share/nodejs` that has a name and a version.
pub struct Node;

/// The most bytes of a name, a version or a licence: npm allows 214 for a name.
const VALUE: usize = 256;
/// The most licences of a package.
const LICENSES: usize = 16;

impl Cataloger for Node {
    fn id(&self) -> &'static str {
        "node"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("**/node_modules/**/package.json", Take::Whole),
            Interest::Path("usr/share/nodejs/**/package.json", Take::Whole),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let bytes = file.bytes()?;
        // Windows editors leave a byte order mark, and npm takes it away.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(Json(package)) = serde_json::from_slice(bytes) else {
            file.problem(Problem::new(ProblemKind::Malformed, "this is not the JSON of a package"));
            return Ok(None);
        };
        let is_named = !package.name.is_empty() && !package.version.is_empty();
        if is_named { Facts::encode(&package).map(Some) } else { Ok(None) }
    }

    fn resolve(&self, view: &View<'_>, draft: &mut Draft) -> Result<()> {
        for file in view.files() {
            let package: Package = file.facts()?;
            let licenses: Vec<&str> = package.licenses.iter().map(String::as_str).collect();
            draft.push(&PackageDraft {
                licenses: &licenses,
                ..PackageDraft::new(PackageType::Npm, &package.name, &package.version, file.path(), file.layer)
            })?;
        }
        Ok(())
    }
}

/// What is kept of one `package.json`.
#[derive(Default, Serialize, Deserialize)]
struct Package {
    name: String,
    version: String,
    licenses: Vec<String>,
}

/// A [`Package`] as it is read: a field of the wrong type counts as missing, and of two fields of one name the last holds, as
/// in JavaScript.
struct Json(Package);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Name,
    Version,
    License,
    Licenses,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut package = Package::default();
                // The plural is how it was written before 2014.
                let (mut license, mut licenses) = (Vec::new(), Vec::new());
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Name => package.name = map.next_value_seed(DEPTH)?.text(),
                        Key::Version => package.version = map.next_value_seed(DEPTH)?.text(),
                        Key::License => license = map.next_value_seed(DEPTH)?.licenses(),
                        Key::Licenses => licenses = map.next_value_seed(DEPTH)?.licenses(),
                        Key::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                package.licenses = if license.is_empty() { licenses } else { license };
                Ok(Json(package))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Any JSON value, as much of it as a name, a version or a licence may be.
enum Value {
    /// A string of a sensible length.
    Text(String),
    /// The licences of `{"type": "MIT"}`, or of a list of these or of strings.
    Licenses(Vec<String>),
    /// Something else.
    Other,
}

impl Value {
    fn text(self) -> String {
        if let Self::Text(text) = self { text } else { String::new() }
    }

    fn licenses(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Licenses(licenses) => licenses,
            Self::Other => Vec::new(),
        }
    }
}

/// Reads a [`Value`] with so many values in values; what lies deeper is passed over.
#[derive(Clone, Copy)]
struct Depth(u8);

/// A list of licences, each an object with a type.
const DEPTH: Depth = Depth(3);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        struct Any(Depth);

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                let is_sensible = (1..=VALUE).contains(&text.len()) && !text.chars().any(char::is_control);
                Ok(if is_sensible { Value::Text(text.trim().to_owned()) } else { Value::Other })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut licenses = Vec::new();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if key == "type" {
                        licenses = map.next_value_seed(self.0)?.licenses();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Value::Licenses(licenses))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut licenses = Vec::new();
                while let Some(value) = list.next_element_seed(self.0)? {
                    licenses.extend(value.licenses());
                    licenses.truncate(LICENSES);
                }
                Ok(Value::Licenses(licenses))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Other)
            }
        }

        match self.0.checked_sub(1) {
            Some(depth) => deserializer.deserialize_any(Any(Self(depth))),
            None => IgnoredAny::deserialize(deserializer).map(|_| Value::Other),
        }
    }
}

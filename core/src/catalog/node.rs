//! Node packages that are installed: their `package.json` (docs.npmjs.com, "package.json").

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::json::{self, Text};
use crate::layer::{Cataloger, Facts, File, Interest, Take, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};

/// Reads every `package.json` below a `node_modules` directory or `usr/share/nodejs` that has a name and a version.
pub struct Node;

/// The most licences of a package.
const LICENSES: usize = 16;

impl Cataloger for Node {
    fn id(&self) -> &'static str {
        "node"
    }

    fn version(&self) -> u32 {
        3
    }

    fn interests(&self) -> &[Interest] {
        &[
            Interest::Path("**/node_modules/**/package.json", Take::Whole),
            Interest::Path("usr/share/nodejs/**/package.json", Take::Whole),
        ]
    }

    fn read(&self, file: &mut File<'_>) -> Result<Option<Facts>> {
        let Some(Json(package)) = json::read(file, "this is not the JSON of a package")? else { return Ok(None) };
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
                        Key::Name => package.name = map.next_value::<Value>()?.text,
                        Key::Version => package.version = map.next_value::<Value>()?.text,
                        Key::License => license = map.next_value::<Value>()?.into_licenses(),
                        Key::Licenses => licenses = map.next_value::<Value>()?.into_licenses(),
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

/// Any value, as much of it as a name, a version or the licences may be.
#[derive(Default)]
struct Value {
    /// It is a text.
    text: String,
    /// It is a list of licences, or one with a type.
    licenses: Vec<String>,
}

impl Value {
    fn into_licenses(self) -> Vec<String> {
        if self.text.is_empty() { self.licenses } else { vec![self.text] }
    }
}

impl json::Take for Value {
    type Part = License;

    fn text(&mut self, text: &str) {
        self.text = json::sensible(text).unwrap_or_default();
    }

    fn element(&mut self, License(license): License) {
        if self.licenses.len() < LICENSES {
            self.licenses.extend(Some(license).filter(|license| !license.is_empty()));
        }
    }

    fn wants(&self, name: &str) -> bool {
        name == "type"
    }

    fn member(&mut self, _type: &str, license: License) {
        self.element(license);
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::take(deserializer)
    }
}

/// `MIT`, or `{"type": "MIT"}`.
#[derive(Default)]
struct License(String);

impl json::Take for License {
    type Part = Text;

    fn text(&mut self, text: &str) {
        self.0 = json::sensible(text).unwrap_or_default();
    }

    fn wants(&self, name: &str) -> bool {
        name == "type"
    }

    fn member(&mut self, _type: &str, Text(license): Text) {
        self.0 = license;
    }
}

impl<'de> Deserialize<'de> for License {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::take(deserializer)
    }
}

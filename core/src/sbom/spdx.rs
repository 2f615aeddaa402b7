//! SPDX 2 in JSON: packages.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::component::Component;
use super::{Sink, give};
use crate::error::{Error, Result};

/// The words that scanners tell the source package with.
const BUILT_FROM: &str = "built package from: ";
/// The words that this program tells the places with.
const FOUND_IN: &str = "found in: ";

/// `creationInfo`.
#[derive(Deserialize)]
pub(super) struct Creation {
    pub(super) created: Option<String>,
}

/// `packages`.
pub(super) struct Packages<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Packages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut packages: A) -> Result<(), A::Error> {
        let Self { sink, failed } = self;
        while let Some(package) = packages.next_element::<Package>()? {
            let component = package.into_component();
            if component.kind == "container" {
                sink.subject(component);
            } else {
                give(sink, failed, component)?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: Option<String>,
    version_info: Option<String>,
    summary: Option<String>,
    primary_package_purpose: Option<String>,
    license_declared: Option<String>,
    license_concluded: Option<String>,
    source_info: Option<String>,
    #[serde(default)]
    external_refs: Purl,
}

impl Package {
    fn into_component(self) -> Component {
        let kind = self.primary_package_purpose.unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        let mut component = Component {
            kind,
            name: self.name.unwrap_or_default(),
            version: self.version_info.unwrap_or_default(),
            title: self.summary.unwrap_or_default(),
            purl: self.external_refs.0,
            ..Component::default()
        };
        let licenses = [self.license_declared, self.license_concluded].into_iter().flatten();
        // A reference stands for a text at the end of the document, which says no more than that the list lacks it.
        let is_said =
            |license: &String| !matches!(license.as_str(), "NOASSERTION" | "NONE") && !license.contains("LicenseRef-");
        licenses.filter(is_said).take(1).for_each(|license| component.license(license));
        for part in self.source_info.as_deref().unwrap_or_default().split("; ") {
            if let Some((name, version)) = part.strip_prefix(BUILT_FROM).and_then(|source| source.split_once(' ')) {
                component.property("tidewaiter:source:name", name.to_owned());
                component.property("tidewaiter:source:version", version.to_owned());
            }
            if let Some(places) = part.strip_prefix(FOUND_IN) {
                let path = |place: &str| place.rsplit_once(" of layer ").map_or(place, |(path, _)| path).to_owned();
                places.split(", ").for_each(|place| component.location(&path(place)));
            }
        }
        component
    }
}

/// The package URL among `externalRefs`.
#[derive(Default)]
struct Purl(String);

impl<'de> Deserialize<'de> for Purl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Purl {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("references")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut references: A) -> Result<Self, A::Error> {
        while let Some(reference) = references.next_element::<Reference>()? {
            if self.0.is_empty() && reference.reference_type == "purl" {
                self.0 = reference.reference_locator;
            }
        }
        Ok(self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Reference {
    reference_type: String,
    reference_locator: String,
}

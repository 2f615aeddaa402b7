//! CycloneDX in JSON: components, and those within them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::component::Component;
use super::{Sink, give};
use crate::error::{Error, Result};

/// `metadata`.
pub(super) struct Metadata<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the metadata of a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { sink, failed } = self;
        let mut subject = Component::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "timestamp" => sink.time(map.next_value()?),
                "component" => {
                    let within = One { sink: &mut *sink, failed: &mut *failed };
                    let component = map.next_value_seed(within)?;
                    subject = Component { platform: subject.platform, ..component };
                }
                "properties" => {
                    map.next_value_seed(each(|property: Property| {
                        if property.name == "tidewaiter:platform" {
                            subject.platform = property.value.unwrap_or_default();
                        }
                    }))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        sink.subject(subject);
        Ok(())
    }
}

/// `components`.
pub(super) struct Components<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Components<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Components<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("components")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut components: A) -> Result<(), A::Error> {
        let Self { sink, failed } = self;
        while let Some(component) = components.next_element_seed(One { sink: &mut *sink, failed: &mut *failed })? {
            give(sink, failed, component)?;
        }
        Ok(())
    }
}

/// One component; those within it are given to the sink.
struct One<'a> {
    sink: &'a mut dyn Sink,
    failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Component;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Component, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Component;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a component")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Component, A::Error> {
        let Self { sink, failed } = self;
        let mut component = Component::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => component.kind = text(&mut map)?,
                "name" => component.name = text(&mut map)?,
                "version" => component.version = text(&mut map)?,
                "description" => component.title = text(&mut map)?,
                "purl" => component.purl = text(&mut map)?,
                "licenses" => map.next_value_seed(each(|choice: LicenseChoice| {
                    let LicenseChoice { expression, license } = choice;
                    let License { id, name } = license.unwrap_or_default();
                    expression.or(id).or(name).into_iter().for_each(|license| component.license(license));
                }))?,
                "evidence" => map.next_value_seed(Evidence(&mut component))?,
                "properties" => map.next_value_seed(each(|property: Property| {
                    component.property(&property.name, property.value.unwrap_or_default());
                }))?,
                "components" => {
                    map.next_value_seed(Components { sink: &mut *sink, failed: &mut *failed })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(component)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    map.next_value::<Option<String>>().map(Option::unwrap_or_default)
}

/// An array whose items are looked at one by one, and not kept.
struct Each<F, T>(F, PhantomData<T>);

fn each<T, F: FnMut(T)>(look: F) -> Each<F, T> {
    Each(look, PhantomData)
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<F, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
struct LicenseChoice {
    expression: Option<String>,
    license: Option<License>,
}

#[derive(Default, Deserialize)]
struct License {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Occurrence {
    #[serde(default)]
    location: String,
}

/// `evidence`, of which only the places are looked at.
struct Evidence<'a>(&'a mut Component);

impl<'de> DeserializeSeed<'de> for Evidence<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Evidence<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evidence")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "occurrences" {
                map.next_value_seed(each(|occurrence: Occurrence| self.0.location(&occurrence.location)))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

//! SBOMs read: CycloneDX 1.2 to 1.7 and SPDX 2.2 and 2.3, in JSON. A document streams by twice: first for the distribution, which
//! decides what its packages are, then for the packages.
//!
//! A package is what its package URL says; what a package URL has no place for (the source package, the module, the owner) is taken
//! from where this program, syft and trivy write it.

mod component;
mod cyclonedx;
mod distro;
mod guard;
mod package;
mod spdx;

use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use self::component::Component;
pub(crate) use self::distro::Survey;
use self::guard::Guard;
pub(crate) use self::package::Packages;
use crate::error::{Error, Kind, Result};

/// What looks at a document as it streams by.
pub(crate) trait Sink {
    /// What the document describes as a whole.
    fn subject(&mut self, subject: Component) {
        let _ = subject;
    }

    /// When it was made, as it was written there.
    fn time(&mut self, time: String) {
        let _ = time;
    }

    /// One component, or one package.
    ///
    /// # Errors
    /// What ends the reading.
    fn component(&mut self, component: Component) -> Result<()>;
}

/// Reads a document.
///
/// # Errors
/// [`Kind::Unsupported`] for what is neither CycloneDX nor SPDX in a version that is read here, [`Kind::Corrupt`] for what is no JSON,
/// [`Kind::LimitExceeded`] for a text of more than 4 MiB, or the error of `input` or `sink`.
pub(crate) fn read(input: impl Read, sink: &mut dyn Sink) -> Result<()> {
    let guarded = Guard::new(BufReader::with_capacity(1 << 16, input));
    let mut json = serde_json::Deserializer::from_reader(guarded);
    let mut failed = None;
    let document = Document { sink, failed: &mut failed, named: Named::default() };
    let named = document.deserialize(&mut json).and_then(|named| json.end().map(|()| named));
    match (named, failed) {
        (_, Some(error)) => Err(error),
        (Err(error), None) if error.io_error_kind().is_some() => Err(std::io::Error::from(error).into()),
        (Err(error), None) => Err(Error::new(Kind::Corrupt, "this is no sbom in JSON")
            .with_hint("CycloneDX and SPDX are read in their JSON form alone")
            .because(error)),
        (Ok(named), None) => named.check(),
    }
}

/// What a document says that it is.
#[derive(Default)]
struct Named {
    cyclonedx: Option<String>,
    spdx: Option<String>,
    is_graph: bool,
}

impl Named {
    fn check(&self) -> Result<()> {
        let unsupported = |message: &'static str, version: &str| {
            let shown: String = version.chars().take(100).collect();
            Err(Error::new(Kind::Unsupported, message)
                .with("version", shown.escape_debug())
                .with_hint("CycloneDX 1.2 to 1.7 and SPDX 2.2 and 2.3 are read, in JSON"))
        };
        match (&self.cyclonedx, &self.spdx) {
            (Some(version), _) if matches!(version.as_str(), "1.2" | "1.3" | "1.4" | "1.5" | "1.6" | "1.7") => Ok(()),
            (_, Some(version)) if matches!(version.as_str(), "SPDX-2.2" | "SPDX-2.3") => Ok(()),
            (Some(version), _) => unsupported("this version of CycloneDX is not read", version),
            (_, Some(version)) => unsupported("this version of SPDX is not read", version),
            (None, None) if self.is_graph => unsupported("this version of SPDX is not read", "3"),
            (None, None) => Err(Error::new(Kind::Unsupported, "this is neither CycloneDX nor SPDX")
                .with_hint("CycloneDX 1.2 to 1.7 and SPDX 2.2 and 2.3 are read, in JSON")),
        }
    }
}

/// The whole document. An error of the sink is put down beside, since the reader knows only its own.
struct Document<'a> {
    sink: &'a mut dyn Sink,
    failed: &'a mut Option<Error>,
    named: Named,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document of CycloneDX or SPDX")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Named, A::Error> {
        let mut version = String::new();
        let mut is_cyclonedx = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "bomFormat" => is_cyclonedx = map.next_value::<String>()? == "CycloneDX",
                "specVersion" => version = map.next_value()?,
                "spdxVersion" => self.named.spdx = Some(map.next_value()?),
                "@graph" => {
                    self.named.is_graph = true;
                    map.next_value::<IgnoredAny>()?;
                }
                "metadata" => {
                    map.next_value_seed(cyclonedx::Metadata { sink: &mut *self.sink, failed: &mut *self.failed })?;
                }
                "components" => {
                    map.next_value_seed(cyclonedx::Components { sink: &mut *self.sink, failed: &mut *self.failed })?;
                }
                "creationInfo" => {
                    if let Some(time) = map.next_value::<spdx::Creation>()?.created {
                        self.sink.time(time);
                    }
                }
                "packages" => {
                    map.next_value_seed(spdx::Packages { sink: &mut *self.sink, failed: &mut *self.failed })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.named.cyclonedx = is_cyclonedx.then_some(version);
        Ok(self.named)
    }
}

/// Gives a component to the sink. An error of that ends the reading.
fn give<E: serde::de::Error>(
    sink: &mut dyn Sink,
    failed: &mut Option<Error>,
    component: Component,
) -> std::result::Result<(), E> {
    sink.component(component).map_err(|error| {
        let told = E::custom(&error);
        *failed = Some(error);
        told
    })
}

#[cfg(test)]
mod tests;

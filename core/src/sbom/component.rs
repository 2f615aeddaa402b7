//! One component of a document, whichever format it is of.

/// The most licences and places of one component that are kept.
const MOST: usize = 100;
/// The most bytes of a text of which a component may have several.
const LONGEST: usize = 4096;

/// What is taken from a component; what it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Component {
    /// The type of CycloneDX, or the purpose of SPDX, in lower case with hyphens.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) version: String,
    /// The name for people.
    pub(super) title: String,
    pub(super) purl: String,
    pub(super) licenses: Vec<String>,
    pub(super) locations: Vec<String>,
    pub(super) module: String,
    /// The package that it was built from.
    pub(super) source: Source,
    /// `linux/amd64`.
    pub(super) platform: String,
    /// The package URL of the package of the distribution whose file proves it.
    pub(super) owner: String,
}

/// A source package, by its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) release: String,
    pub(super) epoch: String,
    /// The file name of the source, such as `bash-5.1-2.el9.src.rpm`.
    pub(super) rpm: String,
}

impl Component {
    pub(super) fn license(&mut self, license: String) {
        keep(&mut self.licenses, license);
    }

    pub(super) fn location(&mut self, location: &str) {
        keep(&mut self.locations, location.trim_start_matches('/').to_owned());
    }

    /// Takes a property that this program, syft or trivy writes.
    pub(super) fn property(&mut self, name: &str, value: String) {
        let place = match name {
            "tidewaiter:source:name"
            | "aquasecurity:trivy:SrcName"
            | "syft:metadata:source"
            | "syft:metadata:originPackage" => &mut self.source.name,
            "tidewaiter:source:version" | "aquasecurity:trivy:SrcVersion" | "syft:metadata:sourceVersion" => {
                &mut self.source.version
            }
            "aquasecurity:trivy:SrcRelease" => &mut self.source.release,
            "aquasecurity:trivy:SrcEpoch" => &mut self.source.epoch,
            "syft:metadata:sourceRpm" => &mut self.source.rpm,
            "tidewaiter:module" | "aquasecurity:trivy:Modularitylabel" | "syft:metadata:modularityLabel" => {
                &mut self.module
            }
            "tidewaiter:owned-by" => &mut self.owner,
            "tidewaiter:platform" => &mut self.platform,
            "syft:distro:prettyName" => &mut self.title,
            "aquasecurity:trivy:FilePath" => return self.location(&value),
            _ if name.starts_with("syft:location:") && name.ends_with(":path") => return self.location(&value),
            _ => return,
        };
        if value.len() <= LONGEST {
            *place = value;
        }
    }
}

fn keep(list: &mut Vec<String>, text: String) {
    if list.len() < MOST && text.len() <= LONGEST && !text.is_empty() {
        list.push(text);
    }
}

//! What most ecosystems record of a package, and nothing else: a name, a version, licences.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::View;
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};

/// A package as it stands in the facts of a layer.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licenses: Vec<String>,
}

/// Every record of the files that are left is a package of this kind.
///
/// # Errors
/// Those of [`Draft::push`], and of facts that are damaged.
pub(super) fn resolve(kind: PackageType, view: &View<'_>, draft: &mut Draft) -> Result<()> {
    for file in view.files() {
        for record in file.records::<Record>() {
            let record = record?;
            let licenses: Vec<&str> = record.licenses.iter().map(String::as_str).collect();
            draft.push(&PackageDraft {
                licenses: &licenses,
                ..PackageDraft::new(kind, &record.name, &record.version, file.path(), file.layer)
            })?;
        }
    }
    Ok(())
}

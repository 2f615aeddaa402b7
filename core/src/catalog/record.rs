//! What most ecosystems record of a package, and nothing else: a name, a version, licences.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layer::{Facts, File, Records, View};
use crate::model::inventory::Draft;
use crate::model::package::{PackageDraft, PackageType};

/// A package as it stands in the facts of a layer.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licenses: Vec<String>,
}

/// The most bytes of a name, a version or a licence.
pub(super) const VALUE: usize = 256;

/// Reads a file into records. What was found before an error stays, and the error is a problem of the file.
///
/// # Errors
/// What does not come from the file, as [`File::error`] says.
pub(super) fn read(
    file: &mut File<'_>,
    read: impl FnOnce(&mut File<'_>, &mut Records) -> Result<()>,
) -> Result<Option<Facts>> {
    let mut records = Records::new();
    if let Err(error) = read(file, &mut records) {
        file.error(error)?;
    }
    Ok(records.finish(file))
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

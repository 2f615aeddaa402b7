//! What hangs on an image under a tag of its own, since its registry has no other place for it: signatures, attestations, SBOMs.
//!
//! Cosign tags them `sha256-<digest of the image>.sig`, `.att` and `.sbom`. Where a registry has no API of referrers, the list of them
//! is an index under `sha256-<digest of the image>` (OCI distribution specification 1.1, "Referrers Tag Schema"). Their manifests look
//! like those of images, so that only the tag tells.

use crate::model::media_type::OCI_INDEX;
use crate::model::record::ImageRecord;

/// What cosign puts behind the digest.
const ENDINGS: [&str; 3] = [".sig", ".att", ".sbom"];

/// Whether a record is of something that hangs on an image: all its tags say so. What has a tag besides is an image that happens to be
/// tagged like that, too.
pub(super) fn is_attached(record: &ImageRecord) -> bool {
    !record.tags.is_empty() && record.tags.iter().all(|tag| is_tag_of_attached(tag, record))
}

fn is_tag_of_attached(tag: &str, record: &ImageRecord) -> bool {
    let Some((hex, ending)) = tag.strip_prefix("sha256-").and_then(|rest| rest.split_at_checked(64)) else {
        return false;
    };
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // Tools that mirror images tag each with its own digest; a list of referrers has that of another.
    let may_be_list = matches!(record.media_type.as_str(), "" | OCI_INDEX) && record.digest.hex() != hex;
    is_hex && (ENDINGS.contains(&ending) || (ending.is_empty() && may_be_list))
}

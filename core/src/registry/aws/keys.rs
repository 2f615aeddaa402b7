//! An access key, and how long it holds.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

/// An access key. `Debug` shows its name only.
#[derive(Clone, Deserialize)]
pub(in crate::registry) struct Keys {
    /// The name of the key.
    #[serde(rename = "AccessKeyId")]
    pub(super) id: String,
    /// The key.
    #[serde(rename = "SecretAccessKey")]
    pub(super) secret: Zeroizing<String>,
    /// The session token of a temporary key.
    #[serde(rename = "Token", alias = "SessionToken", default)]
    pub(super) token: Option<Zeroizing<String>>,
    /// When it ends; none for one without an end.
    #[serde(rename = "Expiration", default)]
    pub(super) expires: Option<Timestamp>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({:?}, ***)", self.id)
    }
}

impl Keys {
    /// Whether it is time to look for another one: ten minutes before the end, or a quarter of a short life.
    pub(super) fn is_ending(&self, since: Timestamp, now: Timestamp) -> bool {
        let Some(expires) = self.expires else { return false };
        let early = (expires.duration_since(since) / 4).clamp(SignedDuration::ZERO, SignedDuration::from_mins(10));
        now >= expires.checked_sub(early).unwrap_or(expires)
    }
}

//! What a user says about who they are at Google's cloud.

use serde::{Deserialize, Serialize};

use crate::registry::secret::Secret;

/// Who we are at Google's cloud. Without any field it is what the machine has (application default credentials): the file that
/// `GOOGLE_APPLICATION_CREDENTIALS` names, the login of gcloud, the metadata server.
///
/// Needed for listing and scanning, as little as possible: the role `roles/artifactregistry.reader` on the repositories, or on the
/// project to list its repositories. The Artifact Registry API has to be enabled in the project.
///
/// ```
/// use tidewaiter::registry::{Credential, GoogleCredential, Registry, Secret};
/// let reader = GoogleCredential::service_account(Secret::file("reader.json"));
/// let registry = Registry::gar("europe-west1", "acme", Some("images")).credential(Credential::gar(reader));
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GoogleCredential {
    /// The JSON of a service account's key; that of a gcloud login or of a workload identity federation is taken too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Secret>,
    /// An access token, as `gcloud auth print-access-token` prints one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// Whether to be the service account of this machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub metadata: bool,
}

impl GoogleCredential {
    /// What the machine has.
    pub fn new() -> Self {
        Self::default()
    }

    /// A service account, by the JSON of its key.
    pub fn service_account(json: Secret) -> Self {
        Self { service_account: Some(json), ..Self::default() }
    }

    /// An access token.
    pub fn access_token(token: Secret) -> Self {
        Self { access_token: Some(token), ..Self::default() }
    }

    /// The service account of this machine.
    pub fn metadata() -> Self {
        Self { metadata: true, ..Self::default() }
    }
}

//! What a user says about who they are at Microsoft's cloud.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::registry::address;
use crate::registry::secret::Secret;

/// Who we are at Microsoft's cloud. Without any field it is what the machine has: environment variables, a workload identity, the
/// managed identity.
///
/// Needed for listing and scanning, as little as possible: the role `AcrPull` on the registry; in registries with permissions of
/// their own for repositories (ABAC) `Container Registry Repository Reader`, and `Container Registry Repository Catalog Lister` to
/// list repositories. A repository-scoped token needs a scope map with `content/read` and `metadata/read`; it never lists
/// repositories, so they have to be named.
///
/// ```
/// use tidewaiter::registry::{AzureCredential, Credential, Registry, Secret};
/// let reader = AzureCredential::client_secret("tenant", "application", Secret::env("AZURE_SECRET"));
/// let registry = Registry::acr("contoso").credential(Credential::azure(reader));
/// ```
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AzureCredential {
    /// The tenant (directory) of a service principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The application id of a service principal, or the client id of a managed identity that the user assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The secret of a service principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// A file with the certificate of a service principal and its private key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// A file with a token of another identity provider (workload identity). It is read anew each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federated_token_file: Option<PathBuf>,
    /// Whether to be the managed identity of this machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub managed_identity: bool,
    /// The name of the registry's admin user, or of a repository-scoped token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password that belongs to the user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A token of Microsoft Entra, as `az account get-access-token` prints one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// A refresh token of the registry, as `az acr login --expose-token` prints one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// The address of Microsoft Entra, where it is not that of the cloud.
    #[serde(skip_serializing_if = "Option::is_none", with = "address")]
    pub authority: Option<String>,
    /// What the token of Entra is for, where it is not the registries of the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl AzureCredential {
    /// What the machine has.
    pub fn new() -> Self {
        Self::default()
    }

    /// A service principal with its secret.
    pub fn client_secret(tenant_id: impl Into<String>, client_id: impl Into<String>, secret: Secret) -> Self {
        Self {
            tenant_id: Some(tenant_id.into()),
            client_id: Some(client_id.into()),
            client_secret: Some(secret),
            ..Self::default()
        }
    }

    /// A service principal with its certificate and private key, one file (PEM).
    pub fn client_certificate(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Self {
        Self {
            tenant_id: Some(tenant_id.into()),
            client_id: Some(client_id.into()),
            client_certificate: Some(path.into()),
            ..Self::default()
        }
    }

    /// The managed identity of this machine; `client_id` names one of several.
    pub fn managed_identity(client_id: Option<String>) -> Self {
        Self { managed_identity: true, client_id, ..Self::default() }
    }

    /// The admin user of the registry, or a repository-scoped token.
    pub fn user(username: impl Into<String>, password: Secret) -> Self {
        Self { username: Some(username.into()), password: Some(password), ..Self::default() }
    }

    /// The same with another address of Microsoft Entra.
    #[must_use]
    pub fn with_authority(self, url: impl Into<String>) -> Self {
        Self { authority: Some(url.into()), ..self }
    }
}

impl std::fmt::Debug for AzureCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureCredential")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("client_certificate", &self.client_certificate)
            .field("federated_token_file", &self.federated_token_file)
            .field("managed_identity", &self.managed_identity)
            .field("username", &self.username)
            .field("password", &self.password)
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .field("authority", &address::shown(&self.authority))
            .field("audience", &self.audience)
            .finish()
    }
}

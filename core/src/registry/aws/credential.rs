//! What a user says about who they are at Amazon's cloud.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::registry::address;
use crate::registry::secret::Secret;
use crate::registry::surroundings::Surroundings;

/// Who we are at Amazon's cloud. Without any field it is what the machine has: environment variables, the profile, a web identity,
/// the container or the instance.
///
/// Needed for listing and scanning, as little as possible: `ecr:GetAuthorizationToken` (on `*`), and on the repositories
/// `ecr:DescribeRepositories`, `ecr:DescribeImages`, `ecr:BatchGetImage`, `ecr:GetDownloadUrlForLayer`; `ecr:ListImages` to list
/// tags over Docker V2. The managed policy `AmazonEC2ContainerRegistryReadOnly` has all of them. For ECR Public:
/// `ecr-public:GetAuthorizationToken`, `sts:GetServiceBearerToken`, `ecr-public:DescribeRegistries`,
/// `ecr-public:DescribeRepositories`, `ecr-public:DescribeImageTags`.
///
/// ```
/// use tidewaiter::registry::{AwsCredential, Credential, Registry, Secret};
/// let scanner = AwsCredential::new().with_role("arn:aws:iam::123456789012:role/scanner").with_external_id("ext-42");
/// let registry = Registry::ecr("eu-west-1", "123456789012").credential(Credential::aws(scanner));
/// ```
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AwsCredential {
    /// A profile of `~/.aws/config` and `~/.aws/credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The name of an access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The access key itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    /// The session token that belongs to a temporary access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// A role to take on, with what the other fields say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What the owner of the role wants to hear from us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name under which the role's owner sees us; `tidewaiter` unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_session_name: Option<String>,
    /// A file with a token of another identity provider, to take on the role with; without `role_arn` that of `AWS_ROLE_ARN`. It is
    /// read anew each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_identity_token_file: Option<PathBuf>,
    /// The address of the token service (STS), where it is not that of the region.
    #[serde(skip_serializing_if = "Option::is_none", with = "address")]
    pub sts_endpoint: Option<String>,
}

impl AwsCredential {
    /// What the machine has.
    pub fn new() -> Self {
        Self::default()
    }

    /// An access key.
    pub fn keys(access_key_id: impl Into<String>, secret_access_key: Secret) -> Self {
        Self {
            access_key_id: Some(access_key_id.into()),
            secret_access_key: Some(secret_access_key),
            ..Self::default()
        }
    }

    /// A profile of the shared configuration files.
    pub fn profile(name: impl Into<String>) -> Self {
        Self { profile: Some(name.into()), ..Self::default() }
    }

    /// The same with the session token of a temporary access key.
    #[must_use]
    pub fn with_session_token(self, token: Secret) -> Self {
        Self { session_token: Some(token), ..self }
    }

    /// The same, taking on a role.
    #[must_use]
    pub fn with_role(self, arn: impl Into<String>) -> Self {
        Self { role_arn: Some(arn.into()), ..self }
    }

    /// The same with the external id that the owner of the role has asked for.
    #[must_use]
    pub fn with_external_id(self, id: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), ..self }
    }

    /// The same with a file that holds a token of another identity provider.
    #[must_use]
    pub fn with_web_identity(self, token_file: impl Into<PathBuf>) -> Self {
        Self { web_identity_token_file: Some(token_file.into()), ..self }
    }

    /// The same with another address of the token service (STS).
    #[must_use]
    pub fn with_sts_endpoint(self, url: impl Into<String>) -> Self {
        Self { sts_endpoint: Some(url.into()), ..self }
    }

    /// The same with the role of the environment, where a token file lacks one. No field may be passed over, which would make us
    /// somebody else.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for fields that contradict each other or lack one.
    pub(super) fn whole(mut self, surroundings: &Surroundings) -> Result<Self> {
        let wrong = |message, field: &'static str, hint: String| {
            Err(Error::new(Kind::InvalidInput, message).with("field", field).with_hint(hint))
        };
        let has_token_file = self.web_identity_token_file.is_some();
        let sources = [
            ("access_key_id", self.access_key_id.is_some() || self.secret_access_key.is_some()),
            ("profile", self.profile.is_some()),
            ("web_identity_token_file", has_token_file),
        ];
        let mut given = sources.iter().filter(|(_, is_given)| *is_given);
        if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
            return wrong("the credential says twice who we are", first, format!("leave out {first} or {second}"));
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err(half("access_key_id"));
        }
        if has_token_file && self.role_arn.is_none() {
            self.role_arn = surroundings.variable("AWS_ROLE_ARN");
        }
        let of_a_role = [
            ("web_identity_token_file", has_token_file),
            ("external_id", self.external_id.is_some()),
            ("role_session_name", self.role_session_name.is_some()),
        ];
        match of_a_role.iter().find(|(_, is_given)| *is_given && self.role_arn.is_none()) {
            Some((name, _)) => {
                wrong("there is no role to take on", "role_arn", format!("give it, or leave out {name}"))
            }
            None => Ok(self),
        }
    }
}

/// The error of an access key that lacks a part.
pub(super) fn half(field: &'static str) -> Error {
    Error::new(Kind::InvalidInput, "an access key has a name and a secret").with("field", field)
}

impl std::fmt::Debug for AwsCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsCredential")
            .field("profile", &self.profile)
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &self.secret_access_key)
            .field("session_token", &self.session_token)
            .field("role_arn", &self.role_arn)
            .field("external_id", &self.external_id)
            .field("role_session_name", &self.role_session_name)
            .field("web_identity_token_file", &self.web_identity_token_file)
            .field("sts_endpoint", &address::shown(&self.sts_endpoint))
            .finish()
    }
}

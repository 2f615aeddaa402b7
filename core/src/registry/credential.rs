//! Credentials: who we are at a registry.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::aws::AwsCredential;
use super::azure::AzureCredential;
use super::docker_config::DockerConfig;
use super::google::GoogleCredential;
use super::secret::Secret;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::identity::Identity;

/// Who we are at a registry. One key says the kind: `{"basic": {"username": "alice", "password": {"env": "PASSWORD"}}}`.
///
/// `Debug` shows no secret, and a secret in plain text cannot be written down (`Serialize`): only where to find it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Credential {
    /// Nobody: only what is open to everybody.
    #[serde(deserialize_with = "empty", serialize_with = "nothing")]
    Anonymous,
    /// A user name and a password, or an access token in place of the password.
    Basic {
        /// The user name, without a colon.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that is sent as it is.
    Token {
        /// The token.
        token: Secret,
    },
    /// An account of Docker Hub.
    #[serde(rename = "dockerhub")]
    DockerHub {
        /// The name of the account, or of the organisation that an access token belongs to.
        username: String,
        /// The password, or an access token, which is better: it can be kept to reading.
        password: Secret,
    },
    /// A robot or an account of Quay, and beside it the OAuth token that opens its API.
    Quay {
        /// The name of the robot (`team+scan`) or of the account.
        username: String,
        /// The token of the robot, or the password.
        password: Secret,
        /// An OAuth 2 access token with the scope `repo:read`; without it there are no push dates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Secret>,
    },
    /// Who we are at Amazon's cloud.
    Aws(Box<AwsCredential>),
    /// Who we are at Microsoft's cloud.
    Azure(Box<AzureCredential>),
    /// Who we are at Google's cloud, for the names under gcr.io.
    Gcr(Box<GoogleCredential>),
    /// Who we are at Google's cloud, for Artifact Registry.
    Gar(Box<GoogleCredential>),
    /// What `docker login` left behind: docker's configuration file and its credential helpers.
    DockerConfig {
        /// The file, or its folder; without it `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
    },
}

impl Default for Credential {
    fn default() -> Self {
        Self::DockerConfig { path: None }
    }
}

impl Credential {
    /// A user name and a password.
    pub fn basic(username: impl Into<String>, password: Secret) -> Self {
        Self::Basic { username: username.into(), password }
    }

    /// A token that is sent as it is.
    pub fn token(token: Secret) -> Self {
        Self::Token { token }
    }

    /// An account of Docker Hub with its password or, better, an access token.
    pub fn dockerhub(username: impl Into<String>, password: Secret) -> Self {
        Self::DockerHub { username: username.into(), password }
    }

    /// Who we are at Amazon's cloud.
    pub fn aws(credential: AwsCredential) -> Self {
        Self::Aws(Box::new(credential))
    }

    /// Who we are at Microsoft's cloud.
    pub fn azure(credential: AzureCredential) -> Self {
        Self::Azure(Box::new(credential))
    }

    /// Who we are at Google's cloud, for the names under gcr.io.
    pub fn gcr(credential: GoogleCredential) -> Self {
        Self::Gcr(Box::new(credential))
    }

    /// Who we are at Google's cloud, for Artifact Registry.
    pub fn gar(credential: GoogleCredential) -> Self {
        Self::Gar(Box::new(credential))
    }

    /// The word in definitions, such as `basic`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic { .. } => "basic",
            Self::Token { .. } => "token",
            Self::DockerHub { .. } => "dockerhub",
            Self::Quay { .. } => "quay",
            Self::Aws(_) => "aws",
            Self::Azure(_) => "azure",
            Self::Gcr(_) => "gcr",
            Self::Gar(_) => "gar",
            Self::DockerConfig { .. } => "docker_config",
        }
    }

    /// Whether it is what it says, so that any registry can be asked with it; else it belongs to one vendor.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Anonymous | Self::Basic { .. } | Self::Token { .. } | Self::DockerConfig { .. })
    }

    /// Looks up what is needed to speak to `host` (as references write it) about `repository`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] and [`Kind::Unavailable`] for secrets that are not there, and [`Kind::InvalidInput`] for the
    /// credential of a cloud, which its own kind of registry exchanges.
    pub async fn resolve(&self, host: &str, repository: Option<&str>, context: &Context) -> Result<Identity> {
        Ok(match self {
            Self::Anonymous => Identity::Anonymous,
            Self::Basic { username, password }
            | Self::DockerHub { username, password }
            | Self::Quay { username, password, .. } => basic(username, password.resolve(host, context).await?)?,
            Self::Token { token } => Identity::Bearer(token.resolve(host, context).await?),
            Self::Aws(_) | Self::Azure(_) | Self::Gcr(_) | Self::Gar(_) => {
                return Err(Error::new(Kind::InvalidInput, "this kind of registry does not take this credential")
                    .with("credential", self.name()));
            }
            Self::DockerConfig { path } => match DockerConfig::open(path.as_deref(), context).await? {
                Some(config) => config.identity(host, repository, context).await?,
                None => Identity::Anonymous,
            },
        })
    }
}

/// A user name and a password as they can be sent (RFC 7617: no colon in the name).
pub(super) fn basic(username: &str, password: zeroize::Zeroizing<String>) -> Result<Identity> {
    if username.contains(':') {
        return Err(Error::new(Kind::InvalidInput, "a user name has no colon")
            .with("field", "username")
            .with_hint("what stands behind the colon may be the password: give it as such"));
    }
    Ok(Identity::Basic { username: username.to_owned(), password })
}

/// `{}`.
fn nothing<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    serializer.serialize_map(Some(0))?.end()
}

/// `{}`, and nothing in it.
fn empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}
    Empty::deserialize(deserializer).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_shape() {
        for json in [
            r#"{"anonymous": {}}"#,
            r#"{"basic": {"username": "a", "password": "b"}}"#,
            r#"{"basic": {"username": "a", "password": {"file": "b"}}}"#,
            r#"{"token": {"token": {"command": ["c"]}}}"#,
            r#"{"docker_config": {}}"#,
            r#"{"docker_config": {"path": "d"}}"#,
            r#"{"aws": {}}"#,
            r#"{"azure": {"tenant_id": "t", "client_id": "c", "client_secret": {"env": "S"}}}"#,
            r#"{"gar": {"service_account": {"file": "key.json"}}}"#,
            r#"{"gcr": {"metadata": true}}"#,
        ] {
            assert!(serde_json::from_str::<Credential>(json).is_ok(), "{json}");
        }
        for (json, named) in [
            (r#"{"basic": {"username": "a", "pasword": "b"}}"#, "pasword"),
            (r#"{"basic": {"username": "a"}}"#, "password"),
            (r#"{"anonymous": {"user": 1}}"#, "user"),
            (r#"{"magic": {}}"#, "magic"),
            (r#"{"aws": {"secret_key": "x"}}"#, "secret_key"),
            (r#"{"azure": {"tenant": "x"}}"#, "tenant"),
            (r#"{"gar": {"key": "x"}}"#, "key"),
        ] {
            let error = serde_json::from_str::<Credential>(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn is_written_as_it_is_read_but_for_plain_secrets() {
        for json in [
            r#"{"anonymous":{}}"#,
            r#"{"basic":{"username":"a","password":{"env":"B"}}}"#,
            r#"{"token":{"token":{"command":["c","d"]}}}"#,
            r#"{"dockerhub":{"username":"a","password":{"file":"b"}}}"#,
            r#"{"docker_config":{}}"#,
            r#"{"docker_config":{"path":"d"}}"#,
            r#"{"quay":{"username":"a+b","password":{"env":"B"},"token":{"env":"C"}}}"#,
            r#"{"aws":{"profile":"p","role_arn":"arn:x","external_id":"e"}}"#,
            r#"{"azure":{"client_id":"c","managed_identity":true}}"#,
            r#"{"gcr":{}}"#,
            r#"{"gar":{"access_token":{"env":"T"}}}"#,
        ] {
            let credential: Credential = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&credential).unwrap(), json);
            assert!(json.contains(&format!("\"{}\"", credential.name())));
        }
        let error = serde_json::to_string(&Credential::token(Secret::value("s3cret"))).unwrap_err().to_string();
        assert!(error.contains("plain text") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_user_name_with_a_colon_is_told_and_not_shown() {
        let error = basic("alice:s3cret", String::new().into()).unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.hint().is_some(), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }

    #[test]
    fn shows_no_secret() {
        let credential = Credential::basic("alice", Secret::value("s3cret"));
        assert_eq!(format!("{credential:?}"), r#"Basic { username: "alice", password: Secret(***) }"#);
    }
}

//! Credentials: who we are at a registry.

use std::path::PathBuf;

use serde::Deserialize;

use super::docker_config::DockerConfig;
use super::secret::Secret;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::token::Identity;

/// Who we are at a registry. One key says the kind: `{"basic": {"username": "alice", "password": {"env": "PASSWORD"}}}`.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Credential {
    /// Nobody: only what is open to everybody.
    #[serde(deserialize_with = "empty")]
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
    /// What `docker login` left behind: docker's configuration file and its credential helpers.
    DockerConfig {
        /// The file; without it `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
        #[serde(default)]
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

    /// Looks up what is needed to speak to `host` (as references write it) about `repository`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] and [`Kind::Unavailable`] for secrets that are not there.
    pub async fn resolve(&self, host: &str, repository: Option<&str>, context: &Context) -> Result<Identity> {
        Ok(match self {
            Self::Anonymous => Identity::Anonymous,
            Self::Basic { username, password } => basic(username, password.resolve(host, context).await?)?,
            Self::Token { token } => Identity::Bearer(token.resolve(host, context).await?),
            Self::DockerConfig { path } => match DockerConfig::open(path.as_deref()).await? {
                Some(config) => config.identity(host, repository, context).await?,
                None => Identity::Anonymous,
            },
        })
    }
}

/// A user name and a password as they can be sent (RFC 7617: no colon in the name).
pub(super) fn basic(username: &str, password: zeroize::Zeroizing<String>) -> Result<Identity> {
    if username.contains(':') {
        return Err(Error::new(Kind::InvalidInput, "a user name has no colon").with("field", "username"));
    }
    Ok(Identity::Basic { username: username.to_owned(), password })
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
        ] {
            assert!(serde_json::from_str::<Credential>(json).is_ok(), "{json}");
        }
        for (json, named) in [
            (r#"{"basic": {"username": "a", "pasword": "b"}}"#, "pasword"),
            (r#"{"basic": {"username": "a"}}"#, "password"),
            (r#"{"anonymous": {"user": 1}}"#, "user"),
            (r#"{"magic": {}}"#, "magic"),
        ] {
            let error = serde_json::from_str::<Credential>(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn shows_no_secret() {
        let credential = Credential::basic("alice", Secret::value("s3cret"));
        assert_eq!(format!("{credential:?}"), r#"Basic { username: "alice", password: Secret(***) }"#);
    }
}

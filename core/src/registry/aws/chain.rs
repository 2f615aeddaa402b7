//! Where an access key comes from: the fields of the credential, else the places that every tool of Amazon's looks at, in their order.

use std::path::Path;

use futures_util::future::BoxFuture;
use url::Url;
use zeroize::Zeroizing;

use super::credential::{AwsCredential, half};
use super::endpoint::{Variant, service_url};
use super::keys::Keys;
use super::profile::{Profiles, Section};
use super::sts::{Role, Sts};
use super::{metadata, sso};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::Client;
use crate::registry::address;
use crate::registry::surroundings::{self, Surroundings};

/// Everything that finding a key needs.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Chain {
    credential: AwsCredential,
    region: String,
    sts: Url,
    client: Client,
    surroundings: Surroundings,
}

impl Chain {
    /// The chain of a credential, asking the token service of a region.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for an `sts_endpoint` that is no address, and for fields that contradict each other or lack one.
    pub(in crate::registry) fn new(
        credential: AwsCredential,
        region: &str,
        variant: Variant,
        client: Client,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let sts = credential.sts_endpoint.clone();
        let sts = sts.unwrap_or_else(|| service_url("sts", region, variant, &surroundings));
        let sts = address::read(&sts, false, "sts_endpoint")?;
        let credential = credential.whole(&surroundings)?;
        Ok(Self { credential, region: region.to_owned(), sts, client, surroundings })
    }

    /// A key that holds now. Nothing is kept from one call to the next.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] where there is none, and those of the places that were asked.
    pub(in crate::registry) async fn keys(&self, context: &Context) -> Result<Keys> {
        let credential = &self.credential;
        let Some(role) = self.role() else { return self.base(context).await };
        match &credential.web_identity_token_file {
            Some(path) => self.sts().assume_with(&role, &surroundings::text(path, context).await?, context).await,
            None => self.sts().assume(&role, &self.base(context).await?, context).await,
        }
    }

    /// The role that the credential names.
    fn role(&self) -> Option<Role> {
        let AwsCredential { role_arn, external_id, role_session_name, .. } = &self.credential;
        let (external_id, session_name) = (external_id.clone(), role_session_name.clone());
        role_arn.clone().map(|arn| Role { arn, external_id, session_name, duration: None })
    }

    fn sts(&self) -> Sts<'_> {
        Sts { client: &self.client, url: &self.sts, region: &self.region }
    }

    /// The key that a role is taken on with.
    async fn base(&self, context: &Context) -> Result<Keys> {
        let credential = &self.credential;
        if let Some(keys) = self.fields(context).await? {
            return Ok(keys);
        }
        if let Some(name) = &credential.profile {
            return self.profile(name.clone(), context).await;
        }
        if let Some(keys) = environment(&self.surroundings)? {
            return Ok(keys);
        }
        if let Some(keys) = self.web_identity(context).await? {
            return Ok(keys);
        }
        if let Some(name) = self.surroundings.variable("AWS_PROFILE") {
            return self.profile(name, context).await;
        }
        let profiles = Profiles::open(&self.surroundings, context).await?;
        if profiles.profile("default").is_some_and(has_key) {
            return self.resolve("default".to_owned(), &profiles, Vec::new(), context).await;
        }
        if let Some(keys) = metadata::container(&self.surroundings, context).await? {
            return Ok(keys);
        }
        if let Some(keys) = metadata::instance(&self.surroundings, context).await? {
            return Ok(keys);
        }
        Err(Error::new(Kind::Unauthenticated, "there are no credentials of Amazon's cloud")
            .with("looked_at", "environment, web identity, profile, container, instance")
            .with_hint(
                "give an access key or a profile, log in, or run where a role is attached; in a container on an instance \
                 the metadata needs a hop limit of 2",
            ))
    }

    /// The key that stands in the credential itself.
    async fn fields(&self, context: &Context) -> Result<Option<Keys>> {
        let AwsCredential { access_key_id, secret_access_key, session_token, .. } = &self.credential;
        let (id, secret) = match (access_key_id, secret_access_key) {
            (Some(id), Some(secret)) => (id.clone(), secret.resolve(self.sts.as_str(), context).await?),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(half("secret_access_key")),
            (None, Some(_)) => return Err(half("access_key_id")),
        };
        let token = match session_token {
            Some(token) => Some(token.resolve(self.sts.as_str(), context).await?),
            None => None,
        };
        Ok(Some(Keys { id, secret, token, expires: None }))
    }

    /// A role with the token of another identity provider, as Kubernetes (IRSA) sets it up.
    async fn web_identity(&self, context: &Context) -> Result<Option<Keys>> {
        let variable = |name| self.surroundings.variable(name);
        let (Some(path), Some(arn)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN")) else {
            return Ok(None);
        };
        let role = Role { arn, external_id: None, session_name: variable("AWS_ROLE_SESSION_NAME"), duration: None };
        let token = surroundings::text(Path::new(&path), context).await?;
        self.sts().assume_with(&role, &token, context).await.map(Some)
    }

    async fn profile(&self, name: String, context: &Context) -> Result<Keys> {
        let profiles = Profiles::open(&self.surroundings, context).await?;
        self.resolve(name, &profiles, Vec::new(), context).await
    }

    /// The key of a profile, which may take on a role with the key of another one. `above` are those that came here.
    fn resolve<'a>(
        &'a self,
        name: String,
        profiles: &'a Profiles,
        mut above: Vec<String>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Keys>> {
        Box::pin(async move {
            let wrong = |message: &'static str, hint: &'static str| {
                Error::new(Kind::InvalidInput, message).with("profile", name.escape_debug()).with_hint(hint)
            };
            let section = profiles.profile(&name).ok_or_else(|| {
                wrong("there is no such profile", "look into ~/.aws/config; AWS_CONFIG_FILE may name another file")
            })?;
            let get = |setting| section.get(setting).map(str::to_owned);
            let Some(arn) = get("role_arn") else { return self.plain(section, &name, profiles, context).await };
            if section.get("mfa_serial").is_some() {
                return Err(wrong(
                    "the role of this profile wants a code that a person types in",
                    "take the role on with `aws sts assume-role`, and give the temporary key",
                ));
            }
            let duration = section.get("duration_seconds").and_then(|text| text.parse().ok());
            let role = Role { arn, external_id: get("external_id"), session_name: get("role_session_name"), duration };
            if let Some(path) = get("web_identity_token_file") {
                let token = surroundings::text(Path::new(&path), context).await?;
                return self.sts().assume_with(&role, &token, context).await;
            }
            let keys = match (get("source_profile"), get("credential_source").as_deref()) {
                (Some(source), _) if source == name => self.plain(section, &name, profiles, context).await?,
                (Some(source), _) => {
                    if above.contains(&source) || above.len() > 8 {
                        return Err(wrong("profiles name each other in a circle", "correct source_profile"));
                    }
                    above.push(name.clone());
                    self.resolve(source, profiles, above, context).await?
                }
                (None, Some("Environment")) => environment(&self.surroundings)?
                    .ok_or_else(|| wrong("the environment has no key", "set AWS_ACCESS_KEY_ID"))?,
                (None, Some("EcsContainer")) => metadata::container(&self.surroundings, context)
                    .await?
                    .ok_or_else(|| wrong("this container has no key", "attach a role to the task"))?,
                (None, Some("Ec2InstanceMetadata")) => metadata::instance(&self.surroundings, context)
                    .await?
                    .ok_or_else(|| wrong("this instance has no key", "attach a role to the instance"))?,
                _ => return Err(wrong("this role has no source", "give source_profile or credential_source")),
            };
            self.sts().assume(&role, &keys, context).await
        })
    }

    /// The key of a profile without a role.
    async fn plain(&self, section: &Section, name: &str, profiles: &Profiles, context: &Context) -> Result<Keys> {
        if section.get("sso_session").is_some() || section.get("sso_start_url").is_some() {
            let keys = sso::keys(section, profiles, &self.client, &self.surroundings, context).await;
            return keys.map_err(|error| error.with("profile", name.escape_debug()));
        }
        match (section.get("aws_access_key_id"), section.get("aws_secret_access_key")) {
            (Some(id), Some(secret)) => Ok(Keys {
                id: id.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
                token: section.get("aws_session_token").map(|token| Zeroizing::new(token.to_owned())),
                expires: None,
            }),
            _ => {
                let error =
                    Error::new(Kind::InvalidInput, "the profile has no key").with("profile", name.escape_debug());
                let Some(setting) = ELSEWHERE.into_iter().find(|setting| section.get(setting).is_some()) else {
                    return Err(error.with_hint("give it a key, a role, or single sign-on"));
                };
                Err(error.with("setting", setting).with_hint(format!(
                    "only Amazon's own tools read this setting: put the key into the environment with \
                     `aws configure export-credentials --profile {} --format env`",
                    name.escape_debug()
                )))
            }
        }
    }
}

/// What says where a key is and is not followed: a program that is not run, and the login of `aws login`.
const ELSEWHERE: [&str; 2] = ["credential_process", "login_session"];

/// Whether a profile says anything about a key, also what is not followed: whoever comes later is somebody else.
fn has_key(section: &Section) -> bool {
    let settings = ["aws_access_key_id", "role_arn", "sso_session", "sso_start_url"];
    settings.iter().chain(&ELSEWHERE).any(|name| section.get(name).is_some())
}

/// The key in environment variables.
fn environment(surroundings: &Surroundings) -> Result<Option<Keys>> {
    let Some(id) = surroundings.variable("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let secret = surroundings.variable("AWS_SECRET_ACCESS_KEY").ok_or_else(|| {
        Error::new(Kind::InvalidInput, "an access key has a name and a secret")
            .with("variable", "AWS_SECRET_ACCESS_KEY")
            .with_hint("set it, or unset AWS_ACCESS_KEY_ID")
    })?;
    Ok(Some(Keys {
        id,
        secret: Zeroizing::new(secret),
        token: surroundings.variable("AWS_SESSION_TOKEN").map(Zeroizing::new),
        expires: surroundings.variable("AWS_CREDENTIAL_EXPIRATION").and_then(|text| text.parse().ok()),
    }))
}

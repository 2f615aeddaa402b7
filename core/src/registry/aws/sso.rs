//! Single sign-on: the token that `aws sso login` left behind is exchanged for a key.

use aws_lc_rs::digest;
use http::HeaderName;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::endpoint;
use super::keys::Keys;
use super::profile::{Profiles, Section};
use super::sign::hex;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Request};
use crate::registry::json;
use crate::registry::surroundings::{self, Surroundings};

const TOKEN: HeaderName = HeaderName::from_static("x-amz-sso_bearer_token");

/// The key of a profile with single sign-on.
pub(super) async fn keys(
    section: &Section,
    profiles: &Profiles,
    client: &Client,
    surroundings: &Surroundings,
    context: &Context,
) -> Result<Keys> {
    let wrong = |message: &'static str| Error::new(Kind::InvalidInput, message);
    // With a session its settings hold, and its name is that of the file; in the old form the address is.
    let (settings, name) = match section.get("sso_session") {
        Some(name) => {
            let session = profiles.session(name);
            (session.ok_or_else(|| wrong("there is no such sso-session").with("sso_session", name))?, name)
        }
        None => (section, section.get("sso_start_url").unwrap_or_default()),
    };
    let needed = |section: &Section, name: &'static str| {
        let value = section.get(name).map(str::to_owned);
        value.ok_or_else(|| wrong("a setting of the single sign-on is missing").with("setting", name))
    };
    let (region, account) = (needed(settings, "sso_region")?, needed(section, "sso_account_id")?);
    let role = needed(section, "sso_role_name")?;
    let home = surroundings.home().ok_or_else(|| wrong("the home folder is not known"))?;
    let file = hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes()).as_ref());
    let path = home.join(".aws/sso/cache").join(format!("{file}.json"));
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cached {
        access_token: Zeroizing<String>,
        expires_at: Option<Timestamp>,
    }
    let log_in = |message: &'static str| {
        Error::new(Kind::Unauthenticated, message).with("path", path.display()).with_hint("run `aws sso login`")
    };
    let bytes = surroundings::file(&path, context).await?.ok_or_else(|| log_in("nobody is logged in"))?;
    let cached: Cached = serde_json::from_slice(&bytes).map_err(|_| log_in("the token of the login cannot be read"))?;
    if cached.expires_at.is_some_and(|end| end <= Timestamp::now()) {
        return Err(log_in("the login has ended"));
    }
    let base = endpoint::service_url("sso", &region, endpoint::Variant::default(), surroundings);
    let mut url = Url::parse(&format!("{}/federation/credentials", base.trim_end_matches('/')))
        .map_err(|error| wrong("this is not an address").because(error))?;
    url.query_pairs_mut().append_pair("account_id", &account).append_pair("role_name", &role);
    let request = Request::get(url).with(TOKEN, &cached.access_token)?;
    let response = client.send(&request, context).await?.success(context).await;
    let response = response.map_err(|error| {
        let hint = "run `aws sso login`, and check that the account and the role are yours";
        Error::new(error.kind(), "the single sign-on gives no key").with_hint(hint).because(error)
    })?;
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        role_credentials: Role,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Role {
        access_key_id: String,
        secret_access_key: Zeroizing<String>,
        session_token: Zeroizing<String>,
        expiration: i64,
    }
    let Answer { role_credentials: role } = json::read(response, context).await?;
    Ok(Keys {
        id: role.access_key_id,
        secret: role.secret_access_key,
        token: Some(role.session_token),
        expires: Timestamp::from_millisecond(role.expiration).ok(),
    })
}

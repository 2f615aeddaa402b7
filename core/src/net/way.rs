//! How a registry wants to be told who asks, from its first challenge.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use url::Url;

use super::challenge::Challenge;
use super::token::Realm;
use super::{address, redact};
use crate::error::{Error, Kind, Result};

/// How many scopes of a challenge are looked at.
const MAX_SCOPES: usize = 16;

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a user name and a password.
    Basic,
    /// By a token of this server.
    Bearer(Realm),
}

/// The way of a registry, once a challenge has said it. It stays: a registry that names another token server later gets nothing.
#[derive(Debug, Default)]
pub struct Known(Mutex<Option<Way>>);

impl Known {
    /// The way; none before there was a challenge.
    pub fn get(&self) -> Option<Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The way, with what the challenges of an answer from `url` say of it.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where they name a token server elsewhere than the first ones did.
    pub fn learn(&self, challenges: &[Challenge], url: &Url) -> Result<Option<Way>> {
        let offered = offered(challenges, url);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &offered) {
            (None, _) => known.clone_from(&offered),
            // Under another path it is the same server still: Artifactory has one a repository, all of which give all tokens.
            (Some(Way::Bearer(known)), Some(Way::Bearer(offered)))
                if !address::is_same_origin(&known.url, &offered.url) =>
            {
                return Err(Error::new(Kind::Unsupported, "the registry changed its token server")
                    .with("realm", redact::url(&offered.url))
                    .with_hint("open the registry again if this is right"));
            }
            // A refused `Authorization` gets a Basic challenge from Harbor, whose tokens work nevertheless.
            _ => {}
        }
        Ok(known.clone())
    }
}

/// What challenges ask for: a token before a password.
fn offered(challenges: &[Challenge], url: &Url) -> Option<Way> {
    let bearer = challenges.iter().find(|challenge| challenge.is_bearer()).and_then(|challenge| {
        let service = challenge.param("service").filter(|service| !service.is_empty()).map(str::to_owned);
        Some(Way::Bearer(Realm { url: url.join(challenge.param("realm")?).ok()?, service }))
    });
    bearer.or_else(|| challenges.iter().any(Challenge::is_basic).then_some(Way::Basic))
}

/// The scopes that challenges name.
pub fn scopes(challenges: &[Challenge]) -> BTreeSet<String> {
    let bearer = challenges.iter().filter(|challenge| challenge.is_bearer());
    bearer.flat_map(Challenge::scopes).take(MAX_SCOPES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::challenge;

    #[test]
    fn the_first_challenge_stays() {
        let known = Known::default();
        let url = Url::parse("https://r.example/v2/").unwrap();
        let learn = |header: &str| known.learn(&challenge::parse([header.as_bytes()]), &url);
        let token_server = |path: &str| {
            Some(Way::Bearer(Realm {
                url: Url::parse("https://r.example").unwrap().join(path).unwrap(),
                service: None,
            }))
        };
        assert_eq!(learn("").unwrap(), None);
        assert_eq!(learn("Bearer realm=\"/token\", Basic").unwrap(), token_server("/token"));
        // Neither another way nor another path of the same server changes it; another server is an error.
        for header in ["", "Basic realm=\"harbor\"", "Bearer realm=\"/docker/other/token\""] {
            assert_eq!(learn(header).unwrap(), token_server("/token"), "{header}");
        }
        for header in ["Bearer realm=\"https://evil.example/token\"", "Bearer realm=\"https://r.example:8443/token\""] {
            assert_eq!(learn(header).unwrap_err().kind(), Kind::Unsupported, "{header}");
        }
        assert_eq!(known.get(), token_server("/token"));
    }
}

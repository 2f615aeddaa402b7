//! Credentials that are what they say: nobody, a user name and a password, a token, docker's configuration.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::credential::Credential;
use super::definition::Registry;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::identity::{IdentitySource, Issued};

/// Where the identity of a plain credential comes from.
///
/// # Errors
/// [`Kind::InvalidInput`] for a credential that belongs to another kind of registry.
pub(super) fn identity(registry: &Registry, repository: Option<&str>) -> Result<Arc<dyn IdentitySource>> {
    let credential = match &registry.credential {
        credential if credential.is_plain() => credential.clone(),
        credential => {
            return Err(Error::new(Kind::InvalidInput, "this kind of registry does not take this credential")
                .with("kind", &registry.kind)
                .with("credential", credential.name())
                .with_hint("give a user name and a password, a token, or name the kind of the registry"));
        }
    };
    source(credential, registry, repository)
}

/// The same for a credential that the vendor takes besides.
///
/// # Errors
/// [`Kind::InvalidInput`] for a definition without an address.
pub(super) fn source(
    credential: Credential,
    registry: &Registry,
    repository: Option<&str>,
) -> Result<Arc<dyn IdentitySource>> {
    Ok(Arc::new(Plain { credential, host: registry.host()?, repository: repository.map(str::to_owned) }))
}

#[derive(Debug)]
struct Plain {
    credential: Credential,
    host: String,
    repository: Option<String>,
}

impl IdentitySource for Plain {
    fn identity<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        Box::pin(async move {
            let identity = self.credential.resolve(&self.host, self.repository.as_deref(), context).await;
            identity.map(Issued::for_good).map_err(|error| error.with("registry", &self.host))
        })
    }
}

//! What a kind of registry is, and the list of all of them: one file a vendor, one line here.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::connection::Connection;
use super::connector::Connector;
use super::definition::Registry;
use super::{
    acr, artifactory, docker, dockerhub, ecr, ecr_public, gar, gcr, ghcr, gitea, gitlab, harbor, msr, nexus, openshift,
    plain, quay, zot,
};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::Client;
use crate::net::identity::IdentitySource;
use crate::net::session::Session;

/// A kind of registry: what a definition may say of it, where it is, who we are there, and how to list it.
pub trait Vendor: Send + Sync {
    /// The word in definitions, such as `ecr`.
    fn name(&self) -> &'static str;

    /// The fields that a definition of this kind may have besides those that all have.
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether `host`, in lower case and without the usual port, can be nobody else's. A guess that is wrong would send credentials to a
    /// stranger: look at the whole name, from its first letter to its last.
    fn owns(&self, _host: &str) -> bool {
        false
    }

    /// Where the registry is when the definition has no `url`: `https://host`, and the path in front of `/v2/`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] naming the field that is missing or cannot be right.
    fn address(&self, registry: &Registry) -> Result<String> {
        let _ = registry;
        Err(Error::new(Kind::InvalidInput, "the address of the registry is missing")
            .with("field", "url")
            .with_hint("an address is https://host:port, or host:port"))
    }

    /// Where requests go when the definition has this `url`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] naming the field that cannot be right.
    fn base(&self, registry: &Registry, url: Url) -> Result<Url> {
        let _ = registry;
        Ok(url)
    }

    /// Who we are there, for `repository` where one is meant: what the credential of the definition stands for.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a credential that this kind of registry does not take.
    fn identity(
        &self,
        registry: &Registry,
        client: &Client,
        repository: Option<&str>,
    ) -> Result<Arc<dyn IdentitySource>> {
        let _ = client;
        plain::identity(registry, repository)
    }

    /// How much may still be asked of the registry, one line for the check; none where it does not say.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    fn limits<'a>(&'a self, session: &'a Session, context: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        let _ = (session, context);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The connector of a registry that is open.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] naming the field of the definition that cannot be right.
    fn connect(&self, registry: &Registry, connection: Connection) -> Result<Arc<dyn Connector>>;
}

/// Every kind, in the order in which they are shown.
pub const ALL: &[&dyn Vendor] = &[
    &docker::Vendor,
    &dockerhub::Vendor,
    &ecr::Vendor,
    &ecr_public::Vendor,
    &acr::Vendor,
    &gcr::Vendor,
    &gar::Vendor,
    &ghcr::Vendor,
    &openshift::Vendor,
    &harbor::Vendor,
    &msr::Vendor,
    &quay::Vendor,
    &nexus::Vendor,
    &gitea::Vendor,
    &gitlab::Vendor,
    &zot::Vendor,
    &artifactory::Vendor,
];

/// The kind that a definition names.
///
/// # Errors
/// [`Kind::InvalidInput`] for one that does not exist.
pub fn of(kind: &str) -> Result<&'static dyn Vendor> {
    ALL.iter().find(|vendor| vendor.name() == kind).copied().ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|vendor| vendor.name()).collect();
        Error::new(Kind::InvalidInput, "there is no such kind of registry")
            .with("kind", kind.escape_debug())
            .with_hint(format!("the kinds are {}", names.join(", ")))
    })
}

/// The kind of the registry at `host` (with or without a port), where the name leaves no doubt; else any registry that speaks
/// Docker V2.
pub fn recognise(host: &str) -> &'static dyn Vendor {
    let host = host.to_ascii_lowercase();
    // Only the usual port is the vendor's.
    let name = host.strip_suffix(":443").unwrap_or(&host);
    ALL.iter().find(|vendor| vendor.owns(name)).copied().unwrap_or(&docker::Vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts that can be nobody else's, of every kind that has such.
    const OWN: [(&str, &str); 15] = [
        ("docker.io", "dockerhub"),
        ("registry-1.docker.io", "dockerhub"),
        ("hub.docker.com", "dockerhub"),
        ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "ecr"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "ecr"),
        ("public.ecr.aws", "ecr-public"),
        ("contoso.azurecr.io", "acr"),
        ("contoso.azurecr.us", "acr"),
        ("gcr.io", "gcr"),
        ("eu.gcr.io", "gcr"),
        ("europe-west1-docker.pkg.dev", "gar"),
        ("ghcr.io", "ghcr"),
        ("quay.io", "quay"),
        ("registry.gitlab.com", "gitlab"),
        ("acme-1.jfrog.io", "artifactory"),
    ];

    #[test]
    fn a_host_is_recognised_as_a_whole() {
        for (host, kind) in OWN {
            for same in [host.to_owned(), host.to_ascii_uppercase(), format!("{host}:443")] {
                assert_eq!(recognise(&same).name(), kind, "{same}");
            }
            let strangers = [
                format!("{host}.evil.example"),
                format!("evil.example/{host}"),
                format!("{host}:5000"),
                format!("evil-{host}.example"),
                format!("{host}@evil.example"),
                format!("{host}."),
                format!("_{host}"),
            ];
            for stranger in strangers {
                assert_eq!(recognise(&stranger).name(), "docker", "{stranger}");
            }
        }
    }

    #[test]
    fn a_tenant_of_artifactory_is_one_label() {
        for stranger in
            ["jfrog.io", ".jfrog.io", "a.b.jfrog.io", "-a.jfrog.io", "a-.jfrog.io", "ajfrog.io", "a_b.jfrog.io"]
        {
            assert_eq!(recognise(stranger).name(), "docker", "{stranger}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|vendor| vendor.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(of("dokcer").err().map(|error| error.kind()), Some(Kind::InvalidInput));
    }
}

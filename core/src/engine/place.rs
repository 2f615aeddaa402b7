//! A registry that is open: how it names things, and how its images are reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::Value;

use crate::context::{Context, seconds};
use crate::error::{Error, Kind, Result};
use crate::model::limits::Limits;
use crate::model::record::ImageRecord;
use crate::model::reference::ImageRef;
use crate::net::client::Request;
use crate::net::traffic::Traffic;
use crate::registry::{self, Connection, Connector, Credential, Registry, Wanted, v2, vendor};
use crate::select::{Naming, Near, Selection, Selector};
use crate::source::remote::{self, RemoteSource};

/// How many registries stay open for the next image, and for how long: a credential that was changed is looked up again.
const KEPT: usize = 16;
const AGE: Duration = Duration::from_secs(600);
/// With how many names of a registry one that does not exist is compared.
const COMPARED: usize = 10_000;

/// A registry that is open.
pub(super) struct Place {
    connection: Connection,
    connector: Arc<dyn Connector>,
    /// What stands in front of a repository in a reference: the host, and the path that the definition holds already.
    front: String,
    is_plain_http: bool,
    /// Whether the connector is one of the user's own, to which Docker V2 may not be what it is to ours.
    is_own: bool,
    /// How long one image may take, where the definition says so.
    pub(super) image_time: Option<Duration>,
    /// Held while the large documents of one image are in memory.
    pub(super) large: tokio::sync::Mutex<()>,
}

impl Place {
    /// The selection of a listing as it is meant here.
    pub(super) fn selector(&self, selection: &Selection) -> Result<Selector> {
        selection.check(Timestamp::now())?;
        self.stored_selector(selection)
    }

    /// The selection of a job as it is meant here: what could be said of it when it was made only is not said again.
    pub(super) fn stored_selector(&self, selection: &Selection) -> Result<Selector> {
        selection.on(&self.connector.naming(self.connection.host()))
    }

    /// The repositories that are meant; the registry is not asked where those are names alone.
    pub(super) fn names<'a>(
        &'a self,
        selector: &'a Selector,
        wanted: &'a Wanted,
        near: &'a Mutex<Near>,
        context: &'a Context,
    ) -> BoxStream<'a, Result<String>> {
        if let Some(names) = selector.repositories().names() {
            let names: Vec<_> = names.into_iter().map(|name| Ok(name.to_owned())).collect();
            return stream::iter(names).boxed();
        }
        let names = self.connector.repositories(wanted, context);
        names
            .try_filter(|name| {
                let is_meant = selector.repositories().matches(name);
                if !is_meant {
                    near.lock().unwrap_or_else(PoisonError::into_inner).see(name);
                }
                std::future::ready(is_meant)
            })
            .boxed()
    }

    /// That there is a repository of this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`], and whatever keeps it from being known.
    pub(super) async fn find(&self, name: &str, context: &Context) -> Result<()> {
        let path = match self.connector.prefix() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        // A tag is the least that says so. Where there is none to be had, it is for the product's own list to say.
        if !self.is_own && matches!(v2::tags(&self.connection, &path, context).next().await, Some(Ok(_))) {
            return Ok(());
        }
        self.connector.images(name, &Wanted::default(), context).await.map(drop)
    }

    /// What may have been meant by names that do not exist, as far as the registry lists its repositories.
    pub(super) async fn near(&self, selector: &Selector, context: &Context) -> Option<String> {
        let (mut near, wanted) = (selector.near(), Wanted::default());
        let mut names = self.connector.repositories(&wanted, context).take(COMPARED);
        while let Some(Ok(name)) = names.next().await {
            if !selector.repositories().matches(&name) {
                near.see(&name);
            }
        }
        near.hint()
    }

    /// Who answers what is in it.
    pub(super) fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    /// Whether an error of the registry is one of the credential, which another repository gets too. Some say so of what the
    /// credential may not see, so that where the token server did not say it the credential is shown once more, to `/v2/`.
    ///
    /// # Errors
    /// [`Kind::Canceled`].
    pub(super) async fn is_refused(&self, error: &Error, context: &Context) -> Result<bool> {
        if error.kind() != Kind::Unauthenticated || self.connection.is_nobody() {
            return Ok(false);
        }
        if error.context().any(|(key, _)| key == "realm") {
            return Ok(true);
        }
        let session = self.connection.session();
        match session.send(&Request::get(session.url("")), None, context).await {
            Err(error) if error.kind() == Kind::Canceled => Err(error),
            Err(error) => Ok(error.kind() == Kind::Unauthenticated),
            Ok(_) => Ok(false),
        }
    }

    /// What names an image in a scan.
    pub(super) fn reference(&self, record: &ImageRecord) -> String {
        format!("{}/{}@{}", self.front, record.repository, record.digest)
    }

    /// The image, to be looked at.
    pub(super) fn source(&self, record: &ImageRecord, limits: &Limits) -> Result<RemoteSource> {
        let scheme = if self.is_plain_http { "http://" } else { "" };
        let image: ImageRef = format!("{scheme}{}", self.reference(record)).parse()?;
        Ok(RemoteSource::new(image, self.connection.clone(), limits))
    }
}

/// Connectors of one's own, each for the registry at its host.
pub(super) type Connectors = HashMap<String, Arc<dyn Connector>>;

/// The registries of a scanner: whatever asks one keeps to its bounds together, and some stay open, for image after image.
pub(super) struct Places {
    kept: Mutex<Vec<Kept>>,
    connectors: Connectors,
    traffic: Traffic,
}

struct Kept {
    definition: Value,
    repository: Option<String>,
    opened: Instant,
    /// Open, or on its way: a credential that is looked up for long keeps no other registry waiting.
    place: Arc<tokio::sync::OnceCell<Arc<Place>>>,
}

impl Places {
    /// None is open yet.
    pub(super) fn new(connectors: Connectors) -> Self {
        Self { kept: Mutex::default(), connectors, traffic: Traffic::default() }
    }

    /// Opens a registry, to list it, or for one repository.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that cannot be right, and those of its credential.
    pub(super) async fn open(&self, registry: &Registry, repository: Option<&str>, context: &Context) -> Result<Place> {
        let image_time = seconds("image_timeout", registry.image_timeout)?;
        let connection = Connection::open_in(&self.traffic, registry, repository, context).await?;
        let own = self.own(registry);
        let is_own = own.is_some();
        let connector = match own {
            Some(own) => own,
            None => vendor::of(&registry.kind)?.connect(registry, connection.clone())?,
        };
        let front = match connector.prefix() {
            "" => connection.host().to_owned(),
            prefix => format!("{}/{prefix}", connection.host()),
        };
        let is_plain_http = registry.base()?.scheme() == "http";
        let large = tokio::sync::Mutex::default();
        Ok(Place { connection, connector, front, is_plain_http, is_own, image_time, large })
    }

    /// How a registry names its repositories, by its definition alone: nobody is asked, and no secret is looked for.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that cannot be right.
    pub(super) fn naming(&self, registry: &Registry) -> Result<Naming> {
        let connector = self.own(registry).map_or_else(|| registry::unopened(registry), Ok)?;
        Ok(connector.naming(&registry.host()?))
    }

    /// One image by its name, with the settings and the credential of `registry`, else with the defaults.
    ///
    /// # Errors
    /// As [`RemoteSource::open`].
    pub(super) async fn image(
        &self,
        image: &ImageRef,
        registry: Option<&Registry>,
        limits: &Limits,
        context: &Context,
    ) -> Result<RemoteSource> {
        let registry = remote::definition(image, registry)?;
        let connection = Connection::open_in(&self.traffic, &registry, Some(image.repository()), context).await?;
        Ok(RemoteSource::new(image.clone(), connection, limits))
    }

    /// The connector of one's own for a registry. A definition without a host is refused where it is opened.
    pub(super) fn own(&self, registry: &Registry) -> Option<Arc<dyn Connector>> {
        let host = registry.host().ok()?;
        self.connectors.get(&host).map(Arc::clone)
    }

    /// The registry of a definition, for an image of `repository`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no definition, and those of its credential.
    pub(super) async fn get(&self, definition: &Value, repository: &str, context: &Context) -> Result<Arc<Place>> {
        let registry = read(definition)?;
        // Only docker's configuration has credentials for a part of a registry.
        let repository = matches!(registry.credential, Credential::DockerConfig { .. }).then_some(repository);
        let place = self.kept(definition, repository);
        let open = || async { self.open(&registry, repository, context).await.map(Arc::new) };
        place.get_or_try_init(open).await.cloned()
    }

    /// What is kept of a registry, open or not.
    fn kept(&self, definition: &Value, repository: Option<&str>) -> Arc<tokio::sync::OnceCell<Arc<Place>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.opened.elapsed() < AGE);
        let known = kept.iter().find(|kept| kept.definition == *definition && kept.repository.as_deref() == repository);
        if let Some(known) = known {
            return Arc::clone(&known.place);
        }
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        let place = Arc::default();
        kept.push(Kept {
            definition: definition.clone(),
            repository: repository.map(str::to_owned),
            opened: Instant::now(),
            place: Arc::clone(&place),
        });
        place
    }
}

/// A definition as it is stored.
///
/// # Errors
/// [`Kind::InvalidInput`].
pub(super) fn read(definition: &Value) -> Result<Registry> {
    Registry::from_value(definition.clone()).map_err(|error| {
        Error::new(Kind::InvalidInput, "the stored definition of the registry cannot be read")
            .with_hint("save it again: `tidewaiter registry set`")
            .because(error)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_credential_that_is_waited_for_keeps_no_other_registry_waiting() {
        let places = Places::new(Connectors::new());
        let registry = |password| {
            let credential = json!({"basic": {"username": "a", "password": password}});
            json!({"url": "a.example", "credential": credential})
        };
        let (slow, quick) = (registry(json!({"command": ["sleep", "25"]})), registry(json!({"env": "PATH"})));
        let context = Context::new();
        let opening = places.get(&slow, "a/b", &context);
        tokio::pin!(opening);
        let late = tokio::time::timeout(Duration::from_millis(100), &mut opening).await;
        assert!(late.is_err(), "the credential is not there yet");
        let open = tokio::time::timeout(Duration::from_secs(10), places.get(&quick, "a/b", &context));
        let place = open.await.expect("it waits for nobody").unwrap();
        assert!(Arc::ptr_eq(&place, &places.get(&quick, "a/c", &context).await.unwrap()));
    }
}

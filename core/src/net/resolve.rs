//! Names, resolved for a connection. Those that somebody else named lead to no private address at that moment either: whoever has a
//! name may answer otherwise when it is looked at before ([`address::lead`](super::address::lead)), or not at all.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::address::is_private_address;
use crate::error::{Error, Kind};

/// How many names are remembered. A registry leads to few; one that leads to more leads to no further ones.
const MAX_NAMES: usize = 4096;

/// The names that must be public. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashSet<String>>>);

impl Names {
    /// From now on the host of `url` is reached at public addresses only; false where there are too many to remember.
    pub(super) fn must_be_public(&self, url: &Url) -> bool {
        let Some(name) = url.domain() else { return true };
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.contains(name) || (names.len() < MAX_NAMES && names.insert(name.to_owned()))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let is_watched = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name.as_str());
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if is_watched && found.iter().any(|found| is_private_address(&found.ip())) {
                return Err(Error::new(Kind::Unsupported, "a public host leads to a name with a private address")
                    .with("host", name.as_str())
                    .with_hint("set `private_addresses` in the definition, if this registry may lead into your network")
                    .into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure;
    use super::super::tls::{self, Trust};
    use super::*;

    #[tokio::test]
    async fn a_name_that_was_public_leads_to_no_private_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
        let names = Names::default();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configuration(&Trust::default()).unwrap())
            .no_proxy()
            .dns_resolver(Arc::new(names.clone()))
            .build()
            .unwrap();
        let get = async || {
            let sent = client.get(url.clone()).timeout(std::time::Duration::from_millis(200)).send().await;
            failure::classify(&sent.unwrap_err(), &url).error
        };
        // Nobody answers there, but it is connected to.
        assert_eq!(get().await.kind(), Kind::Unavailable);
        assert!(names.must_be_public(&url));
        let error = get().await;
        assert!(error.kind() == Kind::Unsupported && error.hint().is_some(), "{error:?}");
    }

    #[test]
    fn so_many_names_are_remembered() {
        let names = Names::default();
        let url = |number: usize| Url::parse(&format!("https://h{number}.example")).unwrap();
        assert!((0..MAX_NAMES).all(|number| names.must_be_public(&url(number))));
        assert!(names.must_be_public(&url(7)) && !names.must_be_public(&url(MAX_NAMES)));
    }
}

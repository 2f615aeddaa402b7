//! Layer results in a store: what one machine has read, the others need not read again.

use std::future::Future;

use super::Store;
use super::cache::LayerCache;
use super::database::Boxed;
use crate::error::{Error, Kind, Result};

impl LayerCache for Store {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>> {
        let (store, key) = (self.clone(), key.to_owned());
        apart(async move {
            let rows = store.read().await?.query("SELECT facts FROM layer WHERE key = $1", vec![key.into()]).await?;
            rows.into_iter().next().map(|mut row| row.bytes()).transpose()
        })
    }

    fn put<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Boxed<'a, Result<()>> {
        let (store, key, bytes) = (self.clone(), key.to_owned(), bytes.to_vec());
        apart(async move {
            let mut session = store.write_soon().await?;
            let statement = "INSERT INTO layer (key, digest, stored, facts) VALUES ($1, $2, {now}, $3)
                ON CONFLICT (key) DO UPDATE SET stored = excluded.stored, facts = excluded.facts";
            // A key begins with the digest of the layer.
            let digest = key.split_once(' ').map_or(key.as_str(), |(digest, _)| digest).to_owned();
            session.query(statement, vec![key.into(), digest.into(), bytes.into()]).await?;
            session.commit().await
        })
    }
}

/// Work on a task of its own. A scan reads several layers at once and does not always look after each; one that has the store and is
/// not looked after would hold up everybody.
fn apart<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Boxed<'static, Result<T>> {
    Box::pin(async {
        let done = tokio::spawn(work).await;
        done.map_err(|error| Error::new(Kind::Internal, "the store gave no answer").because(error))?
    })
}

//! Layer results in a store: what one machine has read, the others need not read again.

use super::Store;
use super::cache::LayerCache;
use super::database::Boxed;
use crate::error::Result;

impl LayerCache for Store {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let rows = self.read().await?.query("SELECT facts FROM layer WHERE key = $1", vec![key.into()]).await?;
            rows.into_iter().next().map(|mut row| row.bytes()).transpose()
        })
    }

    fn put<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Boxed<'a, Result<()>> {
        Box::pin(async move {
            let mut session = self.write().await?;
            let statement = "INSERT INTO layer (key, digest, stored, facts) VALUES ($1, $2, {now}, $3)
                ON CONFLICT (key) DO UPDATE SET stored = excluded.stored, facts = excluded.facts";
            // A key begins with the digest of the layer.
            let digest = key.split_once(' ').map_or(key, |(digest, _)| digest);
            session.query(statement, vec![key.into(), digest.into(), bytes.to_vec().into()]).await?;
            session.commit().await
        })
    }
}

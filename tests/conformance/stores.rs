//! The suite of stores over each database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewaiter::store::{LayerCache as _, Store};
use tidewaiter::{Kind, conformance};

use super::postgres::Postgres;

#[tokio::test]
async fn memory() {
    let store = Store::memory().unwrap();
    conformance::store::store(|| store.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/inventory.db");
    conformance::store::store(|| Store::file(&path).unwrap()).await;
}

#[tokio::test]
async fn a_prune_gives_the_room_of_a_file_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.db");
    let store = Store::file(&path).unwrap();
    let length = || std::fs::metadata(&path).unwrap().len();
    for number in 0..50 {
        store.put(&format!("sha256:{number} facts"), &[7; 100_000]).await.unwrap();
    }
    // Now the log is in the file.
    store.prune(1).await.unwrap();
    let full = store.status().await.unwrap();
    assert_eq!(full.bytes, length(), "{full:?}");
    assert!(full.bytes > 5_000_000 && full.parts.iter().all(|part| part.part != "free"), "{full:?}");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.prune(0).await.unwrap().layers, 50);
    let empty = store.status().await.unwrap();
    assert_eq!(empty.bytes, length(), "{empty:?}");
    assert!(empty.bytes < 500_000, "{empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    let Some(server) = Postgres::start() else { return };
    let address = server.database("suite");
    conformance::store::store(|| Store::open(&address).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_goes_away_and_comes_back() {
    let Some(server) = Postgres::start() else { return };
    let store = Store::open(&server.database("away")).unwrap();
    store.put_registry("prod", &serde_json::json!({"kind": "docker"})).await.unwrap();
    server.down();
    let error = store.registries().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.hint().is_some());
    server.up();
    assert_eq!(store.registries().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_postgresql_that_never_says_a_word_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let store = Store::open(&format!("postgres://u@{address}/x?sslmode=disable&connect_timeout=1")).unwrap();
    let begun = Instant::now();
    let error = store.registries().await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Unavailable, true), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_handles_make_the_tables_at_once() {
    let Some(server) = Postgres::start() else { return };
    let address = Arc::new(server.database("race"));
    let all = (0..20).map(|_| {
        let store = Store::open(&address).unwrap();
        tokio::spawn(async move { store.registries().await.map(|all| all.len()) })
    });
    for one in futures_util::future::join_all(all).await {
        assert_eq!(one.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.db");
    std::fs::write(&path, "this is a text and not a store, and it is long enough to have a header".repeat(20)).unwrap();
    assert_eq!(Store::file(&path).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(Store::file(folder.path()).unwrap_err().kind(), Kind::Storage);
    for address in ["postgres://user:secret@host:port/x", "postgres://u:secret@h/x?nonsense=1"] {
        let error = Store::open(address).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    let store = Store::open("postgres://user:secret@127.0.0.1:1/x?sslmode=disable").unwrap();
    assert_eq!(store.place(), "postgres://user@127.0.0.1:1/x");
    let error = store.registries().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(!format!("{error} {error:?} {store:?}").contains("secret"));
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE photo (name TEXT)").unwrap();
    drop(theirs);
    let before = std::fs::read(&path).unwrap();
    let error = match Store::file(&path) {
        Ok(store) => store.registries().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Corrupt, true), "{error}");
    assert!(std::fs::read(&path).unwrap() == before, "it was written to");
    assert_eq!(Store::open("").unwrap_err().kind(), Kind::InvalidInput);
    // A file without anything in it is nobody's.
    let path = folder.path().join("empty.db");
    std::fs::write(&path, "").unwrap();
    Store::file(&path).unwrap().registries().await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.db");
    let store = Store::file(&path).unwrap();
    for number in 0..500 {
        store.put_registry(&format!("prod{number}"), &serde_json::json!({"kind": "docker"})).await.unwrap();
    }
    store.prune(0).await.unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = match Store::file(&path) {
        Ok(store) => store.registries().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

#[tokio::test]
async fn an_older_store_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.db");
    Store::file(&path).unwrap().put_registry("prod", &serde_json::json!({"kind": "docker"})).await.unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("ALTER TABLE run DROP COLUMN counted; UPDATE tidewaiter SET version = 1").unwrap();
    assert_eq!(Store::file(&path).unwrap().registries().await.unwrap().len(), 1);
    let version = database.query_row("SELECT version FROM tidewaiter", [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(version > 1);
    database.query_row("SELECT count(counted) FROM run", [], |row| row.get::<_, i64>(0)).unwrap();
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.db");
    Store::file(&path).unwrap().registries().await.unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute("UPDATE tidewaiter SET version = 1000", []).unwrap();
    let error = Store::file(&path).unwrap().registries().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("1000"));
}

//! Debian's `docker-registry` behind htpasswd. Skipped, with a word about it, where a program is missing.

use tidewaiter::registry::check;

use super::*;
use crate::docker_registry::{push, run, start};

#[tokio::test]
async fn debians_registry_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some(passwords) = run("htpasswd", &["-nbB", USER, PASSWORD], None) else { return };
    let path = folder.path().join("htpasswd");
    std::fs::write(&path, passwords).unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", path.display());
    let Some(registry) = start(folder.path(), &auth).await else { return };
    let credentials = format!("{USER}:{PASSWORD}");
    if push(&registry, &image(), "team/app", "1.0", Some(&credentials)).await.is_none() {
        return;
    }
    let definition =
        |password: &str| Registry::docker(&registry.url).credential(Credential::basic(USER, Secret::value(password)));
    let good = definition(PASSWORD);
    assert_eq!(root(&good, "team/app:1.0").await.unwrap().digest, image().digest());
    assert_eq!(root(&good, &format!("team/app@{}", image().digest())).await.unwrap().digest, image().digest());
    assert_eq!(blob(&good, &layer(&image())).await.unwrap(), image().layers()[0]);
    told(&root(&definition("wrong"), "team/app:1.0").await.unwrap_err(), Kind::Unauthenticated);
    told(&root(&good, "team/app:none").await.unwrap_err(), Kind::NotFound);
    told(&root(&good, "team/none:1.0").await.unwrap_err(), Kind::NotFound);
    let done = check(&good, Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls null, api true, authenticate true, list true, pull true");
    let done = check(&definition("wrong"), Some("team/app"), &Context::new()).await.unwrap();
    assert_eq!(steps(&done), "resolve true, tls null, api true, authenticate false, list null, pull null");
}

//! Docker's configuration file: what `docker login` stored, and the credential helpers it names.
//!
//! Entries are looked for from the most exact to the widest: `host/team/app`, `host/team`, `host`, as `containers-auth.json(5)` has it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::credential::basic;
use super::{file, secret};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::model::reference::DOCKER_HUB;
use crate::net::identity::Identity;
use crate::net::token::decode_base64;

/// What the file is called in its folder.
const NAME: &str = "config.json";
/// What a helper prints when it knows nothing, word for word; anything else is a failure.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";
/// The longest file that is read.
const MAX_BYTES: u64 = 4 << 20;
/// The keys that Docker Hub has had, the one that `docker login` writes first.
const HUB_KEYS: [&str; 4] = ["index.docker.io/v1", "index.docker.io", "docker.io", "registry-1.docker.io"];

/// The part of the file that holds credentials.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct DockerConfig {
    auths: HashMap<String, Option<Auth>>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Zeroizing<String>,
    username: String,
    password: Zeroizing<String>,
    #[serde(rename = "identitytoken")]
    identity: Zeroizing<String>,
    #[serde(rename = "registrytoken")]
    registry: Zeroizing<String>,
}

impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerConfig")
            .field("auths", &self.auths.len())
            .field("helpers", &self.helpers)
            .field("store", &self.store)
            .finish()
    }
}

impl DockerConfig {
    /// Reads the file at `path`, or that in the folder at `path`, else where docker has it; none when the user has no such file.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a file that is named and not there, cannot be read, or is not JSON; [`Kind::Canceled`].
    pub async fn open(path: Option<&Path>, context: &Context) -> Result<Option<Self>> {
        const WHAT: &str = "docker's configuration";
        let Some(mut file) = path.map(Path::to_owned).or_else(usual_path) else { return Ok(None) };
        if tokio::fs::metadata(&file).await.is_ok_and(|found| found.is_dir()) {
            file.push(NAME);
        }
        match (file::read(&file, WHAT, MAX_BYTES, context).await?, path) {
            (Some(bytes), _) => Self::parse(&bytes).map(Some).map_err(|error| error.with("path", file.display())),
            (None, Some(_)) => Err(file::missing(&file, WHAT)),
            (None, None) => Ok(None),
        }
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is not JSON of that shape; where it is wrong is said, not what stands there.
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(|error| {
            Error::new(Kind::InvalidInput, "docker's configuration is not as it should be")
                .with("line", error.line())
                .with("column", error.column())
                .with_hint("log in again, or correct the file")
        })
    }

    /// Who we are at `host` (as references write it), for `repository` where one is meant.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for an entry that cannot be read, [`Kind::Unavailable`] for a helper that fails.
    pub async fn identity(&self, host: &str, repository: Option<&str>, context: &Context) -> Result<Identity> {
        let keys = keys(host, repository);
        let by_key =
            |wanted: &str| self.auths.iter().find(|(key, _)| normal(key) == wanted).and_then(|(_, auth)| auth.as_ref());
        // The most exact key decides, whichever section has it; a helper of its own before what the file holds.
        for key in &keys {
            if let Some((server, helper)) = self.helpers.iter().find(|(server, _)| normal(server) == *key)
                && let Some(identity) = ask(helper, server, context).await?
            {
                return Ok(identity);
            }
            if let Some(identity) =
                by_key(key).map(read).transpose().map_err(|error| error.with("entry", key))?.flatten()
            {
                return Ok(identity);
            }
        }
        if !self.store.is_empty() {
            let server = if host == DOCKER_HUB { "https://index.docker.io/v1/" } else { host };
            if let Some(identity) = ask(&self.store, server, context).await? {
                return Ok(identity);
            }
        }
        Ok(Identity::Anonymous)
    }
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
fn usual_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder =
        set("DOCKER_CONFIG").or_else(|| set("HOME").or_else(|| set("USERPROFILE")).map(|home| home.join(".docker")))?;
    Some(folder.join(NAME))
}

/// The keys to look for, the most exact first.
fn keys(host: &str, repository: Option<&str>) -> Vec<String> {
    let hosts: &[&str] = if host == DOCKER_HUB { &HUB_KEYS } else { &[host] };
    let mut keys = Vec::new();
    let mut path = repository.unwrap_or_default();
    while !path.is_empty() {
        keys.extend(hosts.iter().map(|host| format!("{host}/{path}")));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    keys.extend(hosts.iter().map(|&host| host.to_owned()));
    keys
}

/// A key as it is compared: without scheme, slash at the end, and the `/v1` or `/v2` of old logins (Docker Hub's own stays).
fn normal(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    match key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")) {
        Some(host) if !host.contains('/') && host != "index.docker.io" => host,
        _ => key,
    }
}

/// What an entry holds; none for an empty one, as docker leaves it when a store has the secret.
fn read(auth: &Auth) -> Result<Option<Identity>> {
    if !auth.registry.is_empty() {
        return Ok(Some(Identity::Bearer(auth.registry.clone())));
    }
    if !auth.identity.is_empty() {
        return Ok(Some(Identity::Refresh(auth.identity.clone())));
    }
    if !auth.username.is_empty() {
        return basic(&auth.username, auth.password.clone()).map(Some);
    }
    if auth.auth.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        Error::new(Kind::InvalidInput, "an entry of docker's configuration is not user and password in base64")
            .with_hint("log in again")
    };
    let plain = decode_base64(&auth.auth).ok_or_else(wrong)?;
    let plain = std::str::from_utf8(&plain).map_err(|_| wrong())?;
    let (username, password) = plain.split_once(':').ok_or_else(wrong)?;
    Ok(Some(Identity::Basic {
        username: username.to_owned(),
        password: Zeroizing::new(password.trim_end_matches('\0').to_owned()),
    }))
}

/// Asks `docker-credential-<helper>`; none where it knows nothing of `server`.
async fn ask(helper: &str, server: &str, context: &Context) -> Result<Option<Identity>> {
    if helper.contains(['/', '\\']) {
        return Err(Error::new(Kind::InvalidInput, "a credential helper is a name, not a path")
            .with("helper", helper.escape_debug()));
    }
    let program = format!("docker-credential-{helper}");
    let (exit, printed) = secret::run(&[program.clone(), "get".to_owned()], server, context).await?;
    answer(&program, exit, &printed)
}

/// What a helper says. What it printed is not shown: it may hold a secret.
fn answer(program: &str, exit: i32, printed: &[u8]) -> Result<Option<Identity>> {
    if exit != 0 && printed.trim_ascii() == NOT_FOUND {
        return Ok(None);
    }
    if exit != 0 {
        return Err(Error::new(Kind::Unavailable, "a credential helper failed, so it is not known who we are")
            .with("command", program)
            .with("exit", exit)
            .with_hint("run it by hand, as in `echo HOST | docker-credential-NAME get`: its keychain may be locked; or log in again"));
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Username", default)]
        username: String,
        #[serde(rename = "Secret", default)]
        secret: Zeroizing<String>,
    }
    let answer: Answer = serde_json::from_slice(printed).map_err(|_| {
        Error::new(Kind::Unavailable, "a credential helper answers with something that is no credential")
            .with("command", program)
            .with_hint("run it by hand, as in `echo HOST | docker-credential-NAME get`")
    })?;
    Ok(match (answer.username.as_str(), answer.secret) {
        (_, secret) if secret.is_empty() => None,
        ("<token>", secret) => Some(Identity::Refresh(secret)),
        (username, secret) => Some(basic(username, secret)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identity in plain text, for this test only.
    async fn found(config: &str, host: &str, repository: &str) -> String {
        match DockerConfig::parse(config.as_bytes())
            .unwrap()
            .identity(host, Some(repository), &Context::new())
            .await
            .unwrap()
        {
            Identity::Anonymous => "nobody".to_owned(),
            Identity::Basic { username, password } => format!("{username}:{}", *password),
            Identity::Bearer(token) => format!("bearer {}", *token),
            Identity::Refresh(token) => format!("refresh {}", *token),
        }
    }

    #[tokio::test]
    #[rustfmt::skip]
    async fn finds_the_most_exact_entry() {
        // user:pass, a:b:c, a:b (without padding), wide:p, team:p, app:p
        let config = r#"{"auths": {
            "r.io": {"auth": "dXNlcjpwYXNz"}, "https://colon.io": {"auth": "YTpiOmM="}, "pad.io": {"auth": "YTpi"}, "nopad.io:5000": {"auth": "YTpiYw"},
            "old.io/v2/": {"auth": "dXNlcjpwYXNz"}, "https://index.docker.io/v1/": {"auth": "aHViOnA="},
            "scoped.io": {"auth": "d2lkZTpw"}, "scoped.io/team": {"auth": "dGVhbTpw"}, "scoped.io/team/app": {"auth": "YXBwOnA="},
            "id.io": {"auth": "eDp5", "identitytoken": "IDT"}, "reg.io": {"registrytoken": "RT"}, "plain.io": {"username": "u", "password": "p"}, "empty.io": {}, "null.io": null
        }, "HttpHeaders": {"User-Agent": "x"}}"#;
        for (host, repository, expected) in [
            ("r.io", "a", "user:pass"), ("r.io:5000", "a", "nobody"), ("colon.io", "a", "a:b:c"), ("pad.io", "a", "a:b"), ("nopad.io:5000", "a", "a:bc"),
            ("old.io", "a", "user:pass"), ("docker.io", "library/debian", "hub:p"),
            ("scoped.io", "other", "wide:p"), ("scoped.io", "team/web", "team:p"), ("scoped.io", "team/app", "app:p"), ("scoped.io", "team/app/sub", "app:p"), ("scoped.io", "teams", "wide:p"),
            ("id.io", "a", "refresh IDT"), ("reg.io", "a", "bearer RT"), ("plain.io", "a", "u:p"), ("empty.io", "a", "nobody"), ("null.io", "a", "nobody"),
        ] {
            assert_eq!(found(config, host, repository).await, expected, "{host}/{repository}");
        }
    }

    #[tokio::test]
    async fn errors_show_where_and_not_what() {
        let error = DockerConfig::parse(br#"{"auths": {"r.io": {"auth": 7, "password": "s3cret"}}}"#).unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        let config = DockerConfig::parse(br#"{"auths": {"r.io": {"auth": "czNjcmV0"}}}"#).unwrap();
        let error = config.identity("r.io", None, &Context::new()).await.unwrap_err();
        assert!(
            !format!("{error:?} {config:?}").contains("czNjcmV0") && !error.to_string().contains("s3cret"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_helper_with_a_path_is_refused_and_a_missing_one_is_named() {
        let config =
            DockerConfig::parse(br#"{"credHelpers": {"a.io": "../../bin/x", "b.io": "tidewaiter-not-there"}}"#)
                .unwrap();
        assert_eq!(config.identity("a.io", None, &Context::new()).await.unwrap_err().kind(), Kind::InvalidInput);
        let error = config.identity("b.io", None, &Context::new()).await.unwrap_err();
        assert!(error.to_string().contains("docker-credential-tidewaiter-not-there"), "{error}");
    }

    #[test]
    fn a_helper_that_fails_is_not_one_that_knows_nothing() {
        let said = |exit, printed: &[u8]| answer("docker-credential-x", exit, printed);
        assert_eq!(said(1, b"credentials not found in native keychain\n").unwrap(), None);
        assert_eq!(said(0, br#"{"Username": "", "Secret": ""}"#).unwrap(), None);
        assert!(matches!(said(0, br#"{"Username": "u", "Secret": "s"}"#).unwrap(), Some(Identity::Basic { .. })));
        for (exit, printed) in [(1, &b"planted-s3cret: the keychain is locked"[..]), (2, b""), (0, b"planted-s3cret")] {
            let error = said(exit, printed).unwrap_err();
            let text = format!("{error:?}");
            assert!(error.kind() == Kind::Unavailable && error.hint().is_some(), "{text}");
            assert!(text.contains("docker-credential-x") && !text.contains("s3cret"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_as_good_as_the_file_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let open = async |path: &Path| DockerConfig::open(Some(path), &Context::new()).await;
        assert!(open(folder.path()).await.unwrap_err().to_string().contains("config.json"));
        std::fs::write(&file, r#"{"auths": {"r.io": {"auth": "dXNlcjpwYXNz"}}}"#).unwrap();
        for path in [folder.path(), &file] {
            assert_eq!(open(path).await.unwrap().unwrap().auths.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_an_error_only_when_it_was_named() {
        assert!(DockerConfig::open(Some(Path::new("/nonexistent/config.json")), &Context::new()).await.is_err());
    }
}

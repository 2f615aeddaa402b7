//! The configuration, in the one shape that every language has: JSON objects whose unknown fields are refused by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tidewaiter::model::platform::Platform;
use tidewaiter::net::redact::without_values;
use tidewaiter::registry::{Credential, Registry};
use tidewaiter::{Error, Kind, Platforms, Result};

use crate::place;
use crate::registries::Named;

/// What a scanner is made of. `{}` is all defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The advisory database: a file, which need not exist yet, or a folder. Of a folder it is `advisories.db` in it;
    /// where there is none, scans use the OSV exports and records in the folder, which are compiled once into the user's
    /// cache folder (this takes the memory of an import). Default: a file in the user's data folder.
    pub advisories: Option<PathBuf>,
    /// Whether a scan does without fetching the advisories that the database lacks.
    pub offline: bool,
    /// Where advisories are fetched from, instead of the public OSV exports.
    pub base_url: Option<String>,
    /// The folder that keeps the results of layers; null keeps none. Default: one in the user's cache folder. Once an operation has
    /// opened the store, they are kept there instead, where all who share it find them.
    #[serde(deserialize_with = "folder")]
    pub cache: Option<PathBuf>,
    /// The ceiling of memory in MiB, 64 by default.
    pub memory_mib: Option<u64>,
    /// How many layers are read side by side at the most.
    pub concurrency: Option<usize>,
    /// A file with definitions of registries under names, in TOML or JSON.
    pub registries: Option<PathBuf>,
    /// The store of registries, jobs and what they found: a file, made when something needs it, or `postgres://user@host/database`.
    /// Default: what `TIDEWAITER_STORE` says, else a file in the user's data folder.
    pub store: Option<String>,
    /// Other limits, by name.
    pub limits: BTreeMap<String, u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            advisories: None,
            offline: false,
            base_url: None,
            cache: crate::paths::layers(),
            memory_mib: None,
            concurrency: None,
            registries: None,
            store: None,
            limits: BTreeMap::new(),
        }
    }
}

/// A folder, or null for none.
fn folder<'de, D: Deserializer<'de>>(source: D) -> std::result::Result<Option<PathBuf>, D::Error> {
    Option::deserialize(source)
}

/// How one scan differs from the next.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScanOptions {
    /// Who asks; in the place of the registry's own credential. Default: the Docker configuration.
    pub credential: Option<Credential>,
    /// How the registry is reached: its definition, or its name in the file or the store of the scanner.
    pub registry: Option<Named>,
    /// Whether the registry is asked over http.
    pub plain_http: bool,
    /// `"all"`, or a list of `os/architecture[/variant]`. Default: this host's.
    #[serde(deserialize_with = "platforms")]
    pub platforms: Platforms,
    /// Whether foreign layers are fetched from where the manifest says: in the way in which the registry is reached (proxy, authorities,
    /// time-outs), without its credential and its client certificate.
    pub foreign_layers: bool,
    /// Whether findings of packages that a package of the distribution owns are listed too.
    pub include_owned: bool,
    /// Seconds after which the call is canceled.
    pub timeout: Option<f64>,
}

impl ScanOptions {
    /// The options of the library, for a registry that is reached so.
    pub(crate) fn resolve(self, mut registry: Registry) -> tidewaiter::ScanOptions {
        if let Some(credential) = self.credential {
            registry.credential = credential;
        }
        registry.plain_http |= self.plain_http;
        tidewaiter::ScanOptions {
            registry: Some(registry),
            platforms: self.platforms,
            foreign_layers: self.foreign_layers,
            include_owned: self.include_owned,
        }
    }
}

/// How the connection to a registry is checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckOptions {
    /// A repository that should be pullable.
    pub repository: Option<String>,
    /// Seconds after which the call is canceled.
    pub timeout: Option<f64>,
}

/// How advisories are imported.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// Archives, records and folders of them.
    pub paths: Vec<PathBuf>,
}

/// How advisories are updated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateOptions {
    /// The ecosystems without release, such as `Debian`. None: those that the database has.
    pub ecosystems: Vec<String>,
    /// Where to fetch from, instead of what the scanner was opened with.
    pub base_url: Option<String>,
    /// Seconds after which the call is canceled.
    pub timeout: Option<f64>,
}

/// Reads an object of configuration; an empty text is `{}`. `what` names it in errors.
///
/// # Errors
/// [`Kind::InvalidInput`], with the field or the place that is wrong, and never with a value: it may be a secret.
pub fn from_json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let message = without_values(&error.to_string());
        let hint = "it is a JSON object; its fields are in the documentation of the operation";
        match place::of(text, &error) {
            Some(field) => {
                // Where it stands in the text is of no use to whoever has not written that.
                let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
                let wrong = Error::new(Kind::InvalidInput, format!("{what} cannot be read: {reason}"));
                wrong.with("field", field).with_hint(hint)
            }
            None => Error::new(Kind::InvalidInput, format!("{what} cannot be read: {message}")).with_hint(hint),
        }
    })
}

/// The time after which a call is canceled.
///
/// # Errors
/// [`Kind::InvalidInput`] for what is no time.
pub(crate) fn timeout(seconds: Option<f64>) -> Result<Option<Duration>> {
    tidewaiter::context::seconds("timeout", seconds)
}

fn platforms<'de, D: Deserializer<'de>>(source: D) -> std::result::Result<Platforms, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Word(String),
        List(Vec<String>),
    }
    let words = match Option::<Written>::deserialize(source)? {
        None => return Ok(Platforms::Host),
        Some(Written::Word(word)) => vec![word],
        Some(Written::List(list)) => list,
    };
    parse_platforms(&words).map_err(serde::de::Error::custom)
}

/// `all`, or a list of `os/architecture[/variant]`; an empty list is this host's.
///
/// # Errors
/// [`Kind::InvalidInput`] for a word that is no platform.
pub fn parse_platforms(words: &[String]) -> Result<Platforms> {
    if words.is_empty() {
        return Ok(Platforms::Host);
    }
    if words.iter().any(|word| word == "all") {
        return Ok(Platforms::All);
    }
    Ok(Platforms::List(words.iter().map(|word| word.parse::<Platform>()).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_is_all_defaults() {
        let config: Config = from_json("", "the configuration").unwrap();
        assert_eq!(config.cache, crate::paths::layers());
        assert!(!config.offline);
        let config: Config = from_json(r#"{"cache": null, "limits": {"entries": 5}}"#, "the configuration").unwrap();
        assert_eq!((config.cache, config.limits["entries"]), (None, 5));
    }

    #[test]
    fn refuses_unknown_fields_by_name() {
        let error = from_json::<Config>(r#"{"advisorys": "x"}"#, "the configuration").unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.message().contains("unknown field `advisorys`"), "{error}");
        let error = from_json::<ScanOptions>(r#"{"platform": "x"}"#, "the options").unwrap_err();
        assert!(error.message().contains("unknown field `platform`"), "{error}");
    }

    #[test]
    fn never_shows_a_value() {
        for text in [
            r#"{"credential": "hunter2"}"#,
            r#"{"credential": {"basic": "hunter2"}}"#,
            r#"{"credential": {"basic": {"username": "a", "password": {"hunter2": 1}}}}"#,
            r#"{"credential": {"token": {"token": ["hunter2"]}}}"#,
            r#"{"timeout": "hunter2"}"#,
            r#"{"credential": {"basic": {"username": "a", "password": 70451}}}"#,
            r#"{"credential": {"basic": {"username": 70451, "password": {"env": "A"}}}}"#,
            r#"{"credential": {"token": {"token": 70451.5}}}"#,
        ] {
            let error = from_json::<ScanOptions>(text, "the options").unwrap_err();
            let shown = format!("{error:?}");
            assert!(!shown.contains("\"hunter2\"") && !shown.contains("70451"), "{shown}");
        }
    }

    #[test]
    fn reads_platforms() {
        let read = |text: &str| from_json::<ScanOptions>(text, "the options").map(|options| options.platforms);
        assert!(matches!(read("{}"), Ok(Platforms::Host)));
        assert!(matches!(read(r#"{"platforms": "all"}"#), Ok(Platforms::All)));
        assert!(
            matches!(read(r#"{"platforms": ["linux/arm64", "linux/amd64"]}"#), Ok(Platforms::List(list)) if list.len() == 2)
        );
        assert!(read(r#"{"platforms": ["linux"]}"#).is_err());
    }
}

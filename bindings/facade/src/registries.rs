//! Registries under names: a file of definitions, in TOML or JSON, that the user keeps, or else the store.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tidewaiter::net::redact::without_values;
use tidewaiter::registry::{Registry, vendor};
use tidewaiter::store::Store;
use tidewaiter::{Error, Kind, Result};

/// The longest file of definitions.
const MAX_BYTES: u64 = 4 << 20;

/// The definition of a registry. One that was written is read when it is used, so that the error about it says what to do.
#[derive(Clone)]
pub enum Definition {
    /// It was read.
    Read(Box<Registry>),
    /// It is still to be read.
    Written(Value),
}

impl Definition {
    /// The registry. Without a kind it has the one that its address leaves no doubt about, else `docker`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a definition that cannot be right.
    pub fn read(self) -> Result<Registry> {
        let mut written = match self {
            Self::Read(registry) => return Ok(*registry),
            Self::Written(written) => written,
        };
        if let Value::Object(fields) = &mut written
            && let Some(url) = fields.get("url").and_then(Value::as_str)
        {
            let kind = vendor::recognise(host(url)).name();
            fields.entry("kind").or_insert_with(|| kind.into());
        }
        Registry::from_value(written)
    }
}

impl From<Registry> for Definition {
    fn from(registry: Registry) -> Self {
        Self::Read(Box::new(registry))
    }
}

impl<'de> Deserialize<'de> for Definition {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        Value::deserialize(source).map(Self::Written)
    }
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(registry) => registry.fmt(f),
            // It may hold a secret.
            Self::Written(_) => f.write_str("Definition"),
        }
    }
}

/// A registry: its definition, or a text.
#[derive(Clone, Debug)]
pub enum Named {
    /// Defined here.
    Definition(Definition),
    /// The name in the file of definitions, else an address, else the name in the store.
    Name(String),
}

/// Whether a text is the address of a registry: it has a dot or a colon, or is `localhost`. Else it is a name.
pub fn is_address(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

/// The host of an address, with its port.
fn host(address: &str) -> &str {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    address.split('/').next().unwrap_or(address)
}

impl From<Registry> for Named {
    fn from(registry: Registry) -> Self {
        Self::Definition(registry.into())
    }
}

impl<'de> Deserialize<'de> for Named {
    /// An object is a definition.
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        Ok(match Value::deserialize(source)? {
            Value::String(name) => Self::Name(name),
            definition => Self::Definition(Definition::Written(definition)),
        })
    }
}

/// A registry that is still to be found.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// It is here.
    Found(Box<Registry>),
    /// Nobody but the store can know it.
    Saved {
        name: String,
        /// The names that the file of definitions has.
        others: Vec<String>,
        store: Option<Store>,
    },
}

/// The registry that `named` means, where its name stands in `file` or is an address; else the store is to be asked.
///
/// # Errors
/// Those of [`read`] and [`Definition::read`], and [`Kind::InvalidInput`] for what is no address.
pub(crate) fn find(named: Named, file: Option<&Path>) -> Result<Lookup> {
    let name = match named {
        Named::Definition(definition) => return Ok(Lookup::Found(Box::new(definition.read()?))),
        Named::Name(name) => name,
    };
    let mut definitions = file.map(read).transpose()?.unwrap_or_default();
    Ok(match definitions.remove(&name) {
        Some(registry) => Lookup::Found(Box::new(registry)),
        None if is_address(&name) => Lookup::Found(Box::new(Definition::Written(json!({"url": name})).read()?)),
        None => Lookup::Saved { name, others: definitions.into_keys().collect(), store: None },
    })
}

impl Lookup {
    pub(crate) fn needs_store(&self) -> bool {
        matches!(self, Self::Saved { .. })
    }

    /// The same, to be looked up in `found`.
    pub(crate) fn store(self, found: Option<Store>) -> Self {
        match self {
            Self::Saved { name, others, .. } => Self::Saved { name, others, store: found },
            found => found,
        }
    }

    /// The registry.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a name that nobody defined, and those of the store.
    pub(crate) async fn load(self) -> Result<Registry> {
        let (name, others, store) = match self {
            Self::Found(registry) => return Ok(*registry),
            Self::Saved { name, others, store } => (name, others, store),
        };
        if let Some(store) = &store {
            match store.registry(&name).await {
                Ok(saved) => return definition(&name, saved.definition),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let others = if others.is_empty() { String::new() } else { format!("; the file has {}", others.join(", ")) };
        Err(Error::new(Kind::NotFound, "there is no registry of this name")
            .with("name", name.escape_debug())
            .with_hint(format!(
                "save it with `tidewaiter registry add`, or write an address, such as host:5000 or https://{}{others}",
                name.escape_debug()
            )))
    }
}

/// A definition as the store has it.
///
/// # Errors
/// [`Kind::Unsupported`] for one that this program does not understand.
pub(crate) fn definition(name: &str, saved: Value) -> Result<Registry> {
    Registry::from_value(saved).map_err(|error| {
        Error::new(Kind::Unsupported, "the saved definition of the registry is not understood")
            .with("name", name.escape_debug())
            .with_hint("a newer program saved it: update this one, or save the registry again")
            .because(error)
    })
}

/// A definition as it is saved: with references to secrets, never with secrets, and with the paths of files as they are now, since
/// whoever reads it later may work in another folder.
///
/// # Errors
/// [`Kind::InvalidInput`] for a secret in plain text.
pub(crate) fn to_saved(name: &str, registry: &Registry) -> Result<Value> {
    let registry = match std::env::current_dir() {
        Ok(folder) => registry.clone().in_folder(folder),
        // Absolute paths do without.
        Err(_) => registry.clone(),
    };
    serde_json::to_value(registry).map_err(|error| {
        Error::new(Kind::InvalidInput, "a secret in plain text is not saved")
            .with("name", name.escape_debug())
            .with_hint(what_to_do(&error))
    })
}

/// What an error about a secret says behind its colon; what is wrong is said already.
fn what_to_do(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.as_str(), |(_, hint)| hint).to_owned()
}

/// The definitions in a file: a table of them by name, in JSON where the name of the file says so, else in TOML.
///
/// ```toml
/// [prod]
/// kind = "harbor"
/// url = "https://harbor.example"
/// credential = { basic = { username = "robot$scanner", password = { env = "HARBOR_PASSWORD" } } }
/// ```
///
/// Relative paths in it start in its own folder.
///
/// # Errors
/// [`Kind::InvalidInput`] for a file that cannot be read, a definition that cannot be right, and a secret in plain text: a file is
/// for references to secrets. No value of the file is shown.
pub fn read(file: &Path) -> Result<BTreeMap<String, Registry>> {
    let wrong = |message: &'static str| Error::new(Kind::InvalidInput, message).with("path", file.display());
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| wrong("the file of registries cannot be read").because(error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong("the file of registries is longer than 4 MiB"));
    }
    let is_json = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let parsed: std::result::Result<BTreeMap<String, Value>, String> = if is_json {
        serde_json::from_str(&text).map_err(|error| without_values(&error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error| without_values(error.message()))
    };
    let parsed = parsed.map_err(|reason| {
        wrong("the file of registries is not as it should be")
            .with("reason", reason)
            .with_hint("it is a table of definitions by name: [prod], and below it kind, url, credential")
    })?;
    let own = std::path::absolute(file).ok();
    let folder = own.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let mut definitions = BTreeMap::new();
    for (name, definition) in parsed {
        let registry = Definition::Written(definition).read().map_err(|error| {
            let hint = error.hint().unwrap_or("correct the file").to_owned();
            wrong("a definition in the file of registries cannot be right")
                .with("name", name.escape_debug())
                .with_hint(hint)
                .because(error)
        })?;
        if let Err(error) = serde_json::to_value(&registry) {
            return Err(wrong("a secret stands in the file of registries in plain text")
                .with("name", name.escape_debug())
                .with_hint(what_to_do(&error)));
        }
        definitions.insert(name, registry.in_folder(folder));
    }
    Ok(definitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        (folder, file)
    }

    #[test]
    fn both_forms_have_one_shape() {
        let (_toml, toml) = written(
            "r.toml",
            "[prod]\nurl = \"r.io\"\ncredential = { basic = { username = \"a\", password = { env = \"P\" } } }\n[dev]\nurl = \"d.io\"\n",
        );
        let (_json, json) = written(
            "r.json",
            r#"{"prod": {"url": "r.io", "credential": {"basic": {"username": "a", "password": {"env": "P"}}}}, "dev": {"url": "d.io"}}"#,
        );
        let shown = |file| {
            read(file).unwrap().iter().map(|(name, registry)| format!("{name} {registry:?}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(&toml), shown(&json));
        assert_eq!(shown(&toml).len(), 2);
        let named = |text: &str| {
            let lookup = find(serde_json::from_str(text).unwrap(), Some(&toml)).unwrap();
            futures_util::FutureExt::now_or_never(lookup.load()).unwrap()
        };
        assert_eq!(named("\"prod\"").unwrap().url.as_deref(), Some("r.io"));
        assert_eq!(named(r#"{"url": "x.io"}"#).unwrap().url.as_deref(), Some("x.io"));
        let misspelled = find(serde_json::from_str(r#"{"kind": "dokcer"}"#).unwrap(), None).unwrap_err();
        assert!(misspelled.hint().is_some_and(|hint| hint.contains("the kinds are docker, ")), "{misspelled:?}");
        let error = named("\"test\"").unwrap_err();
        assert!(error.kind() == Kind::NotFound && error.hint().unwrap().contains("dev, prod"), "{error}");
    }

    #[test]
    fn relative_paths_start_beside_the_file_or_where_they_are_saved() {
        let text = "[prod]\nurl = \"r.io\"\nca = \"ca.pem\"\nclient_key = \"/etc/key.pem\"\ncredential = { token = { token = { file = \"t\" } } }\n";
        let (folder, file) = written("r.toml", text);
        let registry = read(&file).unwrap().remove("prod").unwrap();
        assert_eq!(registry.ca.as_deref(), Some(folder.path().join("ca.pem").as_path()));
        assert_eq!(registry.client_key.as_deref(), Some(Path::new("/etc/key.pem")));
        let saved = to_saved("prod", &registry).unwrap();
        assert_eq!(saved.pointer("/credential/token/token/file").unwrap(), &json!(folder.path().join("t")));
        let saved = to_saved("prod", &Registry::docker("r.io").with_ca("ca.pem")).unwrap();
        assert_eq!(saved["ca"], json!(std::env::current_dir().unwrap().join("ca.pem")));
    }

    #[test]
    fn an_address_tells_the_kind_and_a_name_none() {
        let (_folder, file) = written("r.toml", "[hub]\nurl = \"https://docker.io\"\n[\"quay.io\"]\nurl = \"r.io\"\n");
        let kind = |text: &str| {
            let named = serde_json::from_str(text).unwrap();
            let registry = futures_util::FutureExt::now_or_never(find(named, Some(&file)).unwrap().load()).unwrap();
            registry.map(|registry| registry.kind)
        };
        let ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
        for (text, expected) in [
            ("\"hub\"", "dockerhub"),
            ("\"quay.io\"", "docker"),
            (&format!("{ecr:?}"), "ecr"),
            ("\"https://ghcr.io\"", "ghcr"),
            ("\"ghcr.io:5000\"", "docker"),
            ("\"localhost\"", "docker"),
            (&format!(r#"{{"url": "{ecr}"}}"#), "ecr"),
            (&format!(r#"{{"url": "{ecr}", "kind": "docker"}}"#), "docker"),
            ("{}", "docker"),
        ] {
            assert_eq!(kind(text).unwrap(), expected, "{text}");
        }
        assert_eq!(kind("\"ghcr\"").unwrap_err().kind(), Kind::NotFound, "a name that nobody defined");
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for (text, told) in [
            ("[prod]\ncredential = { token = { token = \"hunter2\" } }\n", "plain text"),
            ("[prod]\nproxy = \"http://alice:hunter2@proxy:3128\"\n", "plain text"),
            ("[prod]\nurl = \"https://alice:hunter2@r.io\"\n", "no user and no password"),
            ("[prod]\nadress = \"hunter2\"\n", "adress"),
            ("[prod]\nkind = 7\n", "string"),
            ("[prod]\ntimeout = \"hunter2\"\n", "f64"),
            ("[prod\n", "not as it should be"),
            ("prod = \"hunter2\"\n", "prod"),
            ("[prod]\ncredential = { basic = { username = \"a\", password = 70451 } }\n", "integer"),
            ("[prod]\ncredential = { token = { token = 70451.5 } }\n", "floating point"),
        ] {
            let (_folder, file) = written("r.toml", text);
            let error = read(&file).unwrap_err();
            let shown = format!("{error:?} {error}");
            assert!(error.kind() == Kind::InvalidInput && shown.contains(told), "{text}: {shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("70451") && !shown.contains("Shape"), "{shown}");
            assert!(error.hint().is_some(), "{shown}");
        }
    }
}

//! Registries that are saved under a name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewaiter::job::State;
use tidewaiter::registry::{Check, Registry, StepName, verify};
use tidewaiter::store::{Store, StoredRegistry};
use tidewaiter::{Cancel, Error, Kind, Result};

use crate::call::Pending;
use crate::config;
use crate::registries::{Definition, read, to_saved};
use crate::scanner::Scanner;

/// Whether what is saved may be there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It may.
    #[default]
    Put,
    /// It may not.
    Add,
    /// It must.
    Set,
}

/// A registry to be saved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRegistry {
    /// Its name: no address, so without dots, colons and slashes.
    pub name: String,
    /// Its definition, with references to secrets.
    pub registry: Definition,
    /// Whether the name may be there already.
    #[serde(default)]
    pub mode: Mode,
    /// Whether the connection is checked first; nothing is saved where a step does not hold. What can never be right is refused always.
    #[serde(default = "yes")]
    pub check: bool,
    /// Seconds after which the call is canceled.
    #[serde(default)]
    pub timeout: Option<f64>,
}

/// What several operations take: names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
}

/// What is paused, or goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The names.
    pub names: Vec<String>,
    /// Whether it is paused; false resumes it.
    #[serde(default = "yes")]
    pub paused: bool,
}

fn yes() -> bool {
    true
}

/// What came of one name of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The name.
    pub name: String,
    /// Whether it was done.
    pub ok: bool,
    /// Where its run stands, for what concerns runs.
    pub state: Option<State>,
    /// Why it was not done.
    pub error: Option<Reason>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The kind of the error, such as `not-found`.
    pub kind: &'static str,
    /// One line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Outcome {
    pub(crate) fn of(name: String, done: Result<Option<State>>) -> Self {
        match done {
            Ok(state) => Self { name, ok: true, state, error: None },
            Err(error) => {
                let hint = error.hint().map(str::to_owned);
                let reason = Reason { kind: error.kind().as_str(), message: error.to_string(), hint };
                Self { name, ok: false, state: None, error: Some(reason) }
            }
        }
    }
}

/// A registry that has a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SavedRegistry {
    /// The name.
    pub name: String,
    /// The definition, with references to secrets.
    pub definition: Value,
    /// `store`, or `file` for one of the file of definitions, which wins.
    pub source: &'static str,
    /// Whether none of its jobs is ever due.
    pub paused: bool,
    /// When it was added to the store.
    pub added: Option<Timestamp>,
}

impl From<StoredRegistry> for SavedRegistry {
    fn from(stored: StoredRegistry) -> Self {
        let StoredRegistry { name, definition, paused, added } = stored;
        Self { name, definition, source: "store", paused, added: Some(added) }
    }
}

impl Scanner {
    /// Saves a registry under a name, after its connection was checked.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a name that is none, a definition that cannot be right, or a secret in plain text; [`Kind::InvalidState`], [`Kind::NotFound`] as the
    /// mode says; what the step of the check says that does not hold; [`Kind::Storage`].
    pub fn put_registry(&self, request: PutRegistry, cancel: &Cancel) -> Result<Pending<SavedRegistry>> {
        let PutRegistry { name, registry, mode, check, timeout } = request;
        let registry = registry.read()?;
        // What can never be right is not saved, checked or not.
        verify(&registry)?;
        let definition = to_saved(&name, &registry)?;
        let (store, timeout) = (self.store()?, config::timeout(timeout)?);
        self.call(cancel, timeout, |scanner, context| async move {
            let work = async {
                allow(&store, &name, mode).await?;
                if check {
                    holds(&scanner.check(&registry, None, &context).await?)?;
                }
                store.put_registry(&name, &definition).await?;
                store.registry(&name).await.map(SavedRegistry::from)
            };
            context.run(Box::pin(work)).await
        })
    }

    /// The registry with this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Storage`].
    pub fn saved_registry(&self, name: &str, cancel: &Cancel) -> Result<Pending<SavedRegistry>> {
        let (defined, name) = (self.defined()?, name.to_owned());
        self.ask(cancel, |store| async move {
            match defined.into_iter().find(|registry| registry.name == name) {
                Some(registry) => Ok(registry),
                None => store.registry(&name).await.map(SavedRegistry::from),
            }
        })
    }

    /// All registries that have a name, by name: those of the store, and those of the file of definitions, which win.
    ///
    /// # Errors
    /// [`Kind::Storage`].
    pub fn list_registries(&self, cancel: &Cancel) -> Result<Pending<Vec<SavedRegistry>>> {
        let mut all = self.defined()?;
        self.ask(cancel, |store| async move {
            for saved in store.registries().await? {
                if !all.iter().any(|registry| registry.name == saved.name) {
                    all.push(saved.into());
                }
            }
            all.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(all)
        })
    }

    /// Removes registries that no job uses. What is known of their images stays.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] without a name. What came of each is in the answer.
    pub fn remove_registries(&self, request: Names, cancel: &Cancel) -> Result<Pending<Vec<Outcome>>> {
        let (names, defined) = (some(request.names)?, self.defined()?);
        self.ask(cancel, |store| async move {
            let mut outcomes = Vec::new();
            for name in names {
                let done = store.remove_registry(&name).await.map(|()| None);
                let done = done.map_err(|error| in_file(error, &name, &defined));
                outcomes.push(Outcome::of(name, done));
            }
            Ok(outcomes)
        })
    }

    /// Pauses registries with their jobs, or resumes them.
    ///
    /// # Errors
    /// As [`Scanner::remove_registries`].
    pub fn pause_registries(&self, request: Pause, cancel: &Cancel) -> Result<Pending<Vec<Outcome>>> {
        let Pause { names, paused } = request;
        let (names, defined) = (some(names)?, self.defined()?);
        self.ask(cancel, move |store| async move {
            let mut outcomes = Vec::new();
            for name in names {
                let done = store.pause_registry(&name, paused).await.map(|()| None);
                let done = done.map_err(|error| in_file(error, &name, &defined));
                outcomes.push(Outcome::of(name, done));
            }
            Ok(outcomes)
        })
    }

    /// What the file of definitions has.
    fn defined(&self) -> Result<Vec<SavedRegistry>> {
        let definitions = self.definitions().map(read).transpose()?.unwrap_or_default();
        let saved = |(name, registry): (String, Registry)| {
            let definition = to_saved(&name, &registry)?;
            Ok(SavedRegistry { name, definition, source: "file", paused: false, added: None })
        };
        definitions.into_iter().map(saved).collect()
    }
}

/// What is not in the store may be in the file of definitions, which is the user's.
fn in_file(error: Error, name: &str, defined: &[SavedRegistry]) -> Error {
    if error.kind() != Kind::NotFound || !defined.iter().any(|registry| registry.name == name) {
        return error;
    }
    Error::new(Kind::InvalidState, "the registry is defined in the file of registries, which is never changed")
        .with("name", name.escape_debug())
        .with_hint("change the file, or save a registry with this name")
}

/// At least one name.
pub(crate) fn some(names: Vec<String>) -> Result<Vec<String>> {
    if names.is_empty() {
        return Err(Error::new(Kind::InvalidInput, "no name is given").with("field", "names"));
    }
    Ok(names)
}

/// Whether a registry may be saved under a name.
async fn allow(store: &Store, name: &str, mode: Mode) -> Result<()> {
    match (mode, store.registry(name).await) {
        (Mode::Add, Ok(_)) => Err(Error::new(Kind::InvalidState, "there is a registry with this name")
            .with("registry", name)
            .with_hint("change it with `tidewaiter registry set`, or choose another name")),
        (Mode::Add | Mode::Put, Err(error)) if error.kind() == Kind::NotFound => Ok(()),
        (_, found) => found.map(drop),
    }
}

/// An error about the first step of a check that does not hold.
fn holds(check: &Check) -> Result<()> {
    if check.is_ok() {
        return Ok(());
    }
    let Some(step) = check.failed() else { return Ok(()) };
    let kind = match step.step {
        StepName::Authenticate => Kind::Unauthenticated,
        StepName::List | StepName::Pull => Kind::PermissionDenied,
        _ => Kind::Unavailable,
    };
    let hint = step.hint.as_deref().map(|hint| format!("{hint}; ")).unwrap_or_default();
    Err(Error::new(kind, "the registry does not pass the check, so it is not saved")
        .with("step", step.step)
        .with("detail", &step.detail)
        .with_hint(format!("{hint}save it all the same without the check: --no-check")))
}

//! `tidewaiter registry`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tidewaiter::{Cancel, Error, Kind, Result};
use tidewaiter_facade::{Mode, Names, Pause, PutRegistry, SavedRegistry, Scanner, Silent};

use crate::connection::Connection;
use crate::console::{self, Exit};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::state::State;
use crate::table;

/// Save registries under names
#[derive(Subcommand)]
pub(crate) enum Registry {
    /// Save a registry under a name
    ///
    /// Its connection is checked first, and nothing is saved where a step of the check does not hold. Secrets are never saved: name
    /// where to find them.
    Add(Box<Put>),
    /// Change a saved registry: what is given replaces what was saved, the rest stays
    Set(Box<Put>),
    /// List the saved registries
    List {
        /// A file with definitions of registries under names (TOML or JSON), which win over saved ones
        #[arg(long, value_name = "FILE")]
        registries: Option<std::path::PathBuf>,
        #[command(flatten)]
        state: State,
    },
    /// Show saved registries
    Show(Several),
    /// Remove registries that no job uses; what is known of their images stays
    Remove(Several),
    /// Pause registries with their jobs: none of these is due
    Pause(Several),
    /// Resume paused registries
    Resume(Several),
}

#[derive(Args)]
pub(crate) struct Put {
    /// The name: no address, so without dots, colons and slashes
    #[arg(value_name = "NAME")]
    saved_as: String,
    /// The address; not needed where it follows from the kind and its fields
    #[arg(long)]
    url: Option<String>,
    /// The address of a proxy [default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Let a registry on the internet lead to private addresses: by its token server, redirects and foreign layers
    #[arg(long)]
    private_addresses: bool,
    /// Requests at once to one host [default: 8]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Requests a second to one host, such as 20 or 0.5 [default: as many as there are to ask]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// The most time of a wait for the registry: for a connection (30 at the most), an answer, a piece of it [default: 60]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// The most time that one image of a job may take [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    image_timeout: Option<f64>,
    /// Save it without a check of the connection; what can never be right is still refused
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Several {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    state: State,
}

impl Registry {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self {
            Self::Add(put) => put.run(Mode::Add, cancel),
            Self::Set(put) => put.run(Mode::Set, cancel),
            Self::List { registries, state } => {
                let all = state.open_with(registries)?.list_registries(cancel)?.wait(&mut Silent)?;
                list(&all, state.format)
            }
            Self::Show(Several { names, state }) => {
                let scanner = state.open()?;
                console::each(&names, cancel, |name| {
                    let registry = scanner.saved_registry(name, cancel)?.wait(&mut Silent)?;
                    match state.format {
                        Format::Json => output::print_one_of(&names, &registry)?,
                        Format::Table => output::print(describe(&registry).as_bytes())?,
                    }
                    Ok(Exit::Done)
                })
            }
            Self::Remove(Several { names, state }) => {
                let outcomes = state.open()?.remove_registries(Names { names }, cancel)?.wait(&mut Silent)?;
                state.show_outcomes(&outcomes, "removed")
            }
            Self::Pause(several) => several.pause(true, cancel),
            Self::Resume(several) => several.pause(false, cancel),
        }
    }
}

impl Several {
    fn pause(self, paused: bool, cancel: &Cancel) -> Result<Exit> {
        let Self { names, state } = self;
        let outcomes = state.open()?.pause_registries(Pause { names, paused }, cancel)?.wait(&mut Silent)?;
        state.show_outcomes(&outcomes, if paused { "paused" } else { "resumed" })
    }
}

impl Put {
    fn run(self, mode: Mode, cancel: &Cancel) -> Result<Exit> {
        let scanner = self.state.open()?;
        let fields = if mode == Mode::Set { self.changed(&scanner, cancel)? } else { self.given() };
        let registry = self.connection.define(fields)?;
        let (name, check) = (self.saved_as, !self.no_check);
        let request = PutRegistry { name, registry: registry.into(), mode, check, timeout: None };
        let saved = scanner.put_registry(request, cancel)?.wait(&mut Progress::new(self.state.quiet))?;
        match self.state.format {
            Format::Json => output::print_json(&saved)?,
            Format::Table => output::print(format!("{}: saved\n", saved.name).as_bytes())?,
        }
        Ok(Exit::Done)
    }

    /// The fields that were given.
    fn given(&self) -> Map<String, Value> {
        let mut fields = self.connection.given();
        let times = [("timeout", json!(self.timeout)), ("image_timeout", json!(self.image_timeout))];
        let bounds = [("concurrency", json!(self.concurrency)), ("rate", json!(self.rate))];
        let numbers = times.into_iter().chain(bounds);
        let texts = [("url", json!(self.url)), ("proxy", json!(self.proxy))];
        let given = numbers.chain(texts).filter(|(_, value)| !value.is_null());
        fields.extend(given.map(|(name, value)| (name.to_owned(), value)));
        if self.private_addresses {
            fields.insert("private_addresses".to_owned(), json!(true));
        }
        fields
    }

    /// What was saved, with what was given instead. A registry of another kind begins anew.
    fn changed(&self, scanner: &Scanner, cancel: &Cancel) -> Result<Map<String, Value>> {
        let saved = scanner.saved_registry(&self.saved_as, cancel)?.wait(&mut Silent)?;
        let Value::Object(mut fields) = saved.definition else {
            return Err(Error::new(Kind::Corrupt, "the saved definition is no object").with("name", &self.saved_as));
        };
        let given = self.given();
        if given.get("kind").is_some_and(|kind| fields.get("kind") != Some(kind)) {
            return Ok(given);
        }
        fields.extend(given);
        Ok(fields)
    }
}

fn list(registries: &[SavedRegistry], format: Format) -> Result<Exit> {
    if format == Format::Json {
        for registry in registries {
            output::print(output::json_line(registry)?.as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = registries
        .iter()
        .map(|registry| {
            let text = |field: &str| registry.definition.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
            let state = if registry.paused { "paused" } else { registry.source };
            [registry.name.clone(), text("kind"), text("url"), state.to_owned()]
        })
        .collect();
    output::print(table::columns(["NAME", "KIND", "URL", "IN"], &rows).as_bytes())?;
    Ok(Exit::Done)
}

/// A registry, for people.
fn describe(registry: &SavedRegistry) -> String {
    let mut rows = vec![["name".to_owned(), registry.name.clone()]];
    if let Value::Object(fields) = &registry.definition {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rows.extend(fields.iter().map(|(name, value)| [name.clone(), text(value)]));
    }
    rows.push(["paused".to_owned(), registry.paused.to_string()]);
    rows.push(["added".to_owned(), table::time(registry.added)]);
    table::columns(["FIELD", "VALUE"], &rows)
}

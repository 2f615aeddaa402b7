//! `tidewaiter registry`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tidewaiter::registry::Registry as Definition;
use tidewaiter::{Cancel, Error, Kind, Result};
use tidewaiter_facade::{Mode, Names, Pause, PutRegistry, SavedRegistry, Scanner, Silent};

use crate::connection::Connection;
use crate::console::{self, Exit, printable};
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
    #[command(after_help = EXAMPLES)]
    Add(Box<Put>),
    /// Change a saved registry: what is given replaces what was saved, the rest stays
    ///
    /// Of another kind, what both kinds have stays. A new password is for the user who is saved.
    Set(Box<Change>),
    /// List the saved registries
    List {
        /// A file with definitions of registries under names (TOML or JSON), which win over saved ones
        #[arg(long, value_name = "FILE")]
        registries: Option<PathBuf>,
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

const EXAMPLES: &str = "Examples:
  tidewaiter registry add lab localhost:5000 --plain-http
  tidewaiter registry add prod --kind harbor --url https://harbor.example -u 'robot$scan' --password-file /etc/scan/harbor
  tidewaiter registry add cloud --kind ecr --region eu-central-1 --account 123456789012 --role-arn arn:aws:iam::123456789012:role/scan";

/// What `set` can take away: the options of the same names, or the whole credential. A kind and an address are replaced.
const CLEARABLE: [&str; 31] = [
    "access",
    "account",
    "alias",
    "api-url",
    "ca",
    "client-cert",
    "client-key",
    "cloud",
    "concurrency",
    "context",
    "credential",
    "dual-stack",
    "endpoint",
    "fips",
    "gar-repository",
    "groups",
    "image-timeout",
    "location",
    "name",
    "namespaces",
    "owner",
    "plain-http",
    "private-addresses",
    "project",
    "projects",
    "proxy",
    "rate",
    "region",
    "repository-key",
    "timeout",
    "url",
];

#[derive(Args)]
pub(crate) struct Change {
    /// Take this away from what was saved, before what is given is put in; several with commas, or several times
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = PossibleValuesParser::new(CLEARABLE))]
    clear: Vec<String>,
    #[command(flatten)]
    put: Put,
}

#[derive(Args)]
pub(crate) struct Put {
    /// The name: no address, so without dots, colons and slashes
    #[arg(value_name = "NAME")]
    saved_as: String,
    /// The address, as --url
    #[arg(value_name = "REGISTRY", conflicts_with = "url")]
    address: Option<String>,
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
    /// A file with definitions of registries under names (TOML or JSON), which win over saved ones; it is never changed
    #[arg(long, value_name = "FILE")]
    registries: Option<PathBuf>,
    #[command(flatten)]
    state: State,
}

impl Registry {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self {
            Self::Add(put) => {
                let scanner = put.state.open()?;
                let registry = put.connection.define(put.given())?;
                put.save(&scanner, registry, Mode::Add, cancel)
            }
            Self::Set(change) => {
                let Change { clear, put } = *change;
                let scanner = put.state.open()?;
                let registry = put.changed(&clear, &scanner, cancel)?;
                put.save(&scanner, registry, Mode::Set, cancel)
            }
            Self::List { registries, state } => {
                let all = state.open_with(registries)?.list_registries(cancel)?.wait(&mut Silent)?;
                list(&all, state.format)
            }
            Self::Show(Several { names, registries, state }) => {
                let scanner = state.open_with(registries)?;
                console::each(&names, cancel, |name| {
                    let registry = scanner.saved_registry(name, cancel)?.wait(&mut Silent)?;
                    match state.format {
                        Format::Json => output::print_one_of(&names, &registry)?,
                        Format::Table => output::print(describe(&registry).as_bytes())?,
                    }
                    Ok(Exit::Done)
                })
            }
            Self::Remove(Several { names, registries, state }) => {
                let outcomes =
                    state.open_with(registries)?.remove_registries(Names { names }, cancel)?.wait(&mut Silent)?;
                state.show_outcomes(&outcomes, "removed")
            }
            Self::Pause(several) => several.pause(true, cancel),
            Self::Resume(several) => several.pause(false, cancel),
        }
    }
}

impl Several {
    fn pause(self, paused: bool, cancel: &Cancel) -> Result<Exit> {
        let Self { names, registries, state } = self;
        let outcomes =
            state.open_with(registries)?.pause_registries(Pause { names, paused }, cancel)?.wait(&mut Silent)?;
        state.show_outcomes(&outcomes, if paused { "paused" } else { "resumed" })
    }
}

impl Put {
    fn save(&self, scanner: &Scanner, registry: Definition, mode: Mode, cancel: &Cancel) -> Result<Exit> {
        let (name, check) = (self.saved_as.clone(), !self.no_check);
        let request = PutRegistry { name, registry: registry.into(), mode, check, timeout: None };
        let saved = scanner.put_registry(request, cancel)?.wait(&mut Progress::new(self.state.quiet))?;
        match self.state.format {
            Format::Json => output::print_json(&saved)?,
            Format::Table => output::print(format!("{}: saved\n", printable(&saved.name)).as_bytes())?,
        }
        Ok(Exit::Done)
    }

    /// The fields that were given.
    fn given(&self) -> Map<String, Value> {
        let mut fields = self.connection.given();
        let times = [("timeout", json!(self.timeout)), ("image_timeout", json!(self.image_timeout))];
        let bounds = [("concurrency", json!(self.concurrency)), ("rate", json!(self.rate))];
        let numbers = times.into_iter().chain(bounds);
        let url = self.url.as_ref().or(self.address.as_ref());
        let texts = [("url", json!(url)), ("proxy", json!(self.proxy))];
        let given = numbers.chain(texts).filter(|(_, value)| !value.is_null());
        fields.extend(given.map(|(name, value)| (name.to_owned(), value)));
        if self.private_addresses {
            fields.insert("private_addresses".to_owned(), json!(true));
        }
        fields
    }

    /// What was saved, without what is taken away, and with what was given instead.
    fn changed(&self, clear: &[String], scanner: &Scanner, cancel: &Cancel) -> Result<Definition> {
        let given = self.given();
        if given.is_empty() && clear.is_empty() && !self.connection.has_credential() {
            return Err(Error::new(Kind::InvalidInput, "nothing is given that would change the registry")
                .with("name", self.saved_as.escape_debug())
                .with_hint(
                    "give what is to be another, or what is to go with --clear; `tidewaiter check` tries what is saved",
                ));
        }
        let saved = scanner.saved_registry(&self.saved_as, cancel)?.wait(&mut Silent)?;
        let Value::Object(mut fields) = saved.definition else {
            return Err(Error::new(Kind::Corrupt, "the saved definition is no object").with("name", &self.saved_as));
        };
        for option in clear.iter().map(String::as_str) {
            let field = if option == "gar-repository" { "repository" } else { option };
            fields.remove(&field.replace('-', "_"));
        }
        if given.get("kind").is_some_and(|kind| fields.get("kind") != Some(kind)) {
            fields.retain(|field, _| Definition::FIELDS.contains(&field.as_str()));
        }
        fields.extend(given);
        self.connection.define(fields)
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
            let text = |field: &str| registry.definition.get(field).and_then(Value::as_str).map(str::to_owned);
            // That of a cloud follows from other fields.
            let made = || Definition::from_value(registry.definition.clone()).and_then(|registry| registry.base()).ok();
            let url = text("url").or_else(|| Some(made()?.as_str().trim_end_matches('/').to_owned()));
            let place =
                if registry.paused { format!("{}, paused", registry.source) } else { registry.source.to_owned() };
            let [kind, url] = [text("kind"), url].map(|text| text.unwrap_or_else(|| "-".to_owned()));
            [registry.name.clone(), kind, url, place]
        })
        .collect();
    if rows.is_empty() {
        console::tell("note", "no registry is saved", Some("`tidewaiter registry add` saves one"));
        return Ok(Exit::Done);
    }
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

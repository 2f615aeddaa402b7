//! What a program finds around it: environment variables, the home of its user, small files, the services of its machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::file;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::{Client, Options};
use crate::net::retry::Policy;

/// The longest file.
const MAX_FILE: u64 = 4 << 20;
/// What files are called in errors.
const WHAT: &str = "the file of a credential";

/// The environment of this process, or one that a test makes up. `Debug` shows no value.
#[derive(Clone, Default)]
pub(super) struct Surroundings(Option<Arc<HashMap<String, String>>>);

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn real() -> Self {
        Self(None)
    }

    /// Made up, with these variables and no others.
    #[cfg(test)]
    pub(super) fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(Some(Arc::new(variables.collect())))
    }

    /// An environment variable; none where it is not set or empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// The folder of the user.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").or_else(|| self.variable("USERPROFILE")).map(PathBuf::from)
    }
}

/// A small file; none where there is none.
///
/// # Errors
/// [`Kind::InvalidInput`] for one that cannot be read or is too long, [`Kind::Canceled`].
pub(super) async fn file(path: &Path, context: &Context) -> Result<Option<Zeroizing<Vec<u8>>>> {
    file::read(path, WHAT, MAX_FILE, context).await
}

/// A small file that must be there, as text without blanks at its ends.
///
/// # Errors
/// [`Kind::InvalidInput`] for one that is not there, cannot be read, is too long or no text; [`Kind::Canceled`].
pub(super) async fn text(path: &Path, context: &Context) -> Result<Zeroizing<String>> {
    let bytes = file(path, context).await?.ok_or_else(|| file::missing(path, WHAT))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Error::new(Kind::InvalidInput, "the file of a credential is no text").with("path", path.display())
    })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// A client for services of this very machine: without a proxy, and quick to give up where there is no such service. One that is there
/// may have to ask its cloud first.
///
/// # Errors
/// As [`Client::new`].
pub(super) fn local() -> Result<Client> {
    let retry = Policy { attempts: 3, ..Policy::default() };
    let (connect, timeout) = (Duration::from_secs(2), Duration::from_secs(10));
    Client::new(&Options { direct: true, connect, timeout, retry, ..Options::default() })
}

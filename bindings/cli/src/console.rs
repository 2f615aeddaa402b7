//! What a person at the terminal sees of an error, and what a script sees of the end.

use std::process::ExitCode;

use tidewaiter::{Cancel, Error, Result};

use crate::spoken::in_options;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for is done.
    Done,
    /// A limit that the user set was met.
    Met,
    /// Nothing, or not all, could be done.
    Error,
    /// No limit was met, but not all could be looked at.
    Incomplete,
    /// The user ended it.
    Canceled,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Met => 1,
            Exit::Error => 2,
            Exit::Incomplete => 3,
            Exit::Canceled => 130,
        })
    }
}

/// Does something with each of several names, one after another. One that fails keeps the others from nothing; the user ends all.
pub(crate) fn each(names: &[String], cancel: &Cancel, mut work: impl FnMut(&str) -> Result<Exit>) -> Result<Exit> {
    let mut exit = Exit::Done;
    for name in names {
        let done = match work(name) {
            Err(error) if names.len() == 1 || cancel.is_canceled() => return Err(error),
            Err(error) => {
                show(&error);
                Exit::Error
            }
            Ok(done) => done,
        };
        if exit != Exit::Error && done != Exit::Done {
            exit = done;
        }
        if cancel.is_canceled() {
            break;
        }
    }
    Ok(exit)
}

/// The error and what to do next, on standard error.
pub(crate) fn show(error: &Error) {
    tell("error", &error.to_string(), error.hint());
}

/// Something that went wrong, or that is to be noted, and what to do next, on standard error.
pub(crate) fn tell(what: &str, message: &str, hint: Option<&str>) {
    eprintln!("{}: {}", printable(what), printable(&in_options(message)));
    if let Some(hint) = hint {
        eprintln!("hint: {}", printable(&in_options(hint)));
    }
}

/// The text without control characters: a registry must not move the cursor of whoever reads its errors.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

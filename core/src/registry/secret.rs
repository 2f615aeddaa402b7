//! Secrets: a value in memory, or where to find one. Looked up when it is needed, wiped when it is no longer.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::file;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The longest secret.
const MAX_BYTES: usize = 64 << 10;
/// How long a command may take.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// A secret: a value, `{"env": "NAME"}`, `{"file": "PATH"}` or `{"command": ["PROGRAM", "ARGUMENT"...]}`.
///
/// A value stays in memory and is never written anywhere; `Debug` shows where a secret comes from and never what it is.
/// A command is started without a shell. It gets the address of the registry as a line on its input, as docker's credential
/// helpers do, and prints the secret, or JSON with the secret in `Secret`.
///
/// ```
/// use tidewaiter::registry::Secret;
/// let secret: Secret = serde_json::from_str(r#"{"env": "REGISTRY_PASSWORD"}"#).unwrap();
/// assert_eq!(format!("{secret:?}"), r#"Secret(env "REGISTRY_PASSWORD")"#);
/// assert_eq!(format!("{:?}", Secret::value("s3cret")), "Secret(***)");
/// ```
#[derive(Clone)]
pub struct Secret(From);

#[derive(Clone)]
enum From {
    Value(Zeroizing<String>),
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
}

impl Secret {
    /// A secret that is known already.
    pub fn value(value: impl Into<String>) -> Self {
        Self(From::Value(Zeroizing::new(value.into())))
    }

    /// A secret in an environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Self(From::Env(name.into()))
    }

    /// A secret in a file, or in a pipe such as a shell makes of `<(...)`; one line break at its end is left away.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(From::File(path.into()))
    }

    /// A secret that a program prints.
    pub fn command(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(From::Command(command.into_iter().map(Into::into).collect()))
    }

    /// Takes a relative path as one that starts in `folder`; so is that of a program which is named with a folder.
    pub(super) fn put_in(&mut self, folder: &Path) {
        match &mut self.0 {
            From::File(path) => *path = folder.join(&*path),
            From::Command(command) => {
                let Some(program) = command.first_mut().filter(|program| Path::new(program).components().count() > 1)
                else {
                    return;
                };
                if let Some(path) = folder.join(&*program).to_str() {
                    *program = path.to_owned();
                }
            }
            From::Value(_) | From::Env(_) => {}
        }
    }

    /// Looks the secret up. `server` is told to a command.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] where there is none, [`Kind::Unavailable`] for a command that fails, [`Kind::Canceled`].
    pub async fn resolve(&self, server: &str, context: &Context) -> Result<Zeroizing<String>> {
        match &self.0 {
            From::Value(value) => Ok(value.clone()),
            From::Env(name) => {
                let missing = |message: &'static str| {
                    Error::new(Kind::InvalidInput, message)
                        .with("variable", name)
                        .with_hint("set the environment variable that the credential names")
                };
                match std::env::var(name) {
                    Ok(value) if value.is_empty() => Err(missing("the environment variable of a secret is empty")),
                    Ok(value) => Ok(Zeroizing::new(value)),
                    Err(std::env::VarError::NotPresent) => {
                        Err(missing("the environment variable of a secret is not set"))
                    }
                    Err(std::env::VarError::NotUnicode(_)) => {
                        Err(missing("the environment variable of a secret is no text"))
                    }
                }
            }
            From::File(path) => {
                const WHAT: &str = "the file of a secret";
                let bytes = file::read(path, WHAT, u64::try_from(MAX_BYTES).unwrap_or(u64::MAX), context).await?;
                let bytes = bytes.ok_or_else(|| file::missing(path, WHAT))?;
                line(bytes).map_err(|error| error.with("path", path.display()))
            }
            From::Command(command) => {
                let program = command.first().map_or("", String::as_str);
                let (exit, output) = run(command, &format!("{server}\n"), context).await?;
                if exit != 0 {
                    return Err(failed(program, "the command of a secret failed").with("exit", exit));
                }
                #[derive(Deserialize)]
                struct Answer {
                    #[serde(rename = "Secret")]
                    secret: Zeroizing<String>,
                }
                match serde_json::from_slice::<Answer>(&output) {
                    Ok(answer) if !answer.secret.is_empty() => Ok(answer.secret),
                    Ok(_) => Err(no_secret().with("command", program)),
                    Err(_) => line(output).map_err(|error| error.with("command", program)),
                }
            }
        }
    }
}

/// The text without one line break at its end.
fn line(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>> {
    let text = std::str::from_utf8(&bytes).ok().filter(|_| bytes.len() <= MAX_BYTES);
    let text =
        text.map(|text| text.strip_suffix('\n').unwrap_or(text)).map(|text| text.strip_suffix('\r').unwrap_or(text));
    match text {
        Some(text) if !text.is_empty() => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(no_secret()),
    }
}

fn no_secret() -> Error {
    Error::new(Kind::InvalidInput, "a secret is some text of at most 64 KiB")
        .with_hint("look at where the definition says that the secret is")
}

/// Runs a program without a shell and returns the number that it ended with, and what it printed. What it printed on its error output
/// is not looked at: it may hold secrets.
///
/// # Errors
/// [`Kind::InvalidInput`] when it cannot be started, [`Kind::Unavailable`] when it is killed, prints too much or takes too long.
pub(super) async fn run(command: &[String], input: &str, context: &Context) -> Result<(i32, Zeroizing<Vec<u8>>)> {
    run_within(COMMAND_TIME, command, input, context).await
}

async fn run_within(
    time: Duration,
    command: &[String],
    input: &str,
    context: &Context,
) -> Result<(i32, Zeroizing<Vec<u8>>)> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::new(Kind::InvalidInput, "the command of a secret is empty").with("field", "command"));
    };
    let failed = |message| failed(program, message);
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Error::new(Kind::InvalidInput, "the command of a secret cannot be started")
                .with("command", program)
                .with_hint("check that it is installed and in PATH")
                .because(error)
        })?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let work = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input is fine.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let mut output = Zeroizing::new(Vec::new());
        if let Some(stdout) = stdout {
            let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
            stdout
                .take(limit)
                .read_to_end(&mut output)
                .await
                .map_err(|_| failed("the output of the command of a secret cannot be read"))?;
        }
        if output.len() > MAX_BYTES {
            return Err(failed("the command of a secret prints more than 64 KiB"));
        }
        let status = child.wait().await.map_err(|_| failed("the command of a secret cannot be waited for"))?;
        let exit = status.code().ok_or_else(|| failed("the command of a secret was killed"))?;
        Ok((exit, output))
    };
    let timed = async {
        tokio::time::timeout(time, work)
            .await
            .unwrap_or_else(|_| Err(failed("the command of a secret took too long").with("seconds", time.as_secs())))
    };
    context.run(timed).await
}

fn failed(program: &str, message: &'static str) -> Error {
    Error::new(Kind::Unavailable, message).with("command", program).with_hint(
        "run the command by hand, with the address of the registry on its input: it may ask somebody something",
    )
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            From::Value(_) => f.write_str("Secret(***)"),
            From::Env(name) => write!(f, "Secret(env {name:?})"),
            From::File(path) => write!(f, "Secret(file {path:?})"),
            From::Command(command) => write!(f, "Secret(command {:?})", command.first()),
        }
    }
}

impl Serialize for Secret {
    /// Where to find it. What is known in plain text stays in memory.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            From::Value(_) => Err(serde::ser::Error::custom(
                "a secret in plain text is never written down: name an environment variable, {\"env\": NAME}, a file, {\"file\": PATH}, or a command, {\"command\": [...]}",
            )),
            From::Env(name) => serializer.serialize_newtype_variant("Secret", 0, "env", name),
            From::File(path) => serializer.serialize_newtype_variant("Secret", 1, "file", path),
            From::Command(command) => serializer.serialize_newtype_variant("Secret", 2, "command", command),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a secret: a text, {\"env\": NAME}, {\"file\": PATH} or {\"command\": [PROGRAM, ...]}")
            }

            fn visit_str<E>(self, value: &str) -> Result<Secret, E> {
                Ok(Secret::value(value))
            }

            fn visit_string<E>(self, value: String) -> Result<Secret, E> {
                Ok(Secret::value(value))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                #[derive(Deserialize)]
                #[serde(rename_all = "snake_case")]
                enum Reference {
                    Env(String),
                    File(PathBuf),
                    Command(Vec<String>),
                }
                Ok(match Reference::deserialize(serde::de::value::MapAccessDeserializer::new(map))? {
                    Reference::Env(name) => Secret::env(name),
                    Reference::File(path) => Secret::file(path),
                    Reference::Command(command) => Secret::command(command),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(json: &str) -> Result<String> {
        let secret: Secret = serde_json::from_str(json).unwrap();
        secret.resolve("https://r.example", &Context::new()).await.map(|secret| secret.to_string())
    }

    #[tokio::test]
    async fn is_found_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "from file\r\n").unwrap();
        assert_eq!(resolved(r#""plain""#).await.unwrap(), "plain");
        assert_eq!(resolved(&format!(r#"{{"file": {:?}}}"#, path.display().to_string())).await.unwrap(), "from file");
        assert_eq!(
            resolved(r#"{"command": ["sh", "-c", "read server; echo key of $server"]}"#).await.unwrap(),
            "key of https://r.example"
        );
        assert_eq!(resolved(r#"{"command": ["echo", "{\"Username\":\"u\",\"Secret\":\"s\"}"]}"#).await.unwrap(), "s");
        assert!(!resolved(r#"{"env": "PATH"}"#).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn says_why_there_is_none_and_shows_nothing() {
        for (json, kind) in [
            (r#"{"env": "TIDEWAITER_TEST_NOT_SET"}"#, Kind::InvalidInput),
            (r#"{"file": "/nonexistent"}"#, Kind::InvalidInput),
            (r#"{"command": ["/nonexistent"]}"#, Kind::InvalidInput),
            (r#"{"command": []}"#, Kind::InvalidInput),
            (r#"{"command": ["true"]}"#, Kind::InvalidInput),
            (r#"{"command": ["echo", "{\"Secret\":\"\"}"]}"#, Kind::InvalidInput),
            (r#"{"command": ["sh", "-c", "echo s3cret >&2; exit 3"]}"#, Kind::Unavailable),
            (r#"{"command": ["sh", "-c", "yes s3cret"]}"#, Kind::Unavailable),
        ] {
            let error = resolved(json).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{json}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        let script = format!("echo s3cret; echo s3cret >&2; sleep 2; touch {}", late.display());
        let command = ["sh", "-c", &script].map(str::to_owned);
        let error = run_within(Duration::from_millis(300), &command, "", &Context::new()).await.unwrap_err();
        assert!(error.kind() == Kind::Unavailable && error.to_string().contains("too long"), "{error:?}");
        assert!(error.hint().is_some() && !format!("{error:?}").contains("s3cret"), "{error:?}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!late.exists(), "the command still runs");
    }

    #[test]
    fn unknown_references_are_refused() {
        for json in [r#"{"vault": "x"}"#, "{}", "7", r#"{"env": "A", "file": "b"}"#] {
            assert!(serde_json::from_str::<Secret>(json).is_err(), "{json}");
        }
    }
}

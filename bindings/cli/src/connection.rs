//! The options that every command with a registry has: who asks, and how the registry is reached.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use tidewaiter::registry::{Credential, Registry};
use tidewaiter::{Error, Kind, Result};
use tidewaiter_facade::from_json;
use zeroize::Zeroizing;

/// How a registry is reached, and who asks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registry")]
pub(crate) struct Connection {
    /// What kind of registry it is
    #[arg(long, default_value = "docker")]
    kind: String,
    /// Speak http instead of https
    #[arg(long)]
    plain_http: bool,
    /// Trust the certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show this certificate (PEM) to the registry
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    #[command(flatten)]
    identity: Identity,
}

/// Who asks. Without any of these: the Docker configuration, else anonymous.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Credential (default: the Docker configuration)")]
struct Identity {
    /// The user name; one of the password options gives the password
    #[arg(long, short = 'u', value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username", group = "secret")]
    password_stdin: bool,
    /// Take the password from this environment variable
    #[arg(long, value_name = "VAR", requires = "username", group = "secret")]
    password_env: Option<String>,
    /// Read the password from this file
    #[arg(long, value_name = "FILE", requires = "username", group = "secret")]
    password_file: Option<PathBuf>,
    /// Run this command (split at spaces); what it prints is the password, or without --username the token
    #[arg(long, value_name = "COMMAND", group = "secret")]
    credential_command: Option<String>,
    /// Take a bearer token from this environment variable
    #[arg(long, value_name = "VAR", group = "secret", conflicts_with = "username")]
    token_env: Option<String>,
    /// Look for the credential in this Docker configuration (a config.json, or its folder)
    #[arg(long, value_name = "PATH", group = "secret", conflicts_with = "username")]
    docker_config: Option<PathBuf>,
}

impl Connection {
    /// Seconds after which the call ends.
    pub(crate) fn timeout(&self) -> Option<f64> {
        self.timeout
    }

    /// The registry at `url`, or that of the image.
    pub(crate) fn registry(&self, url: Option<&str>) -> Result<Registry> {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), json!(self.kind));
        fields.insert("plain_http".to_owned(), json!(self.plain_http));
        if let Some(url) = url {
            fields.insert("url".to_owned(), json!(url));
        }
        for (name, path) in [("ca", &self.ca), ("client_cert", &self.client_cert), ("client_key", &self.client_key)] {
            if let Some(path) = path {
                fields.insert(name.to_owned(), json!(path));
            }
        }
        let mut registry: Registry = from_json(&Value::Object(fields).to_string(), "the registry")?;
        if let Some(credential) = self.credential()? {
            registry.credential = credential;
        }
        Ok(registry)
    }

    /// The credential; none where the default holds.
    fn credential(&self) -> Result<Option<Credential>> {
        let identity = &self.identity;
        let secret = if identity.password_stdin {
            json!(read_password()?.as_str())
        } else if let Some(variable) = identity.password_env.as_ref().or(identity.token_env.as_ref()) {
            json!({"env": variable})
        } else if let Some(file) = &identity.password_file {
            json!({"file": file})
        } else if let Some(command) = &identity.credential_command {
            json!({"command": command.split_whitespace().collect::<Vec<_>>()})
        } else {
            Value::Null
        };
        let shape = match (&identity.username, &secret, &identity.docker_config) {
            (_, _, Some(path)) => json!({"docker_config": {"path": path}}),
            (None, Value::Null, None) => return Ok(None),
            (Some(username), Value::Null, None) => {
                return Err(Error::new(Kind::InvalidInput, "the password of the user is missing")
                    .with("username", username)
                    .with_hint("add --password-stdin, --password-env, --password-file or --credential-command"));
            }
            (Some(username), secret, None) => json!({"basic": {"username": username, "password": secret}}),
            (None, secret, None) => json!({"token": {"token": secret}}),
        };
        from_json(&shape.to_string(), "the credential").map(Some)
    }
}

/// The first line of standard input.
fn read_password() -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(64 << 10).read_line(&mut line).map_err(|error| {
        Error::new(Kind::InvalidInput, "the password cannot be read from standard input").because(error)
    })?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    if line.is_empty() {
        return Err(Error::new(Kind::InvalidInput, "standard input holds no password")
            .with_hint("pipe it in, as in `printf %s \"$PASSWORD\" | tidewaiter …`"));
    }
    Ok(line)
}

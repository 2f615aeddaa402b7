//! The options that every command with a registry has: who asks, and how the registry is reached.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};
use tidewaiter::registry::{Credential, Registry, Secret, vendor};
use tidewaiter::{Error, Kind, Result};
use tidewaiter_facade::{Definition, Named, from_json, is_address};
use zeroize::Zeroizing;

use crate::words;

/// How a registry is reached, and who asks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registry")]
pub(crate) struct Connection {
    /// What kind of registry it is: docker is any that speaks Docker V2 [default: by its address, else docker]
    #[arg(long, value_parser = PossibleValuesParser::new(vendor::ALL.iter().map(|vendor| vendor.name())))]
    kind: Option<String>,
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
    /// A file with definitions of registries under names (TOML or JSON)
    #[arg(long, value_name = "FILE")]
    registries: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    identity: Option<Identity>,
}

/// What definitions of some kinds say besides. A field that the kind does not have is refused by the library.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registries of one kind")]
struct Fields {
    /// Where the vendor's own API is, if not at the usual place
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// ecr: the region
    #[arg(long)]
    region: Option<String>,
    /// ecr: the account that owns the registry
    #[arg(long)]
    account: Option<String>,
    /// ecr: use the FIPS endpoints
    #[arg(long)]
    fips: bool,
    /// ecr: use the endpoints with IPv6 as well
    #[arg(long)]
    dual_stack: bool,
    /// ecr: another address of the API, such as a VPC endpoint
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// ecr-public: the alias
    #[arg(long)]
    alias: Option<String>,
    /// acr: the name of the registry
    #[arg(long)]
    name: Option<String>,
    /// acr: public, usgov or china
    #[arg(long)]
    cloud: Option<String>,
    /// gcr, gar: the project
    #[arg(long)]
    project: Option<String>,
    /// gcr, gar: the location, such as us or europe-west1
    #[arg(long)]
    location: Option<String>,
    /// gar: the repository of Artifact Registry, which holds images in turn
    #[arg(long, value_name = "REPOSITORY")]
    gar_repository: Option<String>,
    /// harbor, msr, openshift: the projects to list
    #[arg(long, value_name = "PROJECT")]
    projects: Vec<String>,
    /// gitlab: the groups to list
    #[arg(long, value_name = "GROUP")]
    groups: Vec<String>,
    /// dockerhub, quay: the namespaces to list
    #[arg(long, value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// ghcr: the user or organisation to list
    #[arg(long)]
    owner: Option<String>,
    /// artifactory: path, subdomain or port
    #[arg(long)]
    access: Option<String>,
    /// artifactory: the context of the service, such as artifactory
    #[arg(long)]
    context: Option<String>,
    /// artifactory, nexus: the key of the repository that holds the images
    #[arg(long, value_name = "KEY")]
    repository_key: Option<String>,
}

impl Fields {
    /// Those that were given, under their names in a definition.
    fn given(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let texts = [
            ("api_url", &self.api_url),
            ("region", &self.region),
            ("account", &self.account),
            ("endpoint", &self.endpoint),
            ("alias", &self.alias),
            ("name", &self.name),
            ("cloud", &self.cloud),
            ("project", &self.project),
            ("location", &self.location),
            ("repository", &self.gar_repository),
            ("owner", &self.owner),
            ("access", &self.access),
            ("context", &self.context),
            ("repository_key", &self.repository_key),
        ];
        let texts = texts.map(|(name, text)| text.as_ref().map(|text| (name, json!(text))));
        let lists = [("namespaces", &self.namespaces), ("projects", &self.projects), ("groups", &self.groups)];
        let lists = lists.map(|(name, list)| (!list.is_empty()).then(|| (name, json!(list))));
        let switches = [("fips", self.fips), ("dual_stack", self.dual_stack)];
        let switches = switches.map(|(name, on)| on.then_some((name, json!(true))));
        texts.into_iter().chain(switches).chain(lists).flatten().collect::<Vec<_>>().into_iter()
    }
}

/// Who asks. Without any of these: the Docker configuration, else anonymous.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Credential (default: the Docker configuration)")]
struct Identity {
    /// The user name; one of the password options gives the password
    #[arg(long, short = 'u', value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "secret")]
    password_stdin: bool,
    /// Take the password from this environment variable
    #[arg(long, value_name = "VAR", group = "secret")]
    password_env: Option<String>,
    /// Read the password from this file
    #[arg(long, value_name = "FILE", group = "secret")]
    password_file: Option<PathBuf>,
    /// Run this command (words as in a shell, quotes and backslashes too, and nothing else of one); what it prints is the password, or without --username the token
    #[arg(long, value_name = "COMMAND", group = "secret")]
    credential_command: Option<String>,
    /// Take a bearer token from this environment variable
    #[arg(long, value_name = "VAR", group = "secret", conflicts_with = "username")]
    token_env: Option<String>,
    /// Quay: take the OAuth token that opens its API, beside a robot, from this environment variable
    #[arg(long, value_name = "VAR", requires = "username")]
    oauth_token_env: Option<String>,
    /// Look for the credential in this Docker configuration (a config.json, or its folder)
    #[arg(long, value_name = "PATH", group = "secret", conflicts_with = "username")]
    docker_config: Option<PathBuf>,
    /// AWS: the profile of the configuration files
    #[arg(long, conflicts_with = "secret")]
    profile: Option<String>,
    /// AWS: the role to assume
    #[arg(long, value_name = "ARN", conflicts_with = "secret")]
    role_arn: Option<String>,
    /// AWS: the external id that the role asks for
    #[arg(long, value_name = "ID", requires = "role_arn")]
    external_id: Option<String>,
    /// AWS: the name under which the owner of the role sees the session [default: tidewaiter]
    #[arg(long, value_name = "NAME", requires = "role_arn")]
    role_session_name: Option<String>,
    /// AWS: the file with the token of a web identity, for which the role is given out
    #[arg(long, value_name = "FILE", requires = "role_arn")]
    web_identity_token_file: Option<PathBuf>,
    /// AWS: another address of the token service, such as a VPC endpoint
    #[arg(long, value_name = "URL", conflicts_with = "secret")]
    sts_endpoint: Option<String>,
    /// Azure: the tenant
    #[arg(long, value_name = "ID", conflicts_with = "secret")]
    tenant: Option<String>,
    /// Azure: the application (service principal), or the managed identity
    #[arg(long, value_name = "ID", conflicts_with = "secret")]
    client_id: Option<String>,
    /// Azure: take the secret of the application from this environment variable
    #[arg(long, value_name = "VAR", requires_all = ["tenant", "client_id"])]
    client_secret_env: Option<String>,
    /// Azure: the certificate of the application with its key (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["tenant", "client_id"])]
    client_certificate: Option<PathBuf>,
    /// Azure: the file with the token of a federated workload
    #[arg(long, value_name = "FILE", requires_all = ["tenant", "client_id"])]
    federated_token_file: Option<PathBuf>,
    /// Azure: the identity that this machine has; --client-id where it has several
    #[arg(long, conflicts_with_all = ["secret", "tenant"])]
    managed_identity: bool,
    /// Azure: take a refresh token of the registry, as `az acr login --expose-token` prints one, from this environment variable
    #[arg(long, value_name = "VAR", conflicts_with_all = ["secret", "tenant", "client_id", "managed_identity", "access_token_env"])]
    refresh_token_env: Option<String>,
    /// Azure: another address of Microsoft Entra
    #[arg(long, value_name = "URL", conflicts_with_all = ["secret", "refresh_token_env"])]
    authority: Option<String>,
    /// Azure: what the token of Entra is for, where it is not the registries of the cloud
    #[arg(long, value_name = "URI", conflicts_with_all = ["secret", "refresh_token_env"])]
    audience: Option<String>,
    /// Azure, Google: take an access token of the cloud from this environment variable
    #[arg(long, value_name = "VAR", conflicts_with_all = ["secret", "key_file"])]
    access_token_env: Option<String>,
    /// Google: the service account of this machine, from its metadata server
    #[arg(long, conflicts_with_all = ["secret", "key_file", "access_token_env"])]
    metadata: bool,
    /// Google: the key of a service account (JSON)
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    key_file: Option<PathBuf>,
}

impl Connection {
    /// The file of definitions.
    pub(crate) fn registries(&self) -> Option<PathBuf> {
        self.registries.clone()
    }

    /// The registry that an argument means: an address, which has a dot, a colon, or is `localhost`, or else a name of the file of
    /// definitions or of the store.
    pub(crate) fn named(&self, argument: &str) -> Result<Named> {
        if is_address(argument) {
            return self.registry(Some(argument)).map(Named::from);
        }
        self.saved(argument.to_owned())
    }

    /// The registry with this name. What its definition says is said there alone.
    pub(crate) fn saved(&self, name: String) -> Result<Named> {
        if self.identity.is_none() && self.given().is_empty() {
            return Ok(Named::Name(name));
        }
        let hint = "leave the options of registries and credentials out, or change what is saved: `tidewaiter registry set`; \
                    a host without a dot and a port is written https://HOST";
        Err(Error::new(Kind::InvalidInput, "how a registry is reached that has a name is what its definition says")
            .with("name", name.escape_debug())
            .with_hint(hint))
    }

    /// The same where the argument may be missing, since the options say which registry it is.
    pub(crate) fn meant(&self, argument: Option<&str>) -> Result<Named> {
        argument.map_or_else(|| self.registry(None).map(Named::from), |argument| self.named(argument))
    }

    /// The registry at `url`, or that of the image.
    pub(crate) fn registry(&self, url: Option<&str>) -> Result<Registry> {
        let mut fields = self.given();
        if let Some(url) = url {
            fields.insert("url".to_owned(), json!(url));
        }
        self.define(fields)
    }

    /// The fields of a definition that were given, but for the credential.
    pub(crate) fn given(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let Some(kind) = &self.kind {
            fields.insert("kind".to_owned(), json!(kind));
        }
        if self.plain_http {
            fields.insert("plain_http".to_owned(), json!(true));
        }
        for (name, path) in [("ca", &self.ca), ("client_cert", &self.client_cert), ("client_key", &self.client_key)] {
            if let Some(path) = path {
                fields.insert(name.to_owned(), json!(path));
            }
        }
        fields.extend(self.fields.given().map(|(name, value)| (name.to_owned(), value)));
        fields
    }

    /// The registry with these fields, and the credential that was given.
    pub(crate) fn define(&self, fields: Map<String, Value>) -> Result<Registry> {
        let is_https = fields.get("url").and_then(Value::as_str).is_some_and(|url| url.starts_with("https://"));
        if self.plain_http && is_https {
            return Err(Error::new(Kind::InvalidInput, "the address says https, and --plain-http says http")
                .with_hint("write the address with http://, or leave --plain-http out"));
        }
        let mut registry = Definition::Written(Value::Object(fields)).read()?;
        if let Some(credential) = self.credential(&registry.kind, &registry.credential)? {
            registry.credential = credential;
        }
        Ok(registry)
    }

    /// Whether an option says who asks.
    pub(crate) fn has_credential(&self) -> bool {
        self.identity.is_some()
    }

    /// The credential; none where the default holds. A password without a user name is another one of the user who is saved.
    fn credential(&self, kind: &str, saved: &Credential) -> Result<Option<Credential>> {
        let Some(identity) = &self.identity else { return Ok(None) };
        if let Some(shape) = identity.cloud(kind) {
            return from_json(&shape.to_string(), "the credential").map(Some);
        }
        let secret = if identity.password_stdin {
            json!(read_password()?.as_str())
        } else if let Some(variable) = identity.password_env.as_ref().or(identity.token_env.as_ref()) {
            json!({"env": variable})
        } else if let Some(file) = &identity.password_file {
            json!({"file": file})
        } else if let Some(command) = &identity.credential_command {
            json!({"command": words::split(command)?})
        } else {
            Value::Null
        };
        if identity.username.is_none() && identity.has_password() {
            let password = from_json(&secret.to_string(), "the password")?;
            return with_password(saved, password).map(Some);
        }
        let shape = match (&identity.username, &secret, &identity.docker_config) {
            (_, _, Some(path)) => json!({"docker_config": {"path": path}}),
            (None, Value::Null, None) => return Ok(None),
            (Some(username), secret, None) if !secret.is_null() && identity.oauth_token_env.is_some() => {
                json!({"quay": {"username": username, "password": secret, "token": {"env": identity.oauth_token_env}}})
            }
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

/// The credential with another password.
fn with_password(saved: &Credential, password: Secret) -> Result<Credential> {
    Ok(match saved.clone() {
        Credential::Basic { username, .. } => Credential::Basic { username, password },
        Credential::DockerHub { username, .. } => Credential::DockerHub { username, password },
        Credential::Quay { username, token, .. } => Credential::Quay { username, password, token },
        _ => {
            return Err(Error::new(Kind::InvalidInput, "the user of the password is missing")
                .with_hint("give the name with --username, or a token with --token-env"));
        }
    })
}

impl Identity {
    /// Whether an option gives a password, and can give nothing else.
    fn has_password(&self) -> bool {
        self.password_stdin || self.password_env.is_some() || self.password_file.is_some()
    }

    /// The credential of a cloud, where an option of one is given.
    fn cloud(&self, kind: &str) -> Option<Value> {
        let given = |fields: &[(&str, Value)]| -> Option<Value> {
            let fields: Map<_, _> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        };
        let aws = [
            ("profile", json!(self.profile)),
            ("role_arn", json!(self.role_arn)),
            ("external_id", json!(self.external_id)),
            ("role_session_name", json!(self.role_session_name)),
            ("web_identity_token_file", json!(self.web_identity_token_file)),
            ("sts_endpoint", json!(self.sts_endpoint)),
        ];
        let env = |name: &Option<String>| name.as_ref().map_or(Value::Null, |name| json!({"env": name}));
        let switch = |on: bool| if on { json!(true) } else { Value::Null };
        let token = env(&self.access_token_env);
        let (of_azure, of_google) = if kind == "acr" { (token, Value::Null) } else { (Value::Null, token) };
        let azure = [
            ("tenant_id", json!(self.tenant)),
            ("client_id", json!(self.client_id)),
            ("client_secret", env(&self.client_secret_env)),
            ("client_certificate", json!(self.client_certificate)),
            ("federated_token_file", json!(self.federated_token_file)),
            ("managed_identity", switch(self.managed_identity)),
            ("access_token", of_azure),
            ("refresh_token", env(&self.refresh_token_env)),
            ("authority", json!(self.authority)),
            ("audience", json!(self.audience)),
        ];
        let google = if kind == "gcr" { "gcr" } else { "gar" };
        let account = [
            ("service_account", self.key_file.as_ref().map_or(Value::Null, |path| json!({"file": path}))),
            ("access_token", of_google),
            ("metadata", switch(self.metadata)),
        ];
        [("aws", given(&aws)), ("azure", given(&azure)), (google, given(&account))]
            .into_iter()
            .find_map(|(name, shape)| Some(json!({name: shape?})))
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connection: Connection,
    }

    fn credential(kind: &str, line: &str) -> String {
        let line =
            Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_string(&line.connection.credential(kind, &Credential::default()).unwrap()).unwrap()
    }

    /// Options of the clouds, and the credential that they are.
    #[rustfmt::skip]
    const CLOUDS: &[(&str, &str, &str)] = &[
        ("ecr", "--role-arn a --web-identity-token-file f", r#"{"aws":{"role_arn":"a","web_identity_token_file":"f"}}"#),
        ("ecr", "--profile p --sts-endpoint https://sts", r#"{"aws":{"profile":"p","sts_endpoint":"https://sts"}}"#),
        ("acr", "--managed-identity", r#"{"azure":{"managed_identity":true}}"#),
        ("acr", "--managed-identity --client-id i", r#"{"azure":{"client_id":"i","managed_identity":true}}"#),
        ("acr", "--tenant t --client-id i --client-certificate c", r#"{"azure":{"tenant_id":"t","client_id":"i","client_certificate":"c"}}"#),
        ("acr", "--tenant t --client-id i --federated-token-file f", r#"{"azure":{"tenant_id":"t","client_id":"i","federated_token_file":"f"}}"#),
        ("ecr", "--role-arn a --external-id e --role-session-name n", r#"{"aws":{"role_arn":"a","external_id":"e","role_session_name":"n"}}"#),
        ("acr", "--refresh-token-env V", r#"{"azure":{"refresh_token":{"env":"V"}}}"#),
        ("acr", "--managed-identity --authority https://e --audience u", r#"{"azure":{"managed_identity":true,"authority":"https://e","audience":"u"}}"#),
        ("acr", "--tenant t --client-id i --client-secret-env S", r#"{"azure":{"tenant_id":"t","client_id":"i","client_secret":{"env":"S"}}}"#),
        ("acr", "--access-token-env V", r#"{"azure":{"access_token":{"env":"V"}}}"#),
        ("gar", "--access-token-env V", r#"{"gar":{"access_token":{"env":"V"}}}"#),
        ("gar", "--key-file k", r#"{"gar":{"service_account":{"file":"k"}}}"#),
        ("gar", "--metadata", r#"{"gar":{"metadata":true}}"#),
        ("gcr", "--access-token-env V", r#"{"gcr":{"access_token":{"env":"V"}}}"#),
        ("gcr", "--key-file k", r#"{"gcr":{"service_account":{"file":"k"}}}"#),
        ("gcr", "--metadata", r#"{"gcr":{"metadata":true}}"#),
        ("quay", "-u team+scan --password-env P --oauth-token-env T", r#"{"quay":{"username":"team+scan","password":{"env":"P"},"token":{"env":"T"}}}"#),
    ];

    #[test]
    fn options_of_the_clouds_are_their_credentials() {
        for (kind, line, expected) in CLOUDS {
            assert_eq!(credential(kind, line), *expected, "{line}");
        }
        for line in [
            "--role-session-name n",
            "--refresh-token-env V --managed-identity",
            "--refresh-token-env V --audience u",
            "--web-identity-token-file f",
            "--client-certificate c",
            "--metadata --key-file k",
            "--managed-identity --tenant t",
        ] {
            assert!(Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).is_err(), "{line}");
        }
    }

    #[test]
    fn every_field_of_a_credential_has_an_option() {
        // What else gives them: the variables of the AWS tools, `--username` and a password option.
        let elsewhere = ["access_key_id", "secret_access_key", "session_token", "username", "password"];
        let shown: Vec<Value> = CLOUDS.iter().map(|(.., shape)| serde_json::from_str(shape).unwrap()).collect();
        for name in ["aws", "azure", "gcr", "gar"] {
            // The error about a field that does not exist names those that do.
            let error = serde_json::from_value::<Credential>(json!({name: {"?": 1}})).unwrap_err().to_string();
            let (_, known) = error.split_once("expected one of ").unwrap();
            for field in known.split(", ").map(|field| field.trim_matches('`')) {
                let has_option = shown.iter().any(|shape| shape.pointer(&format!("/{name}/{field}")).is_some());
                assert!(has_option || elsewhere.contains(&field), "{name}: {field}");
            }
        }
    }
}

//! Relative paths in a definition: they mean something only together with a folder.

use std::path::{Path, PathBuf};

use super::credential::Credential;
use super::definition::Registry;
use super::secret::Secret;

impl Registry {
    /// The same registry whose relative paths start in `folder`: those of certificates and keys, of the files of secrets, of programs
    /// that are named with a folder, of docker's configuration. What is saved for later is read from another working folder.
    ///
    /// ```
    /// use tidewaiter::registry::Registry;
    /// let registry = Registry::docker("https://registry.example").with_ca("ca.pem").in_folder("/etc/scan");
    /// assert_eq!(registry.ca.unwrap(), std::path::Path::new("/etc/scan/ca.pem"));
    /// ```
    #[must_use]
    pub fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        for path in [&mut self.ca, &mut self.client_cert, &mut self.client_key] {
            put(path, folder);
        }
        for path in self.credential.paths() {
            put(path, folder);
        }
        for secret in self.credential.secrets() {
            secret.put_in(folder);
        }
        self
    }
}

impl Credential {
    /// The files that it names.
    fn paths(&mut self) -> Vec<&mut Option<PathBuf>> {
        match self {
            Self::DockerConfig { path } => vec![path],
            Self::Aws(aws) => vec![&mut aws.web_identity_token_file],
            Self::Azure(azure) => vec![&mut azure.client_certificate, &mut azure.federated_token_file],
            Self::Anonymous
            | Self::Basic { .. }
            | Self::Token { .. }
            | Self::DockerHub { .. }
            | Self::Quay { .. }
            | Self::Gcr(_)
            | Self::Gar(_) => Vec::new(),
        }
    }

    /// The secrets that it names.
    fn secrets(&mut self) -> Vec<&mut Secret> {
        match self {
            Self::Anonymous | Self::DockerConfig { .. } => Vec::new(),
            Self::Basic { password, .. } | Self::DockerHub { password, .. } => vec![password],
            Self::Token { token } => vec![token],
            Self::Quay { password, token, .. } => token.iter_mut().chain([password]).collect(),
            Self::Aws(aws) => [&mut aws.secret_access_key, &mut aws.session_token].into_iter().flatten().collect(),
            Self::Azure(azure) => {
                [&mut azure.client_secret, &mut azure.password, &mut azure.access_token, &mut azure.refresh_token]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            Self::Gcr(google) | Self::Gar(google) => {
                [&mut google.service_account, &mut google.access_token].into_iter().flatten().collect()
            }
        }
    }
}

/// An absolute path stays as it is.
fn put(path: &mut Option<PathBuf>, folder: &Path) {
    if let Some(path) = path {
        *path = folder.join(&*path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_relative_path_is_left() {
        let secret = r#"{"file": "rel/s"}"#;
        for credential in [
            format!(r#"{{"basic": {{"username": "a", "password": {secret}}}}}"#),
            format!(r#"{{"dockerhub": {{"username": "a", "password": {secret}}}}}"#),
            format!(r#"{{"token": {{"token": {secret}}}}}"#),
            format!(r#"{{"quay": {{"username": "a", "password": {secret}, "token": {secret}}}}}"#),
            format!(
                r#"{{"aws": {{"secret_access_key": {secret}, "session_token": {secret}, "web_identity_token_file": "rel/t"}}}}"#
            ),
            format!(
                r#"{{"azure": {{"client_secret": {secret}, "password": {secret}, "access_token": {secret}, "refresh_token": {secret},
                    "client_certificate": "rel/c", "federated_token_file": "rel/f"}}}}"#
            ),
            format!(r#"{{"gcr": {{"service_account": {secret}, "access_token": {secret}}}}}"#),
            format!(r#"{{"gar": {{"service_account": {secret}, "access_token": {secret}}}}}"#),
            r#"{"docker_config": {"path": "rel/config.json"}}"#.to_owned(),
            r#"{"token": {"token": {"command": ["rel/program", "an argument"]}}}"#.to_owned(),
        ] {
            let json = format!(
                r#"{{"url": "r.io", "ca": "rel/ca", "client_cert": "rel/cert", "client_key": "rel/key", "credential": {credential}}}"#
            );
            let before = Registry::from_json(&json).unwrap();
            let after = serde_json::to_string(&before.clone().in_folder("/etc/scan")).unwrap();
            assert_eq!(after.matches("\"/etc/scan/rel/").count(), json.matches("\"rel/").count(), "{after}");
            assert!(!after.contains("\"rel/"), "{after}");
            let again = serde_json::to_string(&before.in_folder("/etc/scan").in_folder("/other")).unwrap();
            assert_eq!(again, after, "absolute paths stay");
        }
    }

    #[test]
    fn a_program_by_its_name_alone_is_looked_for_in_path() {
        let json = r#"{"url":"r.io","credential":{"token":{"token":{"command":["pass","show","r"]}}}}"#;
        let registry = Registry::from_json(json).unwrap().in_folder("/etc");
        assert!(serde_json::to_string(&registry).unwrap().contains(r#"["pass","show","r"]"#));
    }
}

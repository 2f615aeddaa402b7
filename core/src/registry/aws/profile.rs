//! The shared configuration files, `~/.aws/config` and `~/.aws/credentials`.

use std::collections::HashMap;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::registry::surroundings::{self, Surroundings};

/// The settings of one section. `Debug` shows no value.
#[derive(Clone, Default)]
pub(super) struct Section(HashMap<String, Zeroizing<String>>);

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Section {
    /// A setting; none where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Both files.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    profiles: HashMap<String, Section>,
    sessions: HashMap<String, Section>,
}

impl Profiles {
    /// Reads both files where they are.
    pub(super) async fn open(surroundings: &Surroundings, context: &Context) -> Result<Self> {
        let mut profiles = Self::default();
        for (variable, name) in [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")] {
            let usual = || surroundings.home().map(|home| home.join(".aws").join(name));
            let Some(path) = surroundings.variable(variable).map(PathBuf::from).or_else(usual) else { continue };
            if let Some(bytes) = surroundings::file(&path, context).await? {
                let text = std::str::from_utf8(&bytes).map_err(|_| {
                    Error::new(Kind::InvalidInput, "a configuration file is no text").with("path", path.display())
                })?;
                profiles.read(text, name == "config");
            }
        }
        Ok(profiles)
    }

    /// A profile.
    pub(super) fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// A session of the single sign-on.
    pub(super) fn session(&self, name: &str) -> Option<&Section> {
        self.sessions.get(name)
    }

    /// Adds the sections of one file. What is nested (indented more than the setting before it) belongs to that and is left out.
    fn read(&mut self, text: &str, is_config: bool) {
        let mut current: Option<&mut Section> = None;
        // The indentation of the setting before, in its section.
        let mut before = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let indentation = line.len() - line.trim_start().len();
            if let Some(header) = trimmed.strip_prefix('[') {
                before = None;
                let header = header.split(']').next().unwrap_or_default().trim();
                current = match header.split_once(char::is_whitespace) {
                    Some(("profile", name)) if is_config => Some(self.profiles.entry(unquoted(name)).or_default()),
                    Some(("sso-session", name)) if is_config => Some(self.sessions.entry(unquoted(name)).or_default()),
                    None if !is_config || header == "default" => {
                        Some(self.profiles.entry(header.to_owned()).or_default())
                    }
                    _ => None,
                };
            } else if before.is_none_or(|before| indentation <= before)
                && let Some((name, value)) = trimmed.split_once('=')
                && let Some(section) = &mut current
            {
                before = Some(indentation);
                // A comment behind a value begins with a blank.
                let value = value.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default();
                section.0.insert(name.trim().to_ascii_lowercase(), Zeroizing::new(value.trim().to_owned()));
            }
        }
    }
}

fn unquoted(name: &str) -> String {
    name.trim().trim_matches('"').trim_matches('\'').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn takes_anything(text in "(\\[|\\]|profile |sso-session |\n|=| |#|.)*", is_config: bool) {
            Profiles::default().read(&text, is_config);
        }
    }

    #[test]
    fn keys_of_a_section_may_be_indented_all_alike() {
        let mut profiles = Profiles::default();
        profiles.read(
            "[default]\n  aws_access_key_id = AKID\n  # comment\n\n  s3 =\n    addressing = path\n  region = x\n[b]\nregion = y\n",
            false,
        );
        let get = |profile: &str, name: &str| profiles.profile(profile)?.get(name).map(str::to_owned);
        assert_eq!(get("default", "aws_access_key_id").as_deref(), Some("AKID"));
        assert_eq!((get("default", "region").as_deref(), get("default", "addressing")), (Some("x"), None));
        assert_eq!(get("b", "region").as_deref(), Some("y"));
    }

    #[test]
    fn reads_both_files() {
        let mut profiles = Profiles::default();
        profiles.read(
            "[default]\nregion = eu-west-1\n# comment\n[profile \"a b\"]\nrole_arn=arn:x ; why\ns3 =\n  addressing = path\n[sso-session s]\nsso_region=us-east-1\n[services x]\necr =\n[plain]\nregion = no\n",
            true,
        );
        profiles.read("[default]\nAWS_ACCESS_KEY_ID = AKID\naws_secret_access_key = a=b#c\n[plain]\nx = y\n", false);
        let get = |profile: &str, name: &str| profiles.profile(profile)?.get(name).map(str::to_owned);
        assert_eq!(get("default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(get("default", "aws_access_key_id").as_deref(), Some("AKID"));
        assert_eq!(get("default", "aws_secret_access_key").as_deref(), Some("a=b#c"));
        assert_eq!(get("a b", "role_arn").as_deref(), Some("arn:x"));
        assert_eq!((get("a b", "s3"), get("a b", "addressing")), (None, None));
        assert_eq!((get("plain", "x").as_deref(), get("plain", "region")), (Some("y"), None));
        assert_eq!(profiles.session("s").unwrap().get("sso_region"), Some("us-east-1"));
        assert!(!format!("{profiles:?}").contains("a=b#c"));
    }
}

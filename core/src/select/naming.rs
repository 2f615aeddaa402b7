//! What a user may write for a repository of a given registry, and what the registry calls it.

use super::pattern::Syntax;
use crate::error::{Error, Kind, Result};
use crate::model::reference::DOCKER_HUB;

/// How a registry names its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The host, as references write it; empty where it is not known.
    host: String,
    /// What the definition of the registry already holds, such as a project: it is not part of the names.
    prefix: String,
    /// Whether a name of one word is in `library/`.
    library: bool,
    /// How patterns are read.
    syntax: Syntax,
}

impl Naming {
    /// A registry whose repositories are named by their full path.
    pub fn of_host(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }

    /// Docker Hub, where `nginx` means `library/nginx`.
    pub fn docker_hub() -> Self {
        Self { library: true, ..Self::of_host(DOCKER_HUB) }
    }

    /// A registry whose definition holds the start of every path, such as `project` or `project/repository`.
    pub fn below(host: impl Into<String>, prefix: &str) -> Self {
        Self { prefix: prefix.trim_matches('/').to_owned(), ..Self::of_host(host) }
    }

    /// Artifactory, where patterns have `*` and `?` anywhere.
    pub fn artifactory(host: impl Into<String>) -> Self {
        Self { syntax: Syntax::Wildcard, ..Self::of_host(host) }
    }

    /// The same registry, where patterns have `*` and `?` anywhere.
    #[must_use]
    pub fn with_wildcards(self) -> Self {
        Self { syntax: Syntax::Wildcard, ..self }
    }

    /// How patterns are read.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// Whether queries in AQL are understood there: by Artifactory alone. Criteria are about its files, with who changed them, their
    /// checksums and properties. An image of another registry has none of these, so that a criterion would silently mean nothing or
    /// everything: better refused.
    pub fn has_aql(&self) -> bool {
        self.syntax == Syntax::Wildcard
    }

    /// A pattern for repositories as it holds for the names that are listed: without the host, without what the definition
    /// holds. What is written with `glob:` or `regex:` stays as it is.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a tag or a digest, and for the path of another registry or project.
    pub fn resolve(&self, text: &str) -> Result<String> {
        if text.starts_with("glob:") || text.starts_with("regex:") {
            return Ok(text.to_owned());
        }
        let wrong =
            |message: &'static str| Error::new(Kind::InvalidInput, message).with("pattern", text.escape_debug());
        if text.contains("://") {
            return Err(
                wrong("a repository is a path, not an address").with_hint("leave out https:// and the registry")
            );
        }
        let mut name = text;
        let mut is_full = false;
        if let Some((first, rest)) = text.split_once('/') {
            if !self.host.is_empty() && first.eq_ignore_ascii_case(&self.host) {
                (name, is_full) = (rest, true);
            } else if !self.prefix.is_empty() && self.is_sibling(first) {
                return Err(wrong("this repository is in another registry").with("registry", &self.host));
            }
        }
        if name.contains([':', '@']) {
            return Err(wrong("a repository has no tag and no digest")
                .with_hint("say which tags in the filter for tags: tags, or --tag"));
        }
        if !self.prefix.is_empty() {
            match name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('/')) {
                Some(rest) => name = rest,
                None if is_full => {
                    return Err(wrong("this repository is in another project").with_hint(format!(
                        "the registry holds {}/{}; write what follows, or add a registry for the other project",
                        self.host, self.prefix
                    )));
                }
                None => {}
            }
        }
        if self.library && !name.is_empty() && !name.contains(['/', '*']) {
            return Ok(format!("library/{name}"));
        }
        Ok(name.to_owned())
    }

    /// Whether `first` is a host of the same vendor: `us.gcr.io` beside `eu.gcr.io`.
    fn is_sibling(&self, first: &str) -> bool {
        let mut labels = self.host.rsplitn(3, '.');
        let (Some(top), Some(second)) = (labels.next(), labels.next()) else { return false };
        let mut others = first.rsplitn(3, '.');
        others.next() == Some(top) && others.next() == Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_registry_lists() {
        let plain = Naming::of_host("r.io:5000");
        let hub = Naming::docker_hub();
        let gcr = Naming::below("eu.gcr.io", "acme");
        let gar = Naming::below("europe-docker.pkg.dev", "acme/images");
        for (naming, text, expected) in [
            (&plain, "team/app", "team/app"),
            (&plain, "nginx", "nginx"),
            (&plain, "r.io:5000/team/*", "team/*"),
            (&plain, "my.team/app", "my.team/app"),
            (&plain, "regex:^a:b$", "regex:^a:b$"),
            (&hub, "nginx", "library/nginx"),
            (&hub, "docker.io/nginx", "library/nginx"),
            (&hub, "acme/shop", "acme/shop"),
            (&hub, "*", "*"),
            (&hub, ".*", ".*"),
            (&hub, "nginx*", "nginx*"),
            (&hub, "library/nginx", "library/nginx"),
            (&gcr, "team/app", "team/app"),
            (&gcr, "acme/team/app", "team/app"),
            (&gcr, "eu.gcr.io/acme/team/*", "team/*"),
            (&gcr, "acmeteam/app", "acmeteam/app"),
            (&gar, "europe-docker.pkg.dev/acme/images/app", "app"),
            (&gar, "acme/images/app", "app"),
            (&gar, "app", "app"),
        ] {
            assert_eq!(naming.resolve(text).unwrap(), expected, "{text}");
        }
        for (naming, text, message) in [
            (&plain, "team/app:1.0", "no tag"),
            (&plain, "r.io:5000/team/app:1.0", "no tag"),
            (&plain, "team/app@sha256:12", "no tag"),
            (&plain, "https://r.io:5000/team/app", "not an address"),
            (&hub, "nginx:latest", "no tag"),
            (&gcr, "eu.gcr.io/other/app", "another project"),
            (&gcr, "eu.gcr.io/acme-2/app", "another project"),
            (&gcr, "gcr.io/acme/app", "another registry"),
            (&gar, "europe-docker.pkg.dev/acme/other/app", "another project"),
            (&gar, "us-docker.pkg.dev/acme/images/app", "another registry"),
        ] {
            let error = naming.resolve(text).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput, "{text}");
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
        assert!(plain.resolve("team/app:1.0").unwrap_err().hint().unwrap().contains("--tag"));
    }
}

//! References: what a user writes to name an image (`host[:port]/repository[:tag][@digest]`).
//!
//! Grammar: OCI distribution specification 1.1, "Pulling manifests". Defaults as the Docker client has them: without a host
//! it is Docker Hub, a one-segment name there is in `library/`, without a tag it is `latest`.

use std::fmt;
use std::str::FromStr;

use super::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The name that Docker Hub has in references.
pub const DOCKER_HUB: &str = "docker.io";

/// An image in a registry, parsed once, at the door.
///
/// ```
/// use tidewaiter::model::reference::ImageRef;
/// let image: ImageRef = "debian:12".parse()?;
/// assert_eq!(image.to_string(), "docker.io/library/debian:12");
/// let image: ImageRef = "localhost:5000/team/app".parse()?;
/// assert_eq!((image.host(), image.repository(), image.tag()), ("localhost:5000", "team/app", Some("latest")));
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
    plain_http: bool,
}

impl ImageRef {
    /// The registry as it was written, with its port: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; none where only a digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which decides where there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether it was written with `http://`.
    pub fn plain_http(&self) -> bool {
        self.plain_http
    }

    /// What follows `/manifests/` in a request: the digest, or the tag.
    pub fn target(&self) -> &str {
        self.digest.as_ref().map_or_else(|| self.tag.as_deref().unwrap_or("latest"), Digest::as_str)
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: &'static str| {
            Error::new(Kind::InvalidInput, message)
                .with("image", text.escape_debug())
                .with_hint("an image is written as registry/repository:tag or registry/repository@sha256:…")
        };
        let (plain_http, rest) = match text.split_once("://") {
            Some(("https", rest)) => (false, rest),
            Some(("http", rest)) => (true, rest),
            Some(_) => return Err(wrong("a registry speaks https or http")),
            None => (false, text),
        };
        let (host, rest) = match rest.split_once('/') {
            Some((host, rest)) if is_host(host) => (host.to_owned(), rest),
            _ if plain_http || text.starts_with("https://") => {
                return Err(wrong("behind the registry a repository is missing"));
            }
            _ => (DOCKER_HUB.to_owned(), rest),
        };
        let host = if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io") {
            DOCKER_HUB.to_owned()
        } else {
            host
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if repository.is_empty() {
            return Err(wrong("the repository is missing"));
        }
        if !is_repository(repository) {
            return Err(wrong("a repository is lower-case letters, digits and . _ - between slashes"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag is up to 128 letters, digits, _ . and -, and does not start with . or -"));
        }
        let repository = if host == DOCKER_HUB && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        if host.len() + repository.len() > 255 {
            return Err(wrong("registry and repository are longer than 255 characters together"));
        }
        let tag = match (tag, &digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { host, repository, tag, digest, plain_http })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Whether the first part of a reference is a registry: it has a dot, a colon, or is `localhost`.
fn is_host(text: &str) -> bool {
    let valid = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port))
        }),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
                && (port.is_empty() || is_port(port))
        }
    };
    valid && (text.contains(['.', ':']) || text == "localhost")
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The longest repository: registries keep to it, since clients allow no more together with the host.
const MAX_REPOSITORY: usize = 255;

/// Whether `text` is a repository: components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes, and 255
/// characters at the most.
pub fn is_repository(text: &str) -> bool {
    fn is_component(text: &str) -> bool {
        let mut separator = String::new();
        let mut last_was_word = false;
        for character in text.chars() {
            match character {
                'a'..='z' | '0'..='9' => {
                    let joins =
                        matches!(separator.as_str(), "" | "." | "_" | "__") || separator.chars().all(|c| c == '-');
                    if !joins {
                        return false;
                    }
                    separator.clear();
                    last_was_word = true;
                }
                '.' | '_' | '-' if last_was_word || !separator.is_empty() => {
                    separator.push(character);
                    last_was_word = false;
                }
                _ => return false,
            }
        }
        last_was_word
    }
    text.len() <= MAX_REPOSITORY && text.split('/').all(is_component)
}

/// Whether `text` is a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("acme/shop:1.4", "docker.io/acme/shop:1.4"),
            ("registry-1.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("ghcr.io/acme/shop:1.4", "ghcr.io/acme/shop:1.4"),
            ("localhost/app", "localhost/app:latest"),
            ("[::1]:5000/app:1", "[::1]:5000/app:1"),
            ("http://127.0.0.1:5000/a/b-c__d.e:v1", "127.0.0.1:5000/a/b-c__d.e:v1"),
        ] {
            assert_eq!(text.parse::<ImageRef>().unwrap().to_string(), shown, "{text}");
        }
        let digest = Digest::of(b"");
        let image: ImageRef = format!("r.io/a:t@{digest}").parse().unwrap();
        assert_eq!((image.tag(), image.target()), (Some("t"), digest.as_str()));
        let image: ImageRef = format!("r.io/a@{digest}").parse().unwrap();
        assert_eq!(image.tag(), None);
    }

    #[test]
    fn refuses_what_no_registry_takes() {
        for text in [
            "",
            "A",
            "a//b",
            "r.io/",
            "r.io/a:",
            "r.io/a:-x",
            "a@sha256:12",
            "ftp://r.io/a",
            "a/../b",
            "r.io/a_.b",
            "r.io:99999/a/",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
        assert!(is_repository(&"a".repeat(255)) && !is_repository(&"a".repeat(256)));
    }
}

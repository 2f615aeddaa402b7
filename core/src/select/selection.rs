//! A selection as a user writes it: one shape for Rust, C, Python, JSON and TOML, and for the definitions of jobs.

use std::fmt;
use std::num::NonZeroU64;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aql;
use super::naming::Naming;
use super::pattern::{Patterns, Syntax};
use super::pushed::Pushed;
use super::selector::Selector;
use crate::error::{Error, Kind, Result};
use crate::model::platform::Platform;
use crate::model::zone::Zone;

/// Which images of a registry are meant. The default is all of them. Unknown fields are refused by name.
///
/// ```
/// use tidewaiter::select::{Pushed, Selection};
/// let selection = Selection::new().repositories(["team/*"])?.tags(["v*"])?.pushed(Pushed::last_days(7)?);
/// let same = Selection::from_json(r#"{"repositories": ["team/*"], "tags": ["v*"], "pushed": 7}"#)?;
/// assert_eq!(selection, same);
/// assert!(Selection::new().repositories(["team/app:1.0"]).is_err());
/// # Ok::<(), tidewaiter::Error>(())
/// ```
///
/// The builder reads patterns in the plain [syntax](Syntax). Those of an Artifactory, which have stars anywhere, are put into the
/// fields; [`Selection::on`] checks all fields for the registry that they are meant for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Selection {
    /// Patterns of repositories; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Patterns of repositories that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_repositories: Vec<String>,
    /// Patterns of tags; empty means all, and images without a tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Patterns of tags that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_tags: Vec<String>,
    /// When they were pushed.
    #[serde(skip_serializing_if = "Pushed::is_all")]
    pub pushed: Pushed,
    /// The time zone of the days of `pushed`.
    #[serde(skip_serializing_if = "is_utc")]
    pub zone: Zone,
    /// What `pushed` means for images without a push date.
    #[serde(skip_serializing_if = "is_default")]
    pub undated: Undated,
    /// So many images of each repository, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<NonZeroU64>,
    /// So many images in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<NonZeroU64>,
    /// Criteria in AQL, `items.find({...})`, for an Artifactory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aql: Option<String>,
    /// Platforms of an index: `os/architecture[/variant]`, `host` or `all`; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

/// What a date filter does where the registry has no push date. Without a date filter it does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undated {
    /// The build date decides, and the answer says so. An image without that either is kept.
    #[default]
    Built,
    /// Such images are kept, whatever their build date.
    Include,
    /// Such images are left out.
    Exclude,
}

impl Undated {
    /// Every policy.
    pub const ALL: &'static [Self] = &[Self::Built, Self::Include, Self::Exclude];

    /// The policy as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Include => "include",
            Self::Exclude => "exclude",
        }
    }
}

impl fmt::Display for Undated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Undated {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|policy| policy.as_str() == text).ok_or_else(|| {
            Error::new(Kind::InvalidInput, "there is no such policy for images without a push date")
                .with("undated", text.escape_debug())
                .with_hint("built, include or exclude")
        })
    }
}

fn is_utc(zone: &Zone) -> bool {
    *zone == Zone::utc()
}

fn is_default(undated: &Undated) -> bool {
    *undated == Undated::default()
}

/// The platforms that are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All that an index has and that can run.
    #[default]
    All,
    /// These.
    Only(Vec<Platform>),
}

impl Wanted {
    /// Reads platforms as a selection names them.
    pub(crate) fn read(texts: &[String]) -> Result<Self> {
        if texts.is_empty() || texts.iter().any(|text| text == "all") {
            return Ok(Self::All);
        }
        let one = |text: &String| if text == "host" { Ok(Platform::host()) } else { text.parse() };
        texts.iter().map(one).collect::<Result<_>>().map(Self::Only)
    }

    /// Whether an image of `platform` is meant. That of attestations, `unknown/unknown`, never is.
    pub fn accepts(&self, platform: &Platform) -> bool {
        !platform.is_unknown()
            && match self {
                Self::All => true,
                Self::Only(list) => list.iter().any(|wanted| wanted.accepts(platform)),
            }
    }
}

impl Selection {
    /// All images.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a selection in JSON.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`], with what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self> {
        // serde would also take a list of the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(Error::new(Kind::InvalidInput, "a selection is a JSON object"));
        }
        serde_json::from_str(text)
            .map_err(|error| Error::new(Kind::InvalidInput, format!("this is no selection: {error}")))
    }

    /// The same selection, of these repositories too.
    ///
    /// # Errors
    /// As [`Pattern::new`](super::Pattern::new); [`Kind::InvalidInput`] for a repository with a tag or a digest.
    pub fn repositories(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        self.repositories.extend(patterns.into_iter().map(Into::into));
        self.repository_patterns(&Naming::default()).map(|_| self)
    }

    /// The same selection without these repositories.
    ///
    /// # Errors
    /// As [`Selection::repositories`].
    pub fn exclude_repositories(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        self.exclude_repositories.extend(patterns.into_iter().map(Into::into));
        self.repository_patterns(&Naming::default()).map(|_| self)
    }

    /// The same selection, of these tags too.
    ///
    /// # Errors
    /// As [`Pattern::new`](super::Pattern::new).
    pub fn tags(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        self.tags.extend(patterns.into_iter().map(Into::into));
        self.tag_patterns(Syntax::Plain).map(|_| self)
    }

    /// The same selection without these tags.
    ///
    /// # Errors
    /// As [`Selection::tags`].
    pub fn exclude_tags(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        self.exclude_tags.extend(patterns.into_iter().map(Into::into));
        self.tag_patterns(Syntax::Plain).map(|_| self)
    }

    /// The same selection with a date filter.
    #[must_use]
    pub fn pushed(self, pushed: Pushed) -> Self {
        Self { pushed, ..self }
    }

    /// The same selection, with days of this time zone.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a zone that does not exist.
    pub fn zone(self, name: &str) -> Result<Self> {
        Ok(Self { zone: name.parse()?, ..self })
    }

    /// The same selection with another policy for images without a push date.
    #[must_use]
    pub fn undated(self, undated: Undated) -> Self {
        Self { undated, ..self }
    }

    /// The same selection, of the newest `count` images of each repository.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for none.
    pub fn newest(self, count: u64) -> Result<Self> {
        Ok(Self { newest: Some(at_least_one(count, "newest")?), ..self })
    }

    /// The same selection, of at most `count` images in all.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for none.
    pub fn cap(self, count: u64) -> Result<Self> {
        Ok(Self { cap: Some(at_least_one(count, "cap")?), ..self })
    }

    /// The same selection with criteria in AQL.
    ///
    /// # Errors
    /// As [`aql::Query::new`].
    pub fn aql(self, text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        aql::Query::new(&text)?;
        Ok(Self { aql: Some(text), ..self })
    }

    /// The same selection, of these platforms: `os/architecture[/variant]`, `host` or `all`.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for what is no platform.
    pub fn platforms(mut self, platforms: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        self.platforms.extend(platforms.into_iter().map(Into::into));
        Wanted::read(&self.platforms).map(|_| self)
    }

    /// The first field that chooses among the images of a repository. Where repositories alone are asked for, it could only be left out
    /// of account.
    pub fn field_of_images(&self) -> Option<&'static str> {
        let fields = [
            ("tags", !self.tags.is_empty()),
            ("exclude_tags", !self.exclude_tags.is_empty()),
            ("pushed", !self.pushed.is_all()),
            ("newest", self.newest.is_some()),
            ("cap", self.cap.is_some()),
            ("aql", self.aql.is_some()),
            ("platforms", !self.platforms.is_empty()),
        ];
        fields.into_iter().find(|(_, is_set)| *is_set).map(|(field, _)| field)
    }

    /// The selection made ready for a registry: all fields are read as they are meant there.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a pattern that cannot be right, a repository with a tag or of another project, a platform that is
    /// none, or a wrong query; [`Kind::Unsupported`] for a query where there is no AQL, or that cannot be decided here.
    pub fn on(&self, naming: &Naming) -> Result<Selector> {
        let aql = match &self.aql {
            None => None,
            Some(_) if !naming.has_aql() => {
                return Err(Error::new(Kind::Unsupported, "only an Artifactory understands aql")
                    .with("field", "aql")
                    .with_hint("use the filters for repositories, tags and dates"));
            }
            Some(text) => Some(aql::Query::new(text).map_err(|error| error.with("field", "aql"))?),
        };
        Ok(Selector {
            repositories: self.repository_patterns(naming)?,
            tags: self.tag_patterns(naming.syntax())?,
            pushed: self.pushed.clone(),
            zone: self.zone.clone(),
            undated: self.undated,
            newest: self.newest,
            cap: self.cap,
            aql,
            platforms: Wanted::read(&self.platforms)?,
        })
    }

    /// What can only be said when the selection is made: a date filter does not start in the future. A selection that is stored is
    /// not held to it again, since a clock may jump back.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`].
    pub fn check(&self, now: Timestamp) -> Result<()> {
        self.pushed.check(&self.zone, now)
    }

    fn repository_patterns(&self, naming: &Naming) -> Result<Patterns> {
        let read = |field: &'static str, texts: &[String]| -> Result<Vec<String>> {
            let resolve = |text: &String| naming.resolve(text).map_err(|error| error.with("field", field));
            texts.iter().map(resolve).collect()
        };
        let include = read("repositories", &self.repositories)?;
        let exclude = read("exclude_repositories", &self.exclude_repositories)?;
        Patterns::new(&include, &exclude, naming.syntax()).map_err(|error| error.with("field", "repositories"))
    }

    fn tag_patterns(&self, syntax: Syntax) -> Result<Patterns> {
        Patterns::new(&self.tags, &self.exclude_tags, syntax).map_err(|error| error.with("field", "tags"))
    }
}

fn at_least_one(count: u64, field: &'static str) -> Result<NonZeroU64> {
    NonZeroU64::new(count).ok_or_else(|| {
        Error::new(Kind::InvalidInput, "a limit of no image leaves nothing to do")
            .with("field", field)
            .with_hint("leave the limit out, or make it at least 1")
    })
}

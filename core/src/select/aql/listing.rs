//! The query that lists manifests in a repository of an Artifactory, with as much of a selection as the server may decide.
//!
//! What is sent never leaves out what the selection means; everything is decided here again.

use jiff::Timestamp;

use super::MAX_LENGTH;
use super::date;
use super::query::{Comparator, Criterion, Field, Node, Query, TextField, Value};
use super::render::can_be_written;
use crate::error::{Error, Kind, Result};
use crate::model::record::ImageDate;
use crate::select::pattern::{Pattern, Patterns};

/// The fields of every row: without the first three nobody but an administrator may ask.
const INCLUDED: &[&str] = &["repo", "path", "name", "modified", "created", "sha256", "size"];

/// Those first three.
const NAMES: &[&str] = &["repo", "path", "name"];

/// How many paths are worth sending.
const MAX_PATHS: usize = 32;

/// Which manifests are asked for: those of all tags of all images, unless something narrows that.
///
/// A row's path is the image, a slash and the tag; the folders of the platforms of an index are left out. A row of an image whose
/// name goes on behind a slash may come too.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    key: &'a str,
    image: Option<&'a str>,
    criteria: Option<&'a Query>,
    since: Option<Timestamp>,
    tags: Option<&'a Patterns>,
    fields: &'a [&'a str],
}

impl<'a> Listing<'a> {
    /// In the repository `key`; what a remote one has cached lies beside it, and belongs to it.
    pub fn of(key: &'a str) -> Self {
        Self { key, image: None, criteria: None, since: None, tags: None, fields: INCLUDED }
    }

    /// The same with what says which images there are, and nothing of them.
    #[must_use]
    pub fn names(self) -> Self {
        Self { fields: NAMES, ..self }
    }

    /// Those of one image.
    #[must_use]
    pub fn image(self, image: &'a str) -> Self {
        Self { image: Some(image), ..self }
    }

    /// Those that meet criteria of the user's own, as far as the server can say. What they are about is asked for too, so that
    /// they can be evaluated here.
    #[must_use]
    pub fn criteria(self, criteria: Option<&'a Query>) -> Self {
        Self { criteria, ..self }
    }

    /// Those written since then; and those with a date that nobody can have meant, since it counts as none.
    #[must_use]
    pub fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// Those whose tag matches.
    #[must_use]
    pub fn tags(self, tags: &'a Patterns) -> Self {
        Self { tags: Some(tags), ..self }
    }

    /// The query as it is sent.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a key or an image that no repository has; [`Kind::LimitExceeded`] where the criteria of the user's
    /// own do not fit any more.
    pub fn render(&self, now: Timestamp) -> Result<String> {
        if let Some(wrong) =
            [Some(self.key), self.image].into_iter().flatten().find(|name| name.is_empty() || !can_be_written(name))
        {
            return Err(Error::new(Kind::InvalidInput, "this is no name of a repository in an Artifactory")
                .with("repository", wrong.escape_debug()));
        }
        let cached = format!("{}-cache", self.key);
        let mut criteria = vec![
            Node::Or(vec![
                text(TextField::Repo, Comparator::Eq, self.key),
                text(TextField::Repo, Comparator::Eq, &cached),
            ]),
            Node::Or(vec![
                text(TextField::Name, Comparator::Eq, "manifest.json"),
                text(TextField::Name, Comparator::Eq, "list.manifest.json"),
            ]),
            text(TextField::Path, Comparator::Nmatch, "*/sha256:*"),
            text(TextField::Path, Comparator::Nmatch, "*/sha256__*"),
        ];
        if let Some(image) = self.image {
            criteria.push(text(TextField::Path, Comparator::Match, &format!("{image}/*")));
        }
        if let Some(since) = self.since {
            criteria.push(Node::Or(vec![
                instant(Comparator::Gte, date::to_millisecond(since)),
                instant(Comparator::Lt, ImageDate::FIRST),
            ]));
        }
        if let Some(query) = self.criteria {
            criteria.extend(query.for_server(now).criteria);
        }
        let base = self.print(criteria.clone());
        if base.chars().count() > MAX_LENGTH {
            return Err(Error::new(Kind::LimitExceeded, format!("the query is longer than {MAX_LENGTH} characters"))
                .with_hint("shorten the criteria in aql"));
        }
        let Some(tags) = self.tags else { return Ok(base) };
        criteria.extend(self.tagged(tags));
        criteria.extend(tags.exclude.iter().filter_map(excluded_tag));
        let full = self.print(criteria);
        Ok(if full.chars().count() > MAX_LENGTH { base } else { full })
    }

    fn print(&self, criteria: Vec<Node>) -> String {
        let mut fields: Vec<String> = self.fields.iter().map(|field| format!("\"{field}\"")).collect();
        if let Some(query) = self.criteria {
            query.each(&mut |criterion| {
                let name = match criterion.field {
                    Field::Property(_) | Field::AnyProperty => "property.*".to_owned(),
                    ref field => field.name(),
                };
                let name = format!("\"{name}\"");
                if !fields.contains(&name) {
                    fields.push(name);
                }
            });
        }
        format!("{}.include({})", Query::of(criteria), fields.join(","))
    }

    /// The paths that the patterns of tags allow, at least; none where they allow all.
    fn tagged(&self, tags: &Patterns) -> Option<Node> {
        let wildcards = tags.include.iter().map(|tag| tag.wildcard().filter(|text| can_be_written(text)));
        let wildcards: Vec<_> = wildcards.collect::<Option<_>>()?;
        if wildcards.is_empty() || wildcards.len() > MAX_PATHS || wildcards.iter().any(|text| text == "*") {
            return None;
        }
        let image = self.image.unwrap_or("*");
        let path = |tag: &String| text(TextField::Path, Comparator::Match, &format!("{image}/{tag}"));
        Some(Node::Or(wildcards.iter().map(path).collect()))
    }
}

/// A tag that is left out, where the end of the path says so. A star elsewhere would also match in the name of the image.
fn excluded_tag(pattern: &Pattern) -> Option<Node> {
    let wildcard = pattern.wildcard()?;
    let end = wildcard.strip_prefix('*').unwrap_or(&wildcard);
    (!end.is_empty() && !end.contains(['*', '?', '/']) && can_be_written(&wildcard))
        .then(|| text(TextField::Path, Comparator::Nmatch, &format!("*/{wildcard}")))
}

fn text(field: TextField, comparator: Comparator, value: &str) -> Node {
    Node::Criterion(Criterion { field: Field::Text(field), comparator, value: Value::Text(value.to_owned()) })
}

fn instant(comparator: Comparator, time: Timestamp) -> Node {
    Node::Criterion(Criterion { field: Field::Modified, comparator, value: Value::Instant(time) })
}

impl Query {
    /// What may be sent of it, which means at least as much: lengths of time become instants, so that the server's clock does not
    /// count; `$msp`, which many servers get wrong, and what only newer ones know is left to us.
    #[must_use]
    pub fn for_server(&self, now: Timestamp) -> Self {
        let now = date::to_millisecond(now);
        let mut query = Self::of(self.criteria.iter().filter_map(|node| widen(node, now)).collect());
        if self.names_a_type() && !query.names_a_type() {
            // Else the server would add that only files are meant.
            let value = Value::Text("any".to_owned());
            query.criteria.push(Node::Criterion(Criterion { field: Field::Type, comparator: Comparator::Eq, value }));
        }
        query
    }
}

/// The same or more; none where it would be all.
fn widen(node: &Node, now: Timestamp) -> Option<Node> {
    match node {
        Node::SameProperty(_) => None,
        Node::And(nodes) => {
            let nodes: Vec<_> = nodes.iter().filter_map(|node| widen(node, now)).collect();
            (!nodes.is_empty()).then_some(Node::And(nodes))
        }
        Node::Or(nodes) => nodes.iter().map(|node| widen(node, now)).collect::<Option<_>>().map(Node::Or),
        Node::Criterion(criterion) => {
            let (comparator, value) = match (criterion.comparator, &criterion.value) {
                (Comparator::EqIc | Comparator::MatchIc, _) => return None,
                (Comparator::Last, Value::Period(period)) => (Comparator::Gt, Value::Instant(period.before(now))),
                (Comparator::Before, Value::Period(period)) => (Comparator::Lt, Value::Instant(period.before(now))),
                (comparator, value) => (comparator, value.clone()),
            };
            Some(Node::Criterion(Criterion { field: criterion.field.clone(), comparator, value }))
        }
    }
}

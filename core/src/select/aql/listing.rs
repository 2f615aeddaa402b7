//! The query that lists the images of a repository of an Artifactory, with as much of a selection as the server may decide.
//!
//! What is sent never leaves out what the selection means; everything is decided here again.

use jiff::Timestamp;

use super::MAX_LENGTH;
use super::date;
use super::query::{Comparator, Criterion, Field, Node, Query, TextField, Value};
use super::render::can_be_written;
use crate::error::{Error, Kind, Result};
use crate::select::pattern::Pattern;
use crate::select::selector::Selector;

/// The fields of every row: without the first three nobody but an administrator may ask.
const INCLUDED: &[&str] = &["repo", "path", "name", "modified", "created", "sha256", "size"];

/// How many paths are worth sending.
const MAX_PATHS: usize = 32;

/// The query for the manifests of all tags in `key`, the name of a repository of the Artifactory. A row's path is the image, a
/// slash and the tag; the folders of the platforms of an index are left out.
///
/// With `narrow`, the server is asked to apply what it can of the filters: not for one who wants to know why an image is not meant.
///
/// # Errors
/// [`Kind::InvalidInput`] for a `key` that no repository has; [`Kind::LimitExceeded`] where the criteria of the user's own do not
/// fit any more.
pub fn listing(key: &str, selector: &Selector, narrow: bool, now: Timestamp) -> Result<String> {
    if key.is_empty() || !can_be_written(key) {
        return Err(Error::new(Kind::InvalidInput, "this is no name of a repository in an Artifactory")
            .with("repository", key.escape_debug()));
    }
    let mut criteria = vec![
        text(TextField::Repo, Comparator::Eq, key),
        Node::Or(vec![
            text(TextField::Name, Comparator::Eq, "manifest.json"),
            text(TextField::Name, Comparator::Eq, "list.manifest.json"),
        ]),
        text(TextField::Path, Comparator::Nmatch, "*/sha256:*"),
        text(TextField::Path, Comparator::Nmatch, "*/sha256__*"),
    ];
    if narrow {
        let window = selector.window(now)?;
        if let Some(from) = window.from {
            criteria.push(instant(Comparator::Gte, date::to_millisecond(from)));
        }
        // A date after now counts as now: an end that is still to come leaves nothing out.
        if let Some(to) = window.to.filter(|to| *to <= now) {
            criteria.push(instant(Comparator::Lt, date::up_to_millisecond(to)));
        }
        if let Some(query) = selector.aql() {
            criteria.extend(query.for_server(now).criteria);
        }
    }
    let base = print(criteria.clone(), selector);
    if base.chars().count() > MAX_LENGTH {
        return Err(Error::new(Kind::LimitExceeded, format!("the query is longer than {MAX_LENGTH} characters"))
            .with_hint("shorten the criteria in aql"));
    }
    if !narrow {
        return Ok(base);
    }
    criteria.extend(paths(selector));
    criteria.extend(selector.tags().exclude.iter().filter_map(excluded_tag));
    let full = print(criteria, selector);
    Ok(if full.chars().count() > MAX_LENGTH { base } else { full })
}

fn print(criteria: Vec<Node>, selector: &Selector) -> String {
    let mut fields: Vec<String> = INCLUDED.iter().map(|field| format!("\"{field}\"")).collect();
    if let Some(query) = selector.aql() {
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

/// The paths that the patterns of repositories and tags together allow, at least; none where they allow all.
fn paths(selector: &Selector) -> Option<Node> {
    let wildcards = |patterns: &[Pattern]| -> Vec<String> {
        let found: Option<Vec<_>> =
            patterns.iter().map(|pattern| pattern.wildcard().filter(|text| can_be_written(text))).collect();
        match found {
            Some(found) if !found.is_empty() && found.len() <= MAX_PATHS && !found.iter().any(|text| text == "*") => {
                found
            }
            _ => vec!["*".to_owned()],
        }
    };
    let (images, tags) = (wildcards(&selector.repositories().include), wildcards(&selector.tags().include));
    let tags = if images.len() * tags.len() > MAX_PATHS { vec!["*".to_owned()] } else { tags };
    let all: Vec<_> = images.iter().flat_map(|image| tags.iter().map(move |tag| format!("{image}/{tag}"))).collect();
    if all.iter().any(|path| path == "*/*") {
        return None;
    }
    Some(Node::Or(all.iter().map(|path| text(TextField::Path, Comparator::Match, path)).collect()))
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

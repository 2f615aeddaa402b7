//! Whether an item is what a query asks for, by the rules of the server.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::date;
use super::query::{Comparator, Criterion, Field, Node, Query, TextField, Value};
use crate::select::wildcard;

/// What an item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemKind {
    /// A file.
    #[default]
    File,
    /// A folder.
    Folder,
}

/// A file or folder of an Artifactory, as a row of its answer: of the fields, those that were asked for.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "they are the names of the language")]
pub struct Item {
    pub repo: String,
    pub path: String,
    pub name: String,
    pub kind: ItemKind,
    pub size: u64,
    pub depth: Option<u64>,
    pub created: Option<Timestamp>,
    pub modified: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    pub created_by: Option<String>,
    pub modified_by: Option<String>,
    pub original_md5: Option<String>,
    pub actual_md5: Option<String>,
    pub original_sha1: Option<String>,
    pub actual_sha1: Option<String>,
    pub sha256: Option<String>,
    /// The properties; a key may have several values.
    pub properties: Vec<(String, String)>,
}

impl Query {
    /// Whether the item is meant, at `now`.
    pub fn matches(&self, item: &Item, now: Timestamp) -> bool {
        let now = date::to_millisecond(now);
        (self.names_a_type() || item.kind == ItemKind::File) && self.criteria.iter().all(|node| holds(node, item, now))
    }
}

/// Nodes are no deeper than the parser lets them be.
fn holds(node: &Node, item: &Item, now: Timestamp) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| holds(node, item, now)),
        Node::Or(nodes) => nodes.iter().any(|node| holds(node, item, now)),
        Node::SameProperty(criteria) => {
            item.properties.iter().any(|property| criteria.iter().all(|criterion| row_holds(criterion, property)))
        }
        Node::Criterion(criterion) => criterion_holds(criterion, item, now),
    }
}

fn criterion_holds(criterion: &Criterion, item: &Item, now: Timestamp) -> bool {
    let Criterion { field, comparator, value } = criterion;
    match field {
        Field::Text(field) => text_holds(*comparator, text_of(item, *field), value),
        Field::Type => {
            let kind = match item.kind {
                ItemKind::File => "file",
                ItemKind::Folder => "folder",
            };
            matches!(value, Value::Text(any) if any == "any") || text_holds(*comparator, Some(kind), value)
        }
        Field::Size => number_holds(*comparator, Some(item.size), value),
        Field::Depth => number_holds(*comparator, item.depth, value),
        Field::Created => date_holds(*comparator, item.created, value, now),
        Field::Modified => date_holds(*comparator, item.modified, value, now),
        Field::Updated => date_holds(*comparator, item.updated, value, now),
        Field::Property(_) | Field::AnyProperty => {
            // The negations say that no property is so, which holds where there is none.
            let (positive, negated) = match comparator {
                Comparator::Ne => (Comparator::Eq, true),
                Comparator::Nmatch => (Comparator::Match, true),
                other => (*other, false),
            };
            let positive = Criterion { comparator: positive, ..criterion.clone() };
            item.properties.iter().any(|property| row_holds(&positive, property)) != negated
        }
    }
}

/// Whether one property is of the key and has the value.
fn row_holds(criterion: &Criterion, (key, found): &(String, String)) -> bool {
    match &criterion.field {
        Field::Property(wanted) if wanted == key => {
            let exists = criterion.comparator == Comparator::Eq && criterion.value == Value::Text("*".to_owned());
            exists || text_holds(criterion.comparator, Some(found), &criterion.value)
        }
        Field::AnyProperty => text_holds(criterion.comparator, Some(found), &criterion.value),
        _ => false,
    }
}

fn text_of(item: &Item, field: TextField) -> Option<&str> {
    match field {
        TextField::Repo => Some(&item.repo),
        TextField::Path => Some(&item.path),
        TextField::Name => Some(&item.name),
        TextField::CreatedBy => item.created_by.as_deref(),
        TextField::ModifiedBy => item.modified_by.as_deref(),
        TextField::OriginalMd5 => item.original_md5.as_deref(),
        TextField::ActualMd5 => item.actual_md5.as_deref(),
        TextField::OriginalSha1 => item.original_sha1.as_deref(),
        TextField::ActualSha1 => item.actual_sha1.as_deref(),
        TextField::Sha256 => item.sha256.as_deref(),
    }
}

fn text_holds(comparator: Comparator, found: Option<&str>, value: &Value) -> bool {
    let Value::Text(wanted) = value else { return is_null_holds(comparator, found.is_none(), value) };
    let Some(found) = found else { return matches!(comparator, Comparator::Ne | Comparator::Nmatch) };
    match comparator {
        Comparator::Match => wildcard::matches(wanted, found),
        Comparator::Nmatch => !wildcard::matches(wanted, found),
        Comparator::EqIc => wanted.to_lowercase() == found.to_lowercase(),
        Comparator::MatchIc => wildcard::matches(&wanted.to_lowercase(), &found.to_lowercase()),
        comparator => ordered(comparator, found.cmp(wanted)),
    }
}

fn number_holds(comparator: Comparator, found: Option<u64>, value: &Value) -> bool {
    let Value::Number(wanted) = value else { return is_null_holds(comparator, found.is_none(), value) };
    match found {
        Some(found) => ordered(comparator, i128::from(found).cmp(&i128::from(*wanted))),
        None => comparator == Comparator::Ne,
    }
}

fn date_holds(comparator: Comparator, found: Option<Timestamp>, value: &Value, now: Timestamp) -> bool {
    let (comparator, wanted) = match (comparator, value) {
        (Comparator::Last, Value::Period(period)) => (Comparator::Gt, period.before(now)),
        (Comparator::Before, Value::Period(period)) => (Comparator::Lt, period.before(now)),
        (comparator, Value::Instant(wanted)) => (comparator, *wanted),
        (comparator, value) => return is_null_holds(comparator, found.is_none(), value),
    };
    match found {
        Some(found) => ordered(comparator, found.cmp(&wanted)),
        None => comparator == Comparator::Ne,
    }
}

fn ordered(comparator: Comparator, order: Ordering) -> bool {
    match comparator {
        Comparator::Eq => order.is_eq(),
        Comparator::Ne => order.is_ne(),
        Comparator::Gt => order.is_gt(),
        Comparator::Gte => order.is_ge(),
        Comparator::Lt => order.is_lt(),
        Comparator::Lte => order.is_le(),
        _ => false,
    }
}

fn is_null_holds(comparator: Comparator, is_null: bool, value: &Value) -> bool {
    *value == Value::Null
        && match comparator {
            Comparator::Eq => is_null,
            Comparator::Ne => !is_null,
            _ => false,
        }
}

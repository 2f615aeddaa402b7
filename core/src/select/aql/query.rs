//! A query as a tree. All of `criteria` must hold.

use jiff::Timestamp;

use super::date::Period;
use crate::error::Result;

/// The criteria of an `items.find`.
///
/// ```
/// use tidewaiter::select::aql::Query;
/// let query = Query::new(r#"items.find({"repo":"docker-local","modified":{"$last":"7d"}})"#)?;
/// assert_eq!(query.to_string(), r#"items.find({"repo":{"$eq":"docker-local"}},{"modified":{"$last":"7d"}})"#);
/// assert!(Query::new(r#"items.delete({"repo":"docker-local"})"#).is_err());
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub(super) criteria: Vec<Node>,
    pub(super) warnings: Vec<String>,
}

/// The same criteria, however they were written.
impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.criteria == other.criteria
    }
}

impl Query {
    /// Reads `items.find(...)`, or its criteria alone. What `.include` names is not kept: the fields are ours to choose.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`](crate::error::Kind::InvalidInput) for what is no query, with the place;
    /// [`Kind::Unsupported`](crate::error::Kind::Unsupported) for other domains and verbs, for `.sort`, `.limit` and the like, and for
    /// fields that only the server can evaluate; [`Kind::LimitExceeded`](crate::error::Kind::LimitExceeded) for one that is too long,
    /// too deep or has too many criteria.
    pub fn new(text: &str) -> Result<Self> {
        super::parse::query(text)
    }

    /// A query of these criteria, all of which must hold.
    pub fn of(criteria: Vec<Node>) -> Self {
        Self { criteria, warnings: Vec::new() }
    }

    /// The criteria, all of which must hold.
    pub fn criteria(&self) -> &[Node] {
        &self.criteria
    }

    /// What is allowed and probably not meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Calls `see` with every criterion.
    pub(super) fn each<'a>(&'a self, see: &mut dyn FnMut(&'a Criterion)) {
        fn walk<'a>(nodes: &'a [Node], see: &mut dyn FnMut(&'a Criterion)) {
            for node in nodes {
                match node {
                    Node::And(nodes) | Node::Or(nodes) => walk(nodes, see),
                    Node::SameProperty(criteria) => criteria.iter().for_each(&mut *see),
                    Node::Criterion(criterion) => see(criterion),
                }
            }
        }
        walk(&self.criteria, see);
    }

    /// Whether some criterion is about the type: without one, only files are meant.
    pub(super) fn names_a_type(&self) -> bool {
        let mut named = false;
        self.each(&mut |criterion| named |= criterion.field == Field::Type);
        named
    }
}

/// A part of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `$and`: all hold.
    And(Vec<Node>),
    /// `$or`: one holds.
    Or(Vec<Node>),
    /// `$msp`: all hold of one and the same property.
    SameProperty(Vec<Criterion>),
    /// A field against a value.
    Criterion(Criterion),
}

/// A field against a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    /// The field.
    pub field: Field,
    /// How it is compared.
    pub comparator: Comparator,
    /// The value, of the type of the field.
    pub value: Value,
}

/// A field of an item that can be evaluated here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A field with text.
    Text(TextField),
    /// `type`: `file`, `folder`, or `any`.
    Type,
    /// `size`, in bytes.
    Size,
    /// `depth`: the number of levels of the path.
    Depth,
    /// `created`.
    Created,
    /// `modified`.
    Modified,
    /// `updated`.
    Updated,
    /// `@key`: the properties of that key.
    Property(String),
    /// `@*`: all properties.
    AnyProperty,
}

/// A field with text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the names of the language")]
pub enum TextField {
    Repo,
    Path,
    Name,
    CreatedBy,
    ModifiedBy,
    OriginalMd5,
    ActualMd5,
    OriginalSha1,
    ActualSha1,
    Sha256,
}

impl TextField {
    /// Every field, with its name.
    pub(super) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Repo, "repo"),
        (Self::Path, "path"),
        (Self::Name, "name"),
        (Self::CreatedBy, "created_by"),
        (Self::ModifiedBy, "modified_by"),
        (Self::OriginalMd5, "original_md5"),
        (Self::ActualMd5, "actual_md5"),
        (Self::OriginalSha1, "original_sha1"),
        (Self::ActualSha1, "actual_sha1"),
        (Self::Sha256, "sha256"),
    ];

    /// The name in queries.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(field, _)| *field == self).map_or("", |(_, name)| name)
    }
}

/// How a field is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the names of the language")]
pub enum Comparator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    /// `*` and `?` anywhere.
    Match,
    Nmatch,
    /// As [`Comparator::Eq`] without regard to case.
    EqIc,
    /// As [`Comparator::Match`] without regard to case.
    MatchIc,
    /// Later than so long ago.
    Last,
    /// Earlier than so long ago.
    Before,
}

impl Comparator {
    /// Every comparator, with its name.
    pub(super) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Eq, "$eq"),
        (Self::Ne, "$ne"),
        (Self::Gt, "$gt"),
        (Self::Gte, "$gte"),
        (Self::Lt, "$lt"),
        (Self::Lte, "$lte"),
        (Self::Match, "$match"),
        (Self::Nmatch, "$nmatch"),
        (Self::EqIc, "$eqic"),
        (Self::MatchIc, "$matchic"),
        (Self::Last, "$last"),
        (Self::Before, "$before"),
    ];

    /// The name in queries.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(comparator, _)| *comparator == self).map_or("", |(_, name)| name)
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// An instant, to the millisecond.
    Instant(Timestamp),
    /// A length of time before now.
    Period(Period),
    /// Nothing: only to be equal to it or not.
    Null,
}

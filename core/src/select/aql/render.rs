//! Writes a query so that it reads the same: one entry an object, every comparator named, dates in UTC.

use std::fmt;

use super::date;
use super::query::{Criterion, Field, Node, Query, Value};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items.find(")?;
        objects(&self.criteria, f)?;
        f.write_str(")")
    }
}

impl Field {
    /// The name in queries.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Text(field) => field.as_str().to_owned(),
            Self::Type => "type".to_owned(),
            Self::Size => "size".to_owned(),
            Self::Depth => "depth".to_owned(),
            Self::Created => "created".to_owned(),
            Self::Modified => "modified".to_owned(),
            Self::Updated => "updated".to_owned(),
            Self::Property(key) => format!("@{key}"),
            Self::AnyProperty => "@*".to_owned(),
        }
    }
}

fn objects(nodes: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        f.write_str(if index == 0 { "{" } else { ",{" })?;
        match node {
            Node::And(nodes) => operator("$and", nodes, f)?,
            Node::Or(nodes) => operator("$or", nodes, f)?,
            Node::SameProperty(criteria) => {
                f.write_str("\"$msp\":[")?;
                for (index, one) in criteria.iter().enumerate() {
                    f.write_str(if index == 0 { "{" } else { ",{" })?;
                    criterion(one, f)?;
                    f.write_str("}")?;
                }
                f.write_str("]")?;
            }
            Node::Criterion(one) => criterion(one, f)?,
        }
        f.write_str("}")?;
    }
    Ok(())
}

fn operator(name: &str, nodes: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{name}\":[")?;
    objects(nodes, f)?;
    f.write_str("]")
}

fn criterion(criterion: &Criterion, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Criterion { field, comparator, value } = criterion;
    write!(f, "\"{}\":{{\"{}\":", field.name(), comparator.as_str())?;
    match value {
        Value::Text(text) => write!(f, "\"{text}\"")?,
        Value::Number(number) => write!(f, "\"{number}\"")?,
        Value::Instant(time) => write!(f, "\"{}\"", date::write(*time))?,
        Value::Period(period) => write!(f, "\"{period}\"")?,
        Value::Null => f.write_str("null")?,
    }
    f.write_str("}")
}

/// Whether text can be written: there are no escapes, and blanks at its start are lost.
pub(super) fn can_be_written(text: &str) -> bool {
    !text.contains(|c: char| c == '"' || c.is_control()) && !text.starts_with(char::is_whitespace)
}

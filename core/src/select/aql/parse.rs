//! Reads a query: recursive descent over the grammar, with a limit for its depth.

use super::date::{self, Period};
use super::query::{Comparator, Criterion, Field, Node, Query, TextField, Value};
use super::render::can_be_written;
use super::{MAX_DEPTH, MAX_LENGTH, MAX_NODES};
use crate::error::{Error, Kind, Result};

/// Domains that join other tables: only the server can decide about them.
const FOREIGN: &[&str] =
    &["stat", "artifact", "archive", "release_artifact", "release", "module", "build", "dependency", "property"];

pub(super) fn query(text: &str) -> Result<Query> {
    if text.chars().count() > MAX_LENGTH {
        return Err(Error::new(Kind::LimitExceeded, format!("a query has at most {MAX_LENGTH} characters"))
            .with_hint("use patterns instead of long lists"));
    }
    let mut parser = Parser { text, at: 0, nodes: 0, warnings: Vec::new() };
    let criteria = parser.query()?;
    Ok(Query { criteria, warnings: parser.warnings })
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always between two characters.
    at: usize,
    nodes: usize,
    warnings: Vec<String>,
}

/// A value before the type of its field is known.
enum Raw {
    Text(String),
    Number(String),
    Null,
}

impl<'a> Parser<'a> {
    fn query(&mut self) -> Result<Vec<Node>> {
        let mut criteria = Vec::new();
        if self.peek() == Some('{') {
            self.objects(&mut criteria, 0, false)?;
        } else {
            self.verb()?;
            self.expect('(')?;
            if self.peek() != Some(')') {
                self.objects(&mut criteria, 0, false)?;
            }
            self.expect(')')?;
            if self.peek() == Some('.') {
                self.suffix()?;
            }
        }
        match self.peek() {
            None => Ok(criteria),
            Some('.') => Err(self.refused_suffix()),
            Some(_) => Err(self.wrong("the query goes on behind its end")),
        }
    }

    /// `items.find`, and nothing else: the language can also delete and change.
    fn verb(&mut self) -> Result<()> {
        let name = self.word();
        let error = |message: &'static str| {
            Error::new(Kind::Unsupported, message)
                .with("query", name.escape_debug())
                .with_hint("write items.find({...})")
        };
        match name.rsplit_once('.') {
            Some(("items", "find")) => Ok(()),
            Some((_, "find")) => Err(error("only items are looked for")),
            Some((_, "delete" | "update")) => Err(error("a query that deletes or changes is never sent")),
            _ if name.is_empty() => Err(self.wrong("a query starts with items.find")),
            _ => Err(error("this is not known as a query")),
        }
    }

    /// `.include("a", "b")`.
    fn suffix(&mut self) -> Result<()> {
        let start = self.at;
        self.expect('.')?;
        if self.word() != "include" {
            self.at = start;
            return Err(self.refused_suffix());
        }
        self.expect('(')?;
        loop {
            self.string()?;
            match self.peek() {
                Some(',') => self.expect(',')?,
                _ => return self.expect(')'),
            }
        }
    }

    fn refused_suffix(&mut self) -> Error {
        let start = self.at;
        let _ = self.expect('.');
        let name = self.word();
        let hint = match name {
            "limit" | "offset" | "sort" => {
                "the newest N of each repository are chosen by newest, all matches are limited by cap"
            }
            _ => "end the query behind find(...)",
        };
        self.at = start;
        Error::new(Kind::Unsupported, "what follows find cannot be decided here")
            .with("suffix", format!(".{}", name.escape_debug()))
            .with("position", self.position())
            .with_hint(hint)
    }

    /// Objects, whose entries all belong to what is around them: braces do not group.
    fn objects(&mut self, found: &mut Vec<Node>, depth: usize, in_or: bool) -> Result<()> {
        loop {
            self.object(found, depth, in_or)?;
            if self.peek() != Some(',') {
                return Ok(());
            }
            self.expect(',')?;
        }
    }

    fn object(&mut self, found: &mut Vec<Node>, depth: usize, in_or: bool) -> Result<()> {
        let start = self.position();
        self.expect('{')?;
        let mut entries = 0;
        loop {
            let entry = self.entry(depth)?;
            found.push(entry);
            entries += 1;
            if self.peek() != Some(',') {
                break;
            }
            self.expect(',')?;
        }
        self.expect('}')?;
        if in_or && entries > 1 {
            self.warnings.push(format!(
                "the entries of one object in $or (at {start}) mean one or the other; write {{\"$and\":[...]}} where both are meant"
            ));
        }
        Ok(())
    }

    fn entry(&mut self, depth: usize) -> Result<Node> {
        if depth >= MAX_DEPTH {
            return Err(Error::new(Kind::LimitExceeded, format!("a query is at most {MAX_DEPTH} operators deep")));
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Error::new(Kind::LimitExceeded, format!("a query has at most {MAX_NODES} criteria")));
        }
        let key = self.string()?;
        self.expect(':')?;
        if !key.starts_with('$') {
            return self.criterion(&key).map(Node::Criterion);
        }
        if !matches!(key.as_str(), "$and" | "$or" | "$msp") {
            let (kind, message, hint) = match key.as_str() {
                "$rf" => (Kind::Unsupported, "$rf chooses what is shown, not what is meant", "leave it out"),
                _ => (Kind::InvalidInput, "there is no such operator", "the operators are $and, $or and $msp"),
            };
            return Err(Error::new(kind, message).with("operator", key.escape_debug()).with_hint(hint));
        }
        self.expect('[')?;
        let mut nodes = Vec::new();
        self.objects(&mut nodes, depth + 1, key == "$or")?;
        self.expect(']')?;
        match key.as_str() {
            "$and" => Ok(Node::And(nodes)),
            "$or" => Ok(Node::Or(nodes)),
            _ => same_property(nodes),
        }
    }

    fn criterion(&mut self, name: &str) -> Result<Criterion> {
        let field = field(name)?;
        if self.peek() != Some('{') {
            let raw = self.value()?;
            return typed(field, Comparator::Eq, raw);
        }
        self.expect('{')?;
        let word = self.string()?;
        let comparator = comparator(&word)?;
        self.expect(':')?;
        let raw = self.value()?;
        if self.peek() == Some(',') {
            return Err(self
                .wrong("a field is compared once")
                .with_hint(format!("name the field again: {{\"{name}\":{{...}},\"{name}\":{{...}}}}")));
        }
        self.expect('}')?;
        typed(field, comparator, raw)
    }

    fn value(&mut self) -> Result<Raw> {
        match self.peek() {
            Some('"') => self.string().map(Raw::Text),
            Some(c) if c.is_ascii_digit() || c == '-' => {
                let rest = self.rest();
                let sign = usize::from(c == '-');
                let digits = rest.get(sign..).unwrap_or_default();
                let end = sign + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                self.at += end;
                Ok(Raw::Number(rest.get(..end).unwrap_or_default().to_owned()))
            }
            _ => {
                let start = self.at;
                if matches!(self.word(), "null" | "NULL") {
                    return Ok(Raw::Null);
                }
                self.at = start;
                Err(self.wrong("a value is text in quotes, a number, or null"))
            }
        }
    }

    /// From a quote to the next: there are no escapes. Blanks at the start are lost.
    fn string(&mut self) -> Result<String> {
        if self.peek() != Some('"') {
            return Err(self.wrong("a name or a text in quotes is missing"));
        }
        let rest = self.rest().get(1..).unwrap_or_default();
        let Some(end) = rest.find('"') else { return Err(self.wrong("a text has no end")) };
        let text = rest.get(..end).unwrap_or_default().trim_start();
        if !can_be_written(text) {
            return Err(self.wrong("a text has no control characters"));
        }
        self.at += end + 2;
        Ok(text.to_owned())
    }

    /// Letters, dots and underlines.
    fn word(&mut self) -> &'a str {
        self.peek();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '.' && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if self.peek() == Some(wanted) {
            self.at += wanted.len_utf8();
            return Ok(());
        }
        Err(self.wrong(format!("here a {wanted} is missing")))
    }

    /// The next character that is no blank, which stays.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// In characters, from 1.
    fn position(&self) -> usize {
        self.text.get(..self.at).unwrap_or_default().chars().count() + 1
    }

    fn wrong(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let near: String = self.rest().chars().take(20).collect();
        Error::new(Kind::InvalidInput, message)
            .with("position", self.position())
            .with("near", if near.is_empty() { "the end".to_owned() } else { near.escape_debug().to_string() })
            .with_hint("for example items.find({\"repo\":\"docker-local\",\"path\":{\"$match\":\"team/*\"}})")
    }
}

fn field(name: &str) -> Result<Field> {
    let name = name.strip_prefix("item.").unwrap_or(name);
    if let Some(key) = name.strip_prefix('@') {
        return match key {
            "" => Err(Error::new(Kind::InvalidInput, "behind @ the key of a property is missing")
                .with_hint("write \"@key\":\"value\"")),
            "*" => Ok(Field::AnyProperty),
            key => Ok(Field::Property(key.to_owned())),
        };
    }
    if let Some((field, _)) = TextField::ALL.iter().find(|(_, known)| *known == name) {
        return Ok(Field::Text(*field));
    }
    let unknown = |kind, message: &'static str, hint: &'static str| {
        Err(Error::new(kind, message).with("field", name.escape_debug()).with_hint(hint))
    };
    match name {
        "type" => Ok(Field::Type),
        "size" => Ok(Field::Size),
        "depth" => Ok(Field::Depth),
        "created" => Ok(Field::Created),
        "modified" => Ok(Field::Modified),
        "updated" => Ok(Field::Updated),
        "virtual_repos" => {
            unknown(Kind::InvalidInput, "this field is shown, and cannot be looked for", "name the repository in repo")
        }
        "id" | "repo_path_checksum" => {
            unknown(Kind::Unsupported, "this field is internal to the server", "use repo, path, name or sha256")
        }
        name if name.split('.').next().is_some_and(|domain| name.contains('.') && FOREIGN.contains(&domain)) => {
            unknown(
                Kind::Unsupported,
                "this field belongs to another domain, and cannot be decided here",
                "use the fields of items, and properties as @key",
            )
        }
        _ => unknown(
            Kind::InvalidInput,
            "there is no such field",
            "the fields are repo, path, name, type, size, depth, created, modified, updated, created_by, modified_by, sha256, other \
             checksums, and @key",
        ),
    }
}

/// Without regard to case, except for the two that compare with now.
fn comparator(word: &str) -> Result<Comparator> {
    let exact = |comparator| matches!(comparator, Comparator::Last | Comparator::Before);
    Comparator::ALL
        .iter()
        .find(|(comparator, name)| if exact(*comparator) { *name == word } else { name.eq_ignore_ascii_case(word) })
        .map(|(comparator, _)| *comparator)
        .ok_or_else(|| {
            let names: Vec<_> = Comparator::ALL.iter().map(|(_, name)| *name).collect();
            Error::new(Kind::InvalidInput, "there is no such comparator")
                .with("comparator", word.escape_debug())
                .with_hint(format!("the comparators are {}", names.join(", ")))
        })
}

/// The criterion with its value in the type of the field.
fn typed(field: Field, comparator: Comparator, raw: Raw) -> Result<Criterion> {
    use Comparator::{Before, Eq, EqIc, Gt, Gte, Last, Lt, Lte, Match, MatchIc, Ne, Nmatch};
    let wrong = |message: &'static str, hint: &'static str| {
        Err(Error::new(Kind::InvalidInput, message)
            .with("field", field.name().escape_debug())
            .with("comparator", comparator.as_str())
            .with_hint(hint))
    };
    let text = match raw {
        Raw::Null if matches!(comparator, Eq | Ne) && !matches!(field, Field::Property(_) | Field::AnyProperty) => {
            return Ok(Criterion { field, comparator, value: Value::Null });
        }
        Raw::Null => return wrong("null is only equal or not, and not for properties", "use $eq or $ne"),
        Raw::Text(text) | Raw::Number(text) => text,
    };
    let value = match field {
        Field::Text(_) | Field::Property(_) | Field::AnyProperty => match comparator {
            Last | Before => return wrong("only dates are compared with now", "use created, modified or updated"),
            _ => Value::Text(text),
        },
        Field::Type => match (comparator, text.as_str()) {
            (Eq, "file" | "folder" | "any") | (Ne, "file" | "folder") => Value::Text(text),
            _ => return wrong("a type is file, folder or any, and equal or not", "write \"type\":\"any\""),
        },
        Field::Size | Field::Depth => match (comparator, text.parse()) {
            (Eq | Ne | Gt | Gte | Lt | Lte, Ok(number)) => Value::Number(number),
            _ => return wrong("a number is compared with a number", "use $eq, $ne, $gt, $gte, $lt or $lte"),
        },
        Field::Created | Field::Modified | Field::Updated => match comparator {
            Last | Before => match Period::read(&text) {
                Some(period) => Value::Period(period),
                None => return wrong("this is no length of time", period_hint(&text)),
            },
            Eq | Ne | Gt | Gte | Lt | Lte => match date::read(&text) {
                Some(time) => Value::Instant(time),
                None => {
                    return wrong(
                        "this is no date",
                        "write 2026-06-15, 2026-06-15T12:00:00.000Z, or milliseconds since 1970",
                    );
                }
            },
            Match | Nmatch | EqIc | MatchIc => return wrong("a date is not matched as text", "use $gte and $lt"),
        },
    };
    Ok(Criterion { field, comparator, value })
}

fn period_hint(text: &str) -> &'static str {
    match text.to_ascii_lowercase().trim_start_matches(|c: char| c.is_ascii_digit()) {
        "h" | "hours" | "hour" => "there is no unit for hours: use days (1d) or minutes (90minutes)",
        "m" => "write minutes, or mo for months",
        _ => "the units are ms, s, minutes, d, w, mo and y, for example 7d",
    }
}

fn same_property(nodes: Vec<Node>) -> Result<Node> {
    let criteria = nodes.into_iter().map(|node| match node {
        Node::Criterion(criterion) if matches!(criterion.field, Field::Property(_) | Field::AnyProperty) => {
            Ok(criterion)
        }
        _ => Err(Error::new(Kind::Unsupported, "in $msp only properties are compared")
            .with_hint("write \"$msp\":[{\"@key\":\"value\"}], and everything else outside")),
    });
    criteria.collect::<Result<_>>().map(Node::SameProperty)
}

//! Patterns for repositories and tags: five plain forms, and two richer ones that are asked for by name.

use std::borrow::Cow;
use std::fmt;

use globset::GlobBuilder;
use regex::{Regex, RegexBuilder, bytes};

use super::wildcard;
use crate::error::{Error, Kind, Result};

/// How long a pattern may be, in bytes: names are shorter.
pub const MAX_LENGTH: usize = 1024;

/// What a compiled pattern may take, in bytes. Matching is linear in the length of the name.
const MAX_COMPILED: usize = 1 << 20;

/// How deep groups and alternatives may be nested.
const MAX_NESTED: u32 = 64;

/// How the stars of a pattern without a prefix are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// A star at the start, at the end, at both, or alone.
    #[default]
    Plain,
    /// `*` and `?` anywhere, as Artifactory's `$match` reads them.
    Wildcard,
}

/// A pattern for the name of a repository or a tag. Everything but its stars is literal and case-sensitive; a star also
/// stands for slashes.
///
/// | written | matches |
/// |---|---|
/// | `*`, `.*` | every name |
/// | `*value` | what ends with it |
/// | `value*` | what starts with it |
/// | `*value*` | what contains it |
/// | `value` | exactly that |
/// | `glob:team/{api,web}/**` | a glob, in which `*` and `?` stop at slashes and `**` does not |
/// | `regex:^v\d+\.\d+$` | a regular expression, anchored only where it says so |
///
/// ```
/// use tidewaiter::select::Pattern;
/// assert!(Pattern::new("team/*")?.matches("team/api/internal"));
/// assert!(Pattern::new(r"regex:^v\d+$")?.matches("v12"));
/// let error = Pattern::new("team/*/api").unwrap_err();
/// assert!(error.hint().is_some_and(|hint| hint.contains("*value*")));
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    text: String,
    form: Form,
}

#[derive(Clone)]
enum Form {
    All,
    EndsWith(String),
    StartsWith(String),
    Contains(String),
    Exactly(String),
    Wildcard(String),
    Glob(Box<bytes::Regex>),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Reads a pattern in the plain syntax.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a star elsewhere, `.*` behind text, an empty pattern, and a glob or an expression that cannot
    /// be compiled; [`Kind::LimitExceeded`] for one that is too long or too large. The hint shows the forms.
    pub fn new(text: &str) -> Result<Self> {
        Self::with_syntax(text, Syntax::Plain)
    }

    /// Reads a pattern in one of the two syntaxes.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn with_syntax(text: &str, syntax: Syntax) -> Result<Self> {
        let form = form(text, syntax).map_err(|error| error.with("pattern", shorten(text).escape_debug()))?;
        Ok(Self { text: text.to_owned(), form })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches every name.
    pub fn is_all(&self) -> bool {
        match &self.form {
            Form::All => true,
            Form::Wildcard(text) => text.bytes().all(|byte| byte == b'*'),
            _ => false,
        }
    }

    /// The one name that it matches, where there is only one.
    pub fn literal(&self) -> Option<&str> {
        match &self.form {
            Form::Exactly(text) => Some(text),
            Form::Wildcard(text) if !text.contains(['*', '?']) => Some(text),
            _ => None,
        }
    }

    /// The same set of names as text with `*` and `?`, where that can be written: what AQL's `$match` takes. A name that holds
    /// a star or a question mark does not exist.
    pub fn wildcard(&self) -> Option<String> {
        match &self.form {
            Form::All => Some("*".to_owned()),
            Form::EndsWith(text) => Some(format!("*{text}")),
            Form::StartsWith(text) => Some(format!("{text}*")),
            Form::Contains(text) => Some(format!("*{text}*")),
            Form::Exactly(text) | Form::Wildcard(text) => Some(text.clone()),
            Form::Glob(_) | Form::Regex(_) => None,
        }
        // In the plain forms a question mark is a character that no name has; `$match` would take it for any.
        .filter(|text| matches!(self.form, Form::Wildcard(_)) || !text.contains('?'))
    }

    /// Whether `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        match &self.form {
            Form::All => true,
            Form::EndsWith(text) => name.ends_with(text),
            Form::StartsWith(text) => name.starts_with(text),
            Form::Contains(text) => name.contains(text),
            Form::Exactly(text) => name == text,
            Form::Wildcard(text) => wildcard::matches(text, name),
            Form::Glob(glob) => glob.is_match(name.as_bytes()),
            Form::Regex(regex) => regex.is_match(name),
        }
    }
}

fn form(text: &str, syntax: Syntax) -> Result<Form> {
    if text.len() > MAX_LENGTH {
        return Err(Error::new(Kind::LimitExceeded, format!("a pattern has at most {MAX_LENGTH} bytes")));
    }
    if let Some(glob) = text.strip_prefix("glob:") {
        return glob_form(glob);
    }
    if let Some(regex) = text.strip_prefix("regex:") {
        return regex_form(regex);
    }
    if text.is_empty() {
        return Err(wrong("a pattern is not empty"));
    }
    match syntax {
        Syntax::Plain => plain_form(text),
        Syntax::Wildcard => Ok(Form::Wildcard(text.to_owned())),
    }
}

fn plain_form(text: &str) -> Result<Form> {
    if matches!(text, "*" | ".*") {
        return Ok(Form::All);
    }
    if text.ends_with(".*") {
        return Err(wrong("behind text, .* could mean a dot and anything, or anything"));
    }
    let (starts, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
    let (ends, value) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
    if value.is_empty() {
        return Err(wrong("two stars are no pattern"));
    }
    if value.contains('*') {
        return Err(wrong("a star stands at the start or the end of a pattern"));
    }
    let value = value.to_owned();
    Ok(match (starts, ends) {
        (true, true) => Form::Contains(value),
        (true, false) => Form::EndsWith(value),
        (false, true) => Form::StartsWith(value),
        (false, false) => Form::Exactly(value),
    })
}

fn glob_form(glob: &str) -> Result<Form> {
    if glob.is_empty() {
        return Err(wrong("behind glob: a pattern is missing"));
    }
    let glob = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| wrong("this is no glob").because(error))?;
    // Compiled here, since globset panics on a glob that is nested too deeply, and has no limit that can be set.
    bytes::RegexBuilder::new(glob.regex())
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTED)
        .build()
        .map(|glob| Form::Glob(Box::new(glob)))
        .map_err(|error| not_compiled(&error, "glob"))
}

fn regex_form(regex: &str) -> Result<Form> {
    if regex.is_empty() {
        return Err(wrong("behind regex: an expression is missing"));
    }
    RegexBuilder::new(regex)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTED)
        .build()
        .map(|regex| Form::Regex(Box::new(regex)))
        .map_err(|error| not_compiled(&error, "regular expression"))
}

fn not_compiled(error: &regex::Error, what: &'static str) -> Error {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return Error::new(Kind::LimitExceeded, format!("this {what} is too large once compiled"))
            .with_hint("use smaller numbers in its repetitions, or several patterns");
    }
    // The message of the crate draws the place over several lines; its last one says what is wrong.
    let shown = error.to_string();
    let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    wrong(format!("this is no {what}")).with("reason", reason)
}

fn wrong(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::InvalidInput, message).with_hint(
        "write * for all, *value for what ends with it, value* for what starts with it, *value* for what contains it, or the \
         whole name; glob:team/{api,web}/** and regex:^v[0-9]+$ say more",
    )
}

/// The start of a text that is too long to be shown.
fn shorten(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// The patterns of one field: a name is meant if it matches one of `include`, or there are none, and none of `exclude`.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// What is meant; empty means all.
    pub include: Vec<Pattern>,
    /// What is not meant, even where `include` matches.
    pub exclude: Vec<Pattern>,
}

impl Patterns {
    /// How many patterns one list may have.
    pub const MAX: usize = 1000;

    /// Reads both lists.
    ///
    /// # Errors
    /// As [`Pattern::with_syntax`], of the first that is wrong; [`Kind::LimitExceeded`] for more than [`Patterns::MAX`].
    pub fn new<I: AsRef<str>, E: AsRef<str>>(include: &[I], exclude: &[E], syntax: Syntax) -> Result<Self> {
        fn read<T: AsRef<str>>(texts: &[T], syntax: Syntax) -> Result<Vec<Pattern>> {
            if texts.len() > Patterns::MAX {
                return Err(Error::new(Kind::LimitExceeded, format!("there are more than {} patterns", Patterns::MAX)));
            }
            texts.iter().map(|text| Pattern::with_syntax(text.as_ref(), syntax)).collect()
        }
        Ok(Self { include: read(include, syntax)?, exclude: read(exclude, syntax)? })
    }

    /// Whether every name is meant.
    pub fn is_all(&self) -> bool {
        self.exclude.is_empty() && (self.include.is_empty() || self.include.iter().any(Pattern::is_all))
    }

    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(name)))
            && !self.exclude.iter().any(|pattern| pattern.matches(name))
    }

    /// The names that are meant, where the patterns are nothing but names: then no listing is needed.
    pub fn names(&self) -> Option<Vec<&str>> {
        let names: Option<Vec<_>> = self.include.iter().map(Pattern::literal).collect();
        names.filter(|names| !names.is_empty()).map(|mut names| {
            names.retain(|name| self.matches(name));
            names.sort_unstable();
            names.dedup();
            names
        })
    }
}

#[cfg(test)]
mod tests;

//! The one error type: a kind that says what the caller can do, the context, a hint.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most bytes of a message, a hint, a value of the context and a cause: they may quote what the other side sent, which may be
/// megabytes.
const MAX_TEXT: usize = 2048;

/// What the caller can do about an [`Error`]. The numbers are part of the C interface and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u16)]
pub enum Kind {
    /// A value that the caller gave cannot be right: correct it.
    InvalidInput = 1,
    /// The registry wants other credentials, or any.
    Unauthenticated = 2,
    /// The credentials are good, but not for this.
    PermissionDenied = 3,
    /// There is no such thing.
    NotFound = 4,
    /// Too many requests: come back after [`Error::retry_after`].
    RateLimited = 5,
    /// Out of reach now; the same call may go through later.
    Unavailable = 6,
    /// What was read is not what it claims to be.
    Corrupt = 7,
    /// Larger than a limit that can be changed.
    LimitExceeded = 8,
    /// Understood, and not done here.
    Unsupported = 9,
    /// The caller canceled, or the deadline passed.
    Canceled = 10,
    /// The disk or the database below a store failed.
    Storage = 11,
    /// Something else is doing this already.
    Busy = 12,
    /// Not possible in the state that the object is in, such as closed.
    InvalidState = 13,
    /// A defect of this program.
    Internal = 14,
}

impl Kind {
    /// Every kind, in the order of its numbers.
    pub const ALL: &'static [Self] = &[
        Self::InvalidInput,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::RateLimited,
        Self::Unavailable,
        Self::Corrupt,
        Self::LimitExceeded,
        Self::Unsupported,
        Self::Canceled,
        Self::Storage,
        Self::Busy,
        Self::InvalidState,
        Self::Internal,
    ];

    /// The kind as the word that reports and bindings use, such as `not-found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::LimitExceeded => "limit-exceeded",
            Self::Unsupported => "unsupported",
            Self::Canceled => "canceled",
            Self::Storage => "storage",
            Self::Busy => "busy",
            Self::InvalidState => "invalid-state",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error: one word in size, cheap to clone, shown as one lower-case line.
///
/// The line is the message, then the context in parentheses, then the cause. The [hint](Error::hint) is apart, so that a
/// program can show it on a line of its own.
///
/// ```
/// use tidewaiter::error::{Error, Kind};
/// let error = Error::new(Kind::NotFound, "there is no such tag").with("repository", "team/app").with_hint("list the tags first");
/// assert_eq!(error.to_string(), "there is no such tag (repository: team/app)");
/// assert_eq!(error.kind(), Kind::NotFound);
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is lower case, without a full stop and without secrets.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            hint: None,
            retry_after: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// The same error with a pair of context: `registry`, `repository`, `image`, `digest`, `path`, `url` (redacted), `field`.
    /// The first value of a key stays, since it was closest to the cause.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        if !inner.context.iter().any(|(known, _)| *known == key) {
            inner.context.push((key, short(value, MAX_TEXT)));
        }
        self
    }

    /// The same error with the context of another, whose message it says in better words.
    #[must_use]
    pub fn with_context_of(self, other: &Self) -> Self {
        other.context().fold(self, |error, (key, value)| error.with(key, value))
    }

    /// The same error with a sentence that says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.0).hint = Some(bounded(hint.into()));
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let is_ours = (&source as &(dyn StdError + 'static)).is::<Self>();
        let text = if is_ours { String::new() } else { short(&source, MAX_TEXT) };
        inner.source = Some(if text.ends_with('…') { Arc::new(Cause(text)) } else { Arc::new(source) });
        self
    }

    /// The same error with the delay that the other side asked for.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry_after = Some(delay);
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message alone, without context and cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// A sentence that says what to do next, where there is one.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the other side asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The context pairs, in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if index == 0 { " (" } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            // One of ours already shows its own causes.
            if error.is::<Error>() {
                return write!(f, ": {error}");
            }
            write!(f, ": {}", short(error, MAX_TEXT))?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.kind())?;
        self.hint().map_or(Ok(()), |hint| write!(f, " [{hint}]"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// The words of a cause that was too long to be kept.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() > MAX_TEXT { short(text, MAX_TEXT).into() } else { text }
}

/// The text of a value, as much of it as has room in `most` bytes, with a mark where it is cut. No more than that is ever made of it.
pub(crate) fn short(value: impl fmt::Display, most: usize) -> String {
    struct Room {
        text: String,
        most: usize,
    }
    impl fmt::Write for Room {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let left = self.most - self.text.len();
            let end = (0..=left.min(part.len())).rev().find(|end| part.is_char_boundary(*end)).unwrap_or_default();
            self.text.push_str(part.get(..end).unwrap_or_default());
            if end < part.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut room = Room { text: String::new(), most };
    if write!(room, "{value}").is_err() {
        room.text.push('…');
    }
    room.text
}

/// One of ours that travelled through a reader comes back as it was; any other is [`Kind::Unavailable`] or, where the bytes
/// are at fault, [`Kind::Corrupt`].
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return ours.clone();
        }
        let (kind, message) = match error.kind() {
            ErrorKind::NotFound => (Kind::NotFound, "there is no such file"),
            ErrorKind::PermissionDenied => (Kind::PermissionDenied, "the file may not be read"),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
                (Kind::Corrupt, "the content ends early or is damaged")
            }
            _ => (Kind::Unavailable, "input or output failed"),
        };
        Self::new(kind, message).because(error)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn kinds_are_numbered_without_gaps() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index + 1, "{kind}");
        }
    }

    #[test]
    fn no_text_of_the_other_side_makes_it_long() {
        let long = "ä\u{1b}".repeat(1 << 20);
        let wrong = serde_json::from_str::<u8>(&format!("{long:?}")).unwrap_err();
        let error = Error::new(Kind::Corrupt, long.clone())
            .with("media_type", long.escape_debug())
            .with_hint(long.clone())
            .because(Error::new(Kind::Corrupt, "inner").because(wrong));
        let length = error.to_string().len() + error.hint().unwrap_or_default().len();
        assert!(length < 10_000 && error.to_string().contains("inner: "), "{length}");
        assert_eq!((short("aä", 2), short("aä", 3)), ("a…".to_owned(), "aä".to_owned()));
    }

    #[test]
    fn shows_context_and_causes_once() {
        let cause = Error::new(Kind::Unavailable, "connection refused").because(std::io::Error::other("errno 111"));
        let error = Error::new(Kind::Unavailable, "cannot pull").with("image", "a/b").with("image", "c").because(cause);
        assert_eq!(error.to_string(), "cannot pull (image: a/b): connection refused: errno 111");
    }
}

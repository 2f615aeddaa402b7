//! An answer, whole or a part of it, before it is sent.

use bytes::Bytes;
use serde_json::json;

/// An answer before it is sent.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// An error in the shape of the specification.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            "application/json",
            json!({"errors": [{"code": code, "message": message, "detail": null}]}).to_string(),
        )
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The part of a blob that `bytes=from-` or `bytes=from-to` asks for.
pub(super) fn part(whole: Answer, range: &str) -> Answer {
    let length = whole.body.len();
    let asked = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).and_then(|(from, to)| {
        let to =
            if to.is_empty() { length.checked_sub(1)? } else { to.parse::<usize>().ok()?.min(length.checked_sub(1)?) };
        let from = from.parse::<usize>().ok()?;
        (from <= to).then_some((from, to))
    });
    match asked {
        Some((from, to)) => Answer { status: 206, body: whole.body.slice(from..=to), ..whole }
            .with("content-range", format!("bytes {from}-{to}/{length}")),
        None => Answer::new(416, "text/plain", "").with("content-range", format!("bytes */{length}")),
    }
}

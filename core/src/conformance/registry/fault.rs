//! What goes wrong on purpose.

use std::time::Duration;

use bytes::Bytes;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another answer.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body.
    Stall(usize),
    /// A pause before every 64 KiB of the body.
    Slow(Duration),
    /// `Range` is not understood: all of it is sent, with 200.
    NoRange,
}

impl Fault {
    /// An answer without a body that means something.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Bytes::from_static(b"{}") }
    }

    /// 429 with `Retry-After`.
    pub fn retry_after(value: &str) -> Self {
        Self::Answer {
            status: 429,
            headers: vec![("retry-after".to_owned(), value.to_owned())],
            body: Bytes::from_static(b"{}"),
        }
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        Self::Answer { status: 307, headers: vec![("location".to_owned(), location.to_owned())], body: Bytes::new() }
    }

    /// A web page where something else was asked for.
    pub fn page() -> Self {
        let body = Bytes::from_static(b"<!DOCTYPE html><html><body>Sign in</body></html>");
        Self::Answer {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
            body,
        }
    }

    /// Other bytes than those that were asked for.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }
}

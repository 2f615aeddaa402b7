//! One JSON answer of a service that is no registry: of a cloud's API, of the machine's metadata.

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::Response;
use crate::net::redact;

/// The longest answer.
const MAX_ANSWER: u64 = 32 << 20;

/// The error of an address that none can be made of.
pub(super) fn no_address(error: url::ParseError) -> Error {
    Error::new(Kind::InvalidInput, "this is not an address").with("field", "api_url").because(error)
}

/// The body of an answer. It is not shown where it is wrong: it may hold a token.
///
/// # Errors
/// [`Kind::Corrupt`] for what is not JSON of that shape.
pub(super) async fn read<T: DeserializeOwned>(response: Response, context: &Context) -> Result<T> {
    let is_web_page = response.header("content-type").is_some_and(|value| value.starts_with("text/html"));
    let url = redact::url(response.url());
    let body = Zeroizing::new(Vec::from(response.json(MAX_ANSWER, context).await?));
    serde_json::from_slice(&body).map_err(|error| {
        let hint = if is_web_page {
            "a web page came: check the address; a proxy or a login page may stand in front of it"
        } else {
            "check the address"
        };
        Error::new(Kind::Corrupt, "the answer is not as it should be")
            .with("url", url)
            .with("line", error.line())
            .with("column", error.column())
            .with_hint(hint)
    })
}

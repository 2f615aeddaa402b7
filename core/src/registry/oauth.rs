//! What the token services of clouds want to be asked like.

use http::header::CONTENT_TYPE;
use url::Url;

use crate::error::Result;
use crate::net::client::Request;

/// A form that is posted.
///
/// # Errors
/// Those of a request.
pub(super) fn form(
    url: Url,
    fill: impl FnOnce(&mut url::form_urlencoded::Serializer<'static, String>),
) -> Result<Request> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    fill(&mut form);
    Request::post(url, form.finish()).with(CONTENT_TYPE, "application/x-www-form-urlencoded")
}

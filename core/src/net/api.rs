//! The JSON API of a product, beside the registry protocol: who we are is sent to its own origin only, and what comes back is
//! bounded, and told apart from a login page.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::client::{Request, Response};
use super::identity::Identity;
use super::session::Session;
use super::{address, link, redact};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The longest answer.
const MAX_ANSWER: u64 = 32 << 20;

/// How a product wants to be told who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// A user name and a password as `Basic`, a token as `Bearer`.
    #[default]
    Plain,
    /// The password, or the token, as `Bearer`: for products whose access tokens stand in for passwords.
    Bearer,
    /// The password, or the token, in a header of the product's own.
    Header(HeaderName),
    /// Not at all.
    Nobody,
}

/// The API of a product. Cheap to clone; clones share connections, limits and identity.
///
/// It asks in the name of the session's identity, and once more with a new one when that is refused. The base is the user's word
/// or the registry's own origin; no answer leads a request away from it.
#[derive(Clone, Debug)]
pub struct Api {
    session: Session,
    base: Url,
    way: Way,
}

impl Api {
    /// The API at `base`, asked by who the session is.
    pub fn new(session: Session, base: Url, way: Way) -> Self {
        Self { session, base, way }
    }

    /// The address of the API.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The session whose identity asks.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// An address below the base. Each segment is encoded as it is given, a slash and a percent sign in it too; an empty one at
    /// the end makes the slash there.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for a base that has no path.
    pub fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::new(Kind::InvalidInput, "this is not an address"))?
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// What lies there, which must be a success.
    ///
    /// # Errors
    /// By the status, see [`answer::refused`](super::answer::refused); [`Kind::LimitExceeded`] for more than 32 MiB;
    /// [`Kind::Unsupported`] for a web page.
    pub async fn get(&self, url: Url, context: &Context) -> Result<Answer> {
        let request = Request::get(url).with(ACCEPT, "application/json")?;
        self.read(self.send(&request, context).await?, context).await
    }

    /// What is answered to a question in a body. The question may be asked more than once.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn post(&self, url: Url, content_type: &str, body: Bytes, context: &Context) -> Result<Answer> {
        let request = Request::post(url, body).with(ACCEPT, "application/json")?.with(CONTENT_TYPE, content_type)?;
        self.read(self.send(&request, context).await?, context).await
    }

    /// Sends a request in the name of the identity, and once more when that was refused and another one is to be had. Any other
    /// status is the caller's to look at.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for an address of another origin, the errors of the identity, what a refusal says, and those of
    /// [`Client::send`](super::client::Client::send).
    pub async fn send(&self, request: &Request, context: &Context) -> Result<Response> {
        if !address::is_same_origin(&request.url, &self.base) {
            return Err(Error::new(Kind::InvalidInput, "this is not an address of the API")
                .with("url", redact::url(&request.url))
                .with("api", redact::url(&self.base)));
        }
        let identity = self.session.identity(context).await?;
        let mut response = self.send_as(&identity, request, context).await?;
        if response.status() != 401 && !response.says_expired(context).await? {
            return Ok(response);
        }
        // The answer counts against the limit of its host, and the identity may be looked up there: it ends first.
        let refused = response.refused(context).await;
        match self.session.renewed(&identity, context).await? {
            Some(identity) => self.send_as(&identity, request, context).await,
            None => Err(refused),
        }
    }

    async fn send_as(&self, identity: &Identity, request: &Request, context: &Context) -> Result<Response> {
        let request = match authorization(&self.way, identity)? {
            Some((name, value)) => request.clone().with(name, &value)?,
            None => request.clone(),
        };
        self.session.client().send(&request, context).await
    }

    async fn read(&self, response: Response, context: &Context) -> Result<Answer> {
        let mut response = response.success(context).await?;
        let url = response.url().clone();
        let headers = response.take_headers();
        let is_page = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"));
        let body = response.json(MAX_ANSWER, context).await?;
        if is_page || body.trim_ascii_start().first() == Some(&b'<') {
            return Err(Error::new(Kind::Unsupported, "a web page came where the API should answer")
                .with("url", redact::url(&url))
                .with_hint("check the address of the API (`api_url`), and that no login page stands in front of it"));
        }
        Ok(Answer { url, headers, body })
    }
}

/// The header that says who asks; none for nobody.
fn authorization(way: &Way, identity: &Identity) -> Result<Option<(HeaderName, Zeroizing<String>)>> {
    let bearer = |token: &str| (AUTHORIZATION, Zeroizing::new(format!("Bearer {token}")));
    Ok(match (way, identity) {
        (Way::Nobody, _) | (_, Identity::Anonymous) => None,
        (_, Identity::Refresh(_)) => {
            return Err(Error::new(
                Kind::Unauthenticated,
                "the identity token that docker keeps opens the registry, but not the API beside it",
            )
            .with_hint("give a user name and a password, or an access token"));
        }
        (Way::Plain, Identity::Basic { .. }) => identity.basic().map(|value| (AUTHORIZATION, value)),
        (Way::Plain, Identity::Bearer(token)) => Some(bearer(token)),
        (Way::Bearer, Identity::Basic { password: secret, .. } | Identity::Bearer(secret)) => Some(bearer(secret)),
        (Way::Header(name), Identity::Basic { password: secret, .. } | Identity::Bearer(secret)) => {
            Some((name.clone(), secret.clone()))
        }
    })
}

/// A success, read whole.
pub struct Answer {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The value that the JSON holds.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for JSON of another shape, or none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = if error.is_eof() {
                "the answer of the API ends early"
            } else {
                "the answer of the API is not as it should be"
            };
            Error::new(Kind::Corrupt, message)
                .with("url", redact::url(&self.url))
                .with_hint("check the address of the API (`api_url`), and that the product is of a version that has it")
                .because(redact::unread(&error))
        })
    }

    /// The first header of that name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next page as a `Link` header names it: of the target only the query counts, so that it leads nowhere else.
    pub fn next(&self) -> Option<Url> {
        link::next(&self.url, self.headers.get_all("link").into_iter().map(http::HeaderValue::as_bytes))
    }

    /// The next page as a field of the JSON names it, by the same rule.
    pub fn next_at(&self, target: &str) -> Option<Url> {
        let (_, query) = target.split_once('?')?;
        let mut url = self.url.clone();
        url.set_query(query.split('#').next());
        Some(url)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes from {}", self.body.len(), redact::url(&self.url))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::client::{Client, Options};

    fn api(base: &str) -> Api {
        let base = Url::parse(base).unwrap();
        let client = Client::new(&Options::default()).unwrap();
        Api::new(Session::new(client, base.clone(), Arc::new(Identity::Anonymous)), base, Way::Plain)
    }

    #[test]
    fn encodes_each_segment() {
        for (base, segments, query, expected) in [
            ("https://h", &["api", "v2.0"][..], &[][..], "https://h/api/v2.0"),
            (
                "https://h/ctx/",
                &["a/b", "c%2Fd"],
                &[("q", "x=[~1 2]")],
                "https://h/ctx/a%2Fb/c%252Fd?q=x%3D%5B%7E1+2%5D",
            ),
            ("https://h", &["tag", ""], &[("page", "1")], "https://h/tag/?page=1"),
            ("https://h", &["a", ".."], &[], "https://h/a"),
        ] {
            assert_eq!(api(base).url(segments, query).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn secrets_go_where_the_product_wants_them() {
        let basic = Identity::Basic { username: "a".into(), password: Zeroizing::new("b".into()) };
        let bearer = Identity::Bearer(Zeroizing::new("t".into()));
        let own = HeaderName::from_static("private-token");
        for (way, identity, expected) in [
            (Way::Plain, &Identity::Anonymous, None),
            (Way::Plain, &basic, Some("authorization: Basic YTpi")),
            (Way::Plain, &bearer, Some("authorization: Bearer t")),
            (Way::Bearer, &basic, Some("authorization: Bearer b")),
            (Way::Header(own), &basic, Some("private-token: b")),
            (Way::Nobody, &basic, None),
        ] {
            let sent =
                authorization(&way, identity).unwrap().map(|(name, value)| format!("{name}: {}", value.as_str()));
            assert_eq!(sent.as_deref(), expected, "{way:?}");
        }
        assert!(authorization(&Way::Plain, &Identity::Refresh(Zeroizing::new("r".into()))).is_err());
    }

    #[tokio::test]
    async fn nothing_is_sent_to_another_origin() {
        for other in ["https://other/x", "http://h/x", "https://h:8443/x"] {
            let request = Request::get(Url::parse(other).unwrap());
            let error = api("https://h").send(&request, &Context::new()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput, "{other}");
        }
    }

    #[test]
    fn a_next_page_stays_where_the_last_one_was() {
        let answer = Answer {
            url: Url::parse("https://h/v2/r/?page=1").unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let next = |target| answer.next_at(target).map(String::from);
        assert_eq!(next("https://evil/x?page=2").as_deref(), Some("https://h/v2/r/?page=2"));
        assert_eq!(next("https://evil/x"), None);
    }

    #[test]
    fn json_of_another_shape_is_told() {
        let answer = |body: &'static str| Answer {
            url: Url::parse("https://h/a?secret=1").unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        for (body, says) in [("[1, 2", "ends early"), ("{}", "not as it should be"), ("", "ends early")] {
            let error = answer(body).json::<Vec<u32>>().unwrap_err();
            assert!(error.kind() == Kind::Corrupt && error.to_string().contains(says), "{error}");
            assert!(error.hint().is_some() && !error.to_string().contains("secret"), "{error}");
        }
        assert_eq!(answer("[1]").json::<Vec<u32>>().unwrap(), [1]);
    }
}

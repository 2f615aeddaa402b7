//! Who may read, and the token server that says so.

use base64::Engine as _;
use http::HeaderMap;
use serde_json::json;

use super::answer::Answer;
use super::{Shared, lock};

/// Who may read.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// Only who sends this user name and password with every request.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// Only who brings a token for the repository, which the registry's own token server gives to this user.
    Bearer {
        /// The user name.
        username: String,
        /// The password; also taken as an identity token.
        password: String,
        /// Another address of the token server than the registry's own.
        realm: Option<String>,
    },
}

/// The answer to who may not read.
pub(super) fn refused(state: &Shared, path: &str, headers: &HeaderMap) -> Option<Answer> {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let unauthorized = |challenge: String| {
        Answer::error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge)
    };
    match &state.options.auth {
        Auth::Open => None,
        Auth::Basic { username, password } => {
            (sent != basic(username, password)).then(|| unauthorized("Basic realm=\"test\"".to_owned()))
        }
        Auth::Bearer { realm, .. } => {
            let scope = scope_of(path);
            let token = sent.strip_prefix("Bearer ").unwrap_or_default();
            let held = lock(&state.tokens);
            let is_good = !token.is_empty() && held.contains(&format!("{token} {scope}"))
                || (scope.is_empty() && held.iter().any(|entry| entry.starts_with(&format!("{token} "))));
            let realm = realm.clone().unwrap_or_else(|| format!("{}/token", state.url()));
            let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
            (!is_good).then(|| unauthorized(format!("Bearer realm=\"{realm}\",service=\"test\"{scope}")))
        }
    }
}

/// The scope that a path needs; empty for `/v2/` itself.
fn scope_of(path: &str) -> String {
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    if path == "_catalog" {
        return "registry:catalog:*".to_owned();
    }
    ["/manifests/", "/blobs/", "/tags/list"]
        .iter()
        .find_map(|middle| path.rsplit_once(middle))
        .map_or_else(String::new, |(repository, _)| format!("repository:{repository}:pull"))
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// The token server: GET with Basic, POST with an identity token.
pub(super) fn token(state: &Shared, headers: &HeaderMap, query: &str, form: &[u8]) -> Answer {
    let Auth::Bearer { username, password, .. } = &state.options.auth else {
        return Answer::new(404, "text/plain", "404 page not found\n");
    };
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .chain(url::form_urlencoded::parse(form))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let by_password =
        headers.get("authorization").and_then(|value| value.to_str().ok()) == Some(basic(username, password).as_str());
    let by_token = pairs.iter().any(|(name, value)| name == "refresh_token" && value == password);
    if !by_password && !by_token {
        return Answer::new(401, "application/json", r#"{"details":"incorrect username or password"}"#);
    }
    let mut tokens = lock(&state.tokens);
    let value = format!("token-{}", tokens.len() + 1);
    let scopes =
        pairs.iter().filter(|(name, _)| name == "scope").flat_map(|(_, value)| value.split(' ').map(str::to_owned));
    for scope in scopes.chain([String::new()]) {
        tokens.insert(format!("{value} {scope}"));
    }
    Answer::new(200, "application/json", json!({"token": value, "access_token": value, "expires_in": 300}).to_string())
}

//! What of an address may be shown: scheme, host, port and path. Queries carry signatures, user parts carry passwords. What of a message
//! about something that was read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Kind};

/// The address without user, password, query and fragment.
pub fn url(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Both fail only for addresses that cannot have a user part.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// An address as somebody wrote it, which may be none: without what stands in front of an `@`, and without a query.
pub fn address(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.rsplit_once('@'), text.split_once("://")) {
        (Some((_, rest)), Some((scheme, _))) => format!("{scheme}://{rest}"),
        (Some((_, rest)), None) => rest.to_owned(),
        (None, _) => text.to_owned(),
    }
}

/// Text of the other side, made fit for one line of an error: no control characters, at most 256 characters.
pub fn text(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|character| !character.is_control()));
        if line.len() > 1024 {
            break;
        }
    }
    match line.char_indices().nth(256) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The shortest secret that is looked for in an answer: a shorter one is in many words. Other headers than `Authorization` have more.
const MIN_SECRET: usize = 4;
const MIN_HEADER: usize = 8;

/// What no answer may show of a request with these headers: what stands behind the scheme of `Authorization`, the password in it, and
/// what products have for that.
pub(super) fn secrets(headers: &HeaderMap) -> Vec<Zeroizing<String>> {
    let mut secrets = Vec::new();
    for (name, value) in headers.iter().filter(|(_, value)| value.is_sensitive()) {
        let Ok(value) = value.to_str() else { continue };
        if name != AUTHORIZATION {
            // What signs a request of Amazon's is no secret but for the token, and is told where a clock is off.
            let is_secret = !name.as_str().starts_with("x-amz-") || name.as_str().ends_with("token");
            secrets.extend((is_secret && value.len() >= MIN_HEADER).then(|| Zeroizing::new(value.to_owned())));
            continue;
        }
        let (scheme, shown) = value.split_once(' ').unwrap_or_default();
        if scheme.starts_with("AWS4") {
            continue;
        }
        secrets.push(Zeroizing::new(shown.to_owned()));
        let plain = STANDARD.decode(shown).ok().and_then(|plain| String::from_utf8(plain).ok()).map(Zeroizing::new);
        secrets.extend(plain.and_then(|plain| Some(Zeroizing::new(plain.split_once(':')?.1.to_owned()))));
    }
    secrets.retain(|secret| secret.len() >= MIN_SECRET);
    secrets
}

/// What another side sent, without these secrets, as they are and as JSON may write them.
pub(super) fn masked(sent: &[u8], secrets: &[Zeroizing<String>]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(sent).into_owned();
    for secret in secrets {
        let quoted = serde_json::to_string(secret.as_str()).unwrap_or_default();
        let quoted = Zeroizing::new(quoted.trim_matches('"').to_owned());
        let slashes = Zeroizing::new(quoted.replace('/', "\\/"));
        for written in [secret, &quoted, &slashes] {
            if text.contains(written.as_str()) {
                text = text.replace(written.as_str(), "***");
            }
        }
    }
    text.into_bytes()
}

/// Why JSON of the other side cannot be read, without the value that was found: it may be what was sent there.
pub fn unread(error: &serde_json::Error) -> Error {
    Error::new(Kind::Corrupt, without_values(&error.to_string()))
}

/// The message of a reader of JSON or TOML without the value that it found, which may be a secret.
pub fn without_values(message: &str) -> String {
    // `invalid type: string "hunter2", expected …`, `invalid type: integer `1234`, expected …` and `unknown variant `hunter2`,
    // expected …` quote what they found.
    for quoting in ["invalid type: ", "invalid value: ", "unknown variant "] {
        let found = message.split_once(quoting).and_then(|(before, rest)| {
            let (kind, _) = rest.split_once(['"', '`'])?;
            let expected = rest.rfind(", expected").filter(|at| *at > kind.len())?;
            Some(format!("{before}{}{}", format!("{quoting}{kind}").trim_end(), rest.get(expected..)?))
        });
        if let Some(found) = found {
            return found;
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_may_be_shown() {
        let secret = Url::parse("https://alice:s3cret@r.example:5000/v2/a/blobs/x?X-Amz-Signature=abc#frag").unwrap();
        assert_eq!(url(&secret), "https://r.example:5000/v2/a/blobs/x");
    }

    #[test]
    fn addresses_that_were_written_lose_their_secrets() {
        for (written, shown) in [
            ("alice:s3cret@proxy:3128", "proxy:3128"),
            ("http://alice:s3@cret@proxy:3128/?s3cret", "http://proxy:3128/"),
            ("r.io:5000", "r.io:5000"),
        ] {
            assert_eq!(address(written), shown);
        }
    }

    #[test]
    fn a_message_says_what_was_expected_and_not_what_was_found() {
        for (json, told) in [
            (r#"{"a": "s3cret"}"#, "invalid type: string, expected u8"),
            (r#""s3cret""#, "expected a map"),
            (r#"{"a": "s3\"cret, expected x"}"#, "expected u8"),
            (r#"{"a": -70451}"#, "invalid value: integer, expected u8"),
            (r#"{"a": 70451.5}"#, "invalid type: floating point, expected u8"),
            (r#"{"a": true}"#, "invalid type: boolean, expected u8"),
            (r#"{"a": [70451]}"#, "invalid type: sequence, expected u8"),
        ] {
            let error = serde_json::from_str::<std::collections::BTreeMap<String, u8>>(json).unwrap_err();
            let message = without_values(&error.to_string());
            assert!(message.contains(told) && !message.contains("cret") && !message.contains("70451"), "{message}");
        }
    }

    #[test]
    fn an_answer_shows_nothing_of_what_was_sent() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic YWxpY2U6cy8zIjp4eQ=="),
            ("private-token", "glpat-0123456789abcdef"),
            ("x-amz-date", "20260101T000000Z"),
            ("accept", "application/json, x"),
        ] {
            let mut value = http::HeaderValue::from_static(value);
            value.set_sensitive(name != "accept");
            headers.insert(name, value);
        }
        let secrets = secrets(&headers);
        for (sent, shown) in [
            ("Basic YWxpY2U6cy8zIjp4eQ== is wrong", "Basic *** is wrong"),
            (r#"{"message": "alice/s/3\":xy, or s\/3\":xy"}"#, r#"{"message": "alice/***, or ***"}"#),
            ("glpat-0123456789abcdef", "***"),
            ("20260101T000000Z application/json, x", "20260101T000000Z application/json, x"),
        ] {
            assert_eq!(String::from_utf8(masked(sent.as_bytes(), &secrets)).unwrap(), shown);
        }
    }

    #[test]
    fn text_is_one_short_line() {
        assert_eq!(text(" a\n\tb\u{7}c "), "a bc");
        assert_eq!(text(&"x".repeat(10_000)).chars().count(), 257);
    }
}

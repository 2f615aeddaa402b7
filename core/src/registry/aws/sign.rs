//! Signature Version 4: each request carries a signature over itself, made with the secret key and valid for one day, region and service.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::HeaderName;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::keys::Keys;
use crate::error::Result;
use crate::net::client::Request;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What the signature holds for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The request with its date and its signature. `host`, `content-type` and everything of Amazon's own is signed.
pub(super) fn sign(request: Request, keys: &Keys, scope: Scope<'_>, now: Timestamp) -> Result<Request> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut request = request.with(DATE, &time)?;
    if let Some(token) = &keys.token {
        request = request.with(TOKEN, token)?;
    }
    let (canonical, signed) = canonical(&request);
    let day = time.get(..8).unwrap_or_default();
    let Scope { region, service } = scope;
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let first = Zeroizing::new(format!("AWS4{}", keys.secret.as_str()));
    let mut key = Zeroizing::new(first.as_bytes().to_vec());
    for part in [day, region, service, "aws4_request"] {
        key = Zeroizing::new(keyed(&key, part));
    }
    let signature = hex(&keyed(&key, &text));
    let value =
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}", keys.id);
    request.with(AUTHORIZATION, &value)
}

/// The request as both sides write it down, and the names of the headers in it.
fn canonical(request: &Request) -> (Zeroizing<String>, String) {
    let host = match (request.url.host_str().unwrap_or_default(), request.url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = vec![("host", Zeroizing::new(host))];
    for (name, value) in &request.headers {
        let name = name.as_str();
        if name == "content-type" || name.starts_with("x-amz-") {
            headers.push((name, Zeroizing::new(value.to_str().unwrap_or_default().trim().to_owned())));
        }
    }
    headers.sort_unstable_by_key(|(name, _)| *name);
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut text = Zeroizing::new(format!("{}\n{}\n\n", request.method, request.url.path()));
    for (name, value) in &headers {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{name}:{}", value.as_str());
    }
    let body = request.body.as_deref().unwrap_or_default();
    let _ = write!(text, "\n{signed}\n{}", hex(&Sha256::digest(body)));
    (text, signed)
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn signed(
        url: &str,
        headers: &[(&'static str, &str)],
        body: &'static str,
        token: Option<&str>,
    ) -> (String, String) {
        let mut request = Request::post(Url::parse(url).unwrap(), body);
        for (name, value) in headers {
            request = request.with(HeaderName::from_static(name), value).unwrap();
        }
        let keys = Keys {
            id: "AKIDEXAMPLE".into(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
            token: token.map(|token| Zeroizing::new(token.into())),
            expires: None,
        };
        let service = if url.contains("sts") { "sts" } else { "ecr" };
        let region = if url.contains("us-east-1") { "us-east-1" } else { "eu-west-1" };
        let request = sign(request, &keys, Scope { region, service }, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
        let (canonical, _) = canonical(&request);
        let value = request.headers[AUTHORIZATION].to_str().unwrap();
        assert!(request.headers[AUTHORIZATION].is_sensitive());
        (hex(&Sha256::digest(canonical.as_bytes())), value.rsplit_once("Signature=").unwrap().1.to_owned())
    }

    /// Against the vectors that botocore's own signer gave for the same requests.
    #[test]
    fn is_what_others_sign() {
        let json = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeImages"),
        ];
        let body =
            r#"{"repositoryName":"team/app","maxResults":1000,"filter":{"tagStatus":"ANY","imageStatus":"ACTIVE"}}"#;
        assert_eq!(
            signed("https://api.ecr.us-east-1.amazonaws.com/", &json, body, None),
            (
                "9b2c51e3340dea02668f789f89937b538e5b691ef68dd7e72e1546680e2c8114".to_owned(),
                "a1d0df5a86e3e71045bdb77233372c65b0b3fe82f2f09478af6b652b504be199".to_owned()
            )
        );
        let token = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        ];
        assert_eq!(
            signed("https://api.ecr.us-east-1.amazonaws.com/", &token, "{}", Some("SESSIONTOKENEXAMPLE")),
            (
                "38d65268f7e0c73f06e87fb8f94cc86f843f07c4aaa7f3442d2605b4ddbea981".to_owned(),
                "87a8212890e2e4f813e042870be4d420a584bbce8e2ebb33feb147bca7a32916".to_owned()
            )
        );
        let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fscanner&RoleSessionName=scan-1&ExternalId=ext-42&DurationSeconds=3600";
        assert_eq!(
            signed(
                "https://sts.eu-west-1.amazonaws.com/",
                &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
                form,
                None
            ),
            (
                "be8955edb1d27714ffe5416aafee5a7daaaf51305115a27f29e79558776dbf65".to_owned(),
                "f4b1ee0b197b34a8027105ad30a6461b21ae66f0aa485243c0f1449f5d60937f".to_owned()
            )
        );
    }

    #[test]
    fn the_port_is_signed_where_it_is_not_the_usual_one() {
        let (with, _) = signed("http://127.0.0.1:5000/us-east-1", &[], "", None);
        let (without, _) = signed("http://127.0.0.1/us-east-1", &[], "", None);
        assert_ne!(with, without);
    }
}

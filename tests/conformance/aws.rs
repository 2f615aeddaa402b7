//! Signature Version 4, checked byte by byte: written down again from the documentation, not with the library's words.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use sha2::{Digest as _, Sha256};

use super::imitation::Asked;

/// An access key that an imitation knows: its secret, and the session token that must come along.
pub type Key = (String, Option<String>);

/// Why a signature is refused: the name of the error, and what is said about it.
pub struct Refused {
    pub code: &'static str,
    pub message: String,
}

/// Whether a request is signed for this service in this region, at about `now`, with one of the keys. What is said about a refusal
/// repeats what was signed, as the services do, secrets too.
pub fn check(
    asked: &Asked,
    keys: &BTreeMap<String, Key>,
    (region, service): (&str, &str),
    now: i64,
) -> Result<(), Refused> {
    let refuse = |code, message: &str| Err(Refused { code, message: message.to_owned() });
    let wrong = "InvalidSignatureException";
    let header = asked.header("authorization");
    let Some(rest) = header.strip_prefix("AWS4-HMAC-SHA256 Credential=") else { return refuse(wrong, "no signature") };
    let (credential, rest) = rest.split_once(", SignedHeaders=").unwrap();
    let (signed, signature) = rest.split_once(", Signature=").unwrap();
    let [id, day, signed_region, signed_service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
        return refuse(wrong, "the scope");
    };
    let Some((secret, token)) = keys.get(id) else {
        return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
    };
    let time = asked.header("x-amz-date");
    if (now - second(time)).abs() > 300 {
        return refuse(wrong, &format!("Signature expired: {time} is now earlier than ({secret})"));
    }
    if (signed_region, signed_service, day) != (region, service, &time[..8]) {
        return refuse(wrong, "Credential should be scoped to a valid region");
    }
    if token.as_deref().unwrap_or_default() != asked.header("x-amz-security-token") {
        return refuse(wrong, "the session token");
    }
    let mut canonical = format!("{}\n{}\n{}\n", asked.method, asked.path, asked.query);
    for name in signed.split(';') {
        canonical += &format!("{name}:{}\n", asked.header(name).trim());
    }
    for needed in ["host", "content-type", "x-amz-date"] {
        assert!(signed.split(';').any(|name| name == needed), "{needed} is not signed");
    }
    assert_eq!(format!("http://{}", asked.header("host")), asked.own);
    canonical += &format!("\n{signed}\n{}", hex(&Sha256::digest(&asked.body)));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let hmac =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    match hex(&hmac(&key, &text)) == signature {
        true => Ok(()),
        false => refuse(wrong, &format!("The Canonical String should have been {canonical} {secret}")),
    }
}

/// The second of a time such as `20261129T040000Z`.
fn second(time: &str) -> i64 {
    let part = |from: usize, to: usize| &time[from..to];
    let text =
        format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(9, 11), part(11, 13), part(13, 15));
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Keys that the machine hands out: to the containers of ECS and EKS, and to an instance (IMDSv2; the first version is not spoken).

use std::path::Path;

use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use serde::Deserialize;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::keys::Keys;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::net::client::Request;
use crate::net::redact;
use crate::registry::json;
use crate::registry::surroundings::{self, Surroundings};

const LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// The longest name or token.
const MAX_TEXT: u64 = 16 << 10;

/// The key of a container; none where there is no such service.
pub(super) async fn container(surroundings: &Surroundings, context: &Context) -> Result<Option<Keys>> {
    let address = match surroundings.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("http://169.254.170.2{path}"),
        None => match surroundings.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Some(address) => address,
            None => return Ok(None),
        },
    };
    let wrong = || {
        Error::new(Kind::InvalidInput, "the address of the container's credentials cannot be right")
            .with("variable", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
            .with_hint("only https, this machine, and the addresses of ECS and EKS are asked")
    };
    let url = Url::parse(&address).map_err(|_| wrong())?;
    if !is_allowed(&url) {
        return Err(wrong());
    }
    let mut request = Request::get(url);
    let token = match surroundings.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(surroundings::text(Path::new(&path), context).await?),
        None => surroundings.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new),
    };
    if let Some(token) = token {
        request = request.with(AUTHORIZATION, &token)?;
    }
    let response = surroundings::local()?.send(&request, context).await?.success(context).await;
    let response = response.map_err(|error| error.with("step", "the credentials of the container"))?;
    json::read(response, context).await.map(Some)
}

/// The addresses that the token of a container may go to.
fn is_allowed(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || matches!(address.octets(), [169, 254, 170, 2 | 23]),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

/// The key of the role of this instance; none where there is no such service or no role.
pub(super) async fn instance(surroundings: &Surroundings, context: &Context) -> Result<Option<Keys>> {
    if surroundings.is_set("AWS_EC2_METADATA_DISABLED") {
        return Ok(None);
    }
    let base = surroundings.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| {
        let mode = surroundings.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").unwrap_or_default();
        let is_v6 = mode.eq_ignore_ascii_case("ipv6");
        if is_v6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" }.to_owned()
    });
    let url = |path: &str| {
        let text = format!("{}/latest/{path}", base.trim_end_matches('/'));
        Url::parse(&text).map_err(|error| {
            Error::new(Kind::InvalidInput, "this is not an address")
                .with("variable", "AWS_EC2_METADATA_SERVICE_ENDPOINT")
                .because(error)
        })
    };
    let client = surroundings::local()?;
    let request = Request { method: Method::PUT, ..Request::get(url("api/token")?) }.with(LIFE, "21600")?;
    let answer = match client.send(&request, context).await {
        Ok(answer) if answer.status() == 200 => answer,
        // Not an instance, or a container that is too far away from one.
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == Kind::Canceled => return Err(error),
        Err(_) => return Ok(None),
    };
    let token = Zeroizing::new(Vec::from(answer.bytes(MAX_TEXT, context).await?));
    let token = Zeroizing::new(String::from_utf8_lossy(&token).trim().to_owned());
    let ask = |path: String| {
        let request = url(&path).and_then(|url| Request::get(url).with(TOKEN, &token));
        async { client.send(&request?, context).await }
    };
    let folder = "meta-data/iam/security-credentials/";
    let roles = ask(folder.to_owned()).await?;
    if roles.status() == 404 {
        return Ok(None);
    }
    let roles = roles.success(context).await?.bytes(MAX_TEXT, context).await?;
    let role = String::from_utf8_lossy(&roles).lines().next().unwrap_or_default().trim().to_owned();
    if role.is_empty() {
        return Ok(None);
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Code", default)]
        code: Option<String>,
        #[serde(rename = "Message", default)]
        message: Option<String>,
        #[serde(flatten)]
        rest: serde_json::Map<String, serde_json::Value>,
    }
    let answer: Answer = json::read(ask(format!("{folder}{role}")).await?.success(context).await?, context).await?;
    if let Some(code) = answer.code.filter(|code| code != "Success") {
        return Err(Error::new(Kind::Unauthenticated, "the instance has no key for its role")
            .with("code", redact::text(&code))
            .with("answer", redact::text(&answer.message.unwrap_or_default()))
            .with_hint("check the role of the instance"));
    }
    serde_json::from_value(serde_json::Value::Object(answer.rest)).map(Some).map_err(|_| {
        Error::new(Kind::Corrupt, "the metadata service of the instance answers with something that is no key")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_container_stays_on_the_machine() {
        for (url, allowed) in [
            ("http://169.254.170.2/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://localhost:8080/", true),
            ("https://vault.example/", true),
            ("http://vault.example/", false),
            ("http://169.254.169.254/", false),
            ("http://10.0.0.1/", false),
            ("ftp://127.0.0.1/", false),
        ] {
            assert_eq!(is_allowed(&Url::parse(url).unwrap()), allowed, "{url}");
        }
    }
}

//! Amazon's private registries, against moto: an imitation by others of the ECR and STS API. It looks at no signature and knows no
//! pages, but nothing in it was written with this library in mind. Skipped where Python has no moto.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tidewaiter::Context;
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate};
use tidewaiter::net::client::{Client, Options, Request};
use tidewaiter::registry::{AwsCredential, Credential, Registry, Secret};

struct Moto {
    child: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// Starts it on a free port; none where it is not installed.
    async fn start() -> Option<Self> {
        let is_there = Command::new("python3").args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
        if !is_there.is_ok_and(|status| status.success()) {
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto does not listen");
    }

    /// Calls the API without the library's own words.
    async fn call(&self, operation: &str, body: Value) -> Value {
        let context = Context::new();
        let request = Request::post(self.url.parse().unwrap(), body.to_string())
            .with(
                AUTHORIZATION,
                "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=x",
            )
            .unwrap()
            .with(
                http::HeaderName::from_static("x-amz-target"),
                &format!("AmazonEC2ContainerRegistry_V20150921.{operation}"),
            )
            .unwrap();
        let answer = Client::new(&Options::default()).unwrap().send(&request, &context).await.unwrap();
        assert_eq!(answer.status(), 200, "{operation}");
        serde_json::from_slice(&answer.bytes(1 << 20, &context).await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn suite_holds() {
    let Some(moto) = Moto::start().await else {
        eprintln!("skipped: Python has no moto");
        return;
    };
    let mut holding = Holding::new();
    for repository in ["team/app", "web", "empty"] {
        moto.call("CreateRepository", json!({"repositoryName": repository})).await;
        holding = holding.repository(repository);
    }
    for (repository, content, tags) in
        [("team/app", "1", &["1.0", "latest"][..]), ("team/app", "2", &["2.0"]), ("web", "3", &["x"])]
    {
        let layer = Digest::of(content.as_bytes()).to_string();
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": layer},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": layer}]});
        for tag in tags {
            moto.call(
                "PutImage",
                json!({"repositoryName": repository, "imageManifest": manifest.to_string(), "imageTag": tag}),
            )
            .await;
        }
    }
    for repository in ["team/app", "web"] {
        let found = moto.call("DescribeImages", json!({"repositoryName": repository})).await;
        for image in found["imageDetails"].as_array().unwrap() {
            let digest: Digest = image["imageDigest"].as_str().unwrap().parse().unwrap();
            let tags: Vec<_> = image["imageTags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
            let pushed = image["imagePushedAt"].as_f64().unwrap() as i64;
            holding = holding.image(repository, &digest, &tags, ImageDate::of_seconds(pushed, DateSource::FirstPushed));
        }
    }
    let json = json!({"kind": "ecr", "region": "eu-west-1", "account": "123456789012", "endpoint": moto.url});
    let registry = Registry::from_json(&json.to_string()).unwrap();
    let keys = || AwsCredential::keys("test", Secret::value("planted-s3cret")).with_sts_endpoint(&moto.url);
    let role = keys().with_role("arn:aws:iam::123456789012:role/scanner").with_external_id("ext-42");
    for credential in [keys(), role] {
        // Its passwords have ended in 2015: nothing may turn in circles over that.
        let connector = super::connector(&registry.clone().credential(Credential::aws(credential))).await.unwrap();
        suite(&*connector, &holding).await;
    }
}

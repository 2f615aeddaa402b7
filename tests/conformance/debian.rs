//! Debian's `docker-registry`, a real one: open, behind htpasswd, and behind a token server whose tokens are signed.
//! Skipped, with a word about it, where a program is missing.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::ImageDate;
use tidewaiter::registry::{Credential, Registry, Secret, Wanted};
use tidewaiter::{Context, Kind};

use super::connector;
use super::imitation::{Answer, Asked, Imitation};

const PASSWORD: &str = "planted-s3cret";
const IMAGES: [(&str, &str, &[&str]); 3] =
    [("team/app", "one", &["1.0", "latest"]), ("team/app", "two", &["2.0"]), ("web", "three", &["1"])];

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program; whether it did. One that is missing is told.
fn run(program: &str, arguments: &[&str], input: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no {program} program");
        return None;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.unwrap_or_default()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} fails");
    Some(output.stdout)
}

async fn start(folder: &Path, auth: &str) -> Option<Server> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = folder.join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n{auth}\n"
    );
    std::fs::write(&config, text).unwrap();
    let child =
        Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(child) = child else {
        println!("skipped: there is no docker-registry program");
        return None;
    };
    let server = Server { child, url: format!("http://127.0.0.1:{port}") };
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("docker-registry does not start");
}

fn image(content: &str) -> BuiltImage {
    ImageBuilder::new().layer(Layer::new().file("content", content)).build()
}

/// Pushes the images with `skopeo`, from a layout each.
async fn filled(server: &Server, credentials: Option<String>) -> Option<Holding> {
    let mut holding = Holding::new();
    for (repository, content, tags) in IMAGES {
        let (image, folder) = (image(content), tempfile::tempdir().unwrap());
        let blobs = folder.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        for blob in image.blobs.iter().chain([&image.manifest]) {
            std::fs::write(blobs.join(Digest::of(blob).hex()), blob).unwrap();
        }
        std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": image.media_type, "digest": image.digest().as_str(),
            "size": image.manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "v1"}}]});
        std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
        for tag in tags {
            let from = format!("oci:{}:v1", folder.path().display());
            let to = format!("docker://{}/{repository}:{tag}", server.url.trim_start_matches("http://"));
            let mut arguments = vec!["copy", "--insecure-policy", "--quiet", "--dest-tls-verify=false"];
            if let Some(credentials) = &credentials {
                arguments.extend(["--dest-creds", credentials]);
            }
            let arguments: Vec<_> =
                arguments.into_iter().chain([from.as_str(), to.as_str()]).map(str::to_owned).collect();
            // The token server answers on this runtime meanwhile.
            let pushed = tokio::task::spawn_blocking(move || {
                run("skopeo", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), None)
            });
            pushed.await.unwrap()?;
        }
        holding = holding.image(repository, &image.digest(), tags, ImageDate::none());
    }
    Some(holding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = start(folder.path(), "").await else { return };
    let Some(holding) = filled(&server, None).await else { return };
    let registry = Registry::docker(&server.url).credential(Credential::Anonymous);
    suite(&*connector(&registry).await.unwrap(), &holding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_htpasswd() {
    let folder = tempfile::tempdir().unwrap();
    let Some(passwords) = run("htpasswd", &["-nbB", "alice", PASSWORD], None) else { return };
    let path = folder.path().join("htpasswd");
    std::fs::write(&path, passwords).unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", path.display());
    let Some(server) = start(folder.path(), &auth).await else { return };
    let Some(holding) = filled(&server, Some(format!("alice:{PASSWORD}"))).await else { return };
    let with =
        |password: &str| Registry::docker(&server.url).credential(Credential::basic("alice", Secret::value(password)));
    suite(&*connector(&with(PASSWORD)).await.unwrap(), &holding).await;
    let wrong = connector(&with("wrong")).await.unwrap();
    let error = wrong.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

/// A token server that gives `alice` what she asks for. Tokens are signed by RSA with SHA-256; the certificate goes with them.
/// Those to pull end in the middle of a run.
fn token(asked: &Asked, key: &str, certificate: &str) -> Answer {
    if asked.basic() != Some(("alice".into(), PASSWORD.into())) {
        return Answer::new(401, "application/json", r#"{"details":"incorrect username or password"}"#);
    }
    let access: Vec<_> = asked
        .param("scope")
        .split(' ')
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        })
        .collect();
    let now = jiff::Timestamp::now().as_second();
    // The registry takes a token for a minute longer than it says, so that these end in some seconds, which the client is not told.
    let end = if asked.param("scope").contains("push") { now + 300 } else { now - 57 };
    let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = json!({"iss": "iss", "sub": "alice", "aud": "svc", "exp": end, "nbf": now - 600, "iat": now - 600, "jti": "1", "access": access});
    let plain = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = run("openssl", &["dgst", "-sha256", "-sign", key], Some(plain.as_bytes())).unwrap();
    let token = format!("{plain}.{}", URL_SAFE_NO_PAD.encode(signature));
    Answer::json(json!({"token": token, "access_token": token, "expires_in": 300}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_token_server() {
    let folder = tempfile::tempdir().unwrap();
    let (key, path) =
        (folder.path().join("key.pem").display().to_string(), folder.path().join("cert.pem").display().to_string());
    let made = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=token",
            "-keyout",
            &key,
            "-out",
            &path,
        ],
        None,
    );
    if made.is_none() {
        return;
    }
    let pem = std::fs::read_to_string(&path).unwrap();
    let certificate: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(STANDARD.decode(&certificate).is_ok());
    let issuer = Imitation::start(move |asked| token(asked, &key, &certificate)).await;
    let auth = format!(
        "auth: {{token: {{realm: \"{}/token\", service: svc, issuer: iss, rootcertbundle: {path}}}}}",
        issuer.url()
    );
    let Some(server) = start(folder.path(), &auth).await else { return };
    let Some(holding) = filled(&server, Some(format!("alice:{PASSWORD}"))).await else { return };
    let with =
        |password: &str| Registry::docker(&server.url).credential(Credential::basic("alice", Secret::value(password)));
    let good = connector(&with(PASSWORD)).await.unwrap();
    suite(&*good, &holding).await;
    let (before, wanted, context) = (issuer.count("/token"), Wanted::default(), Context::new());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(good.images("team/app", &wanted, &context).await.unwrap().len(), 2);
    assert!(issuer.count("/token") > before);
    let wrong = connector(&with("wrong")).await.unwrap();
    let error = wrong.images("team/app", &Wanted::default(), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
}

//! What a registry answers, of every kind, to who asks what is in it. All hosts are one server here, which the definition names as its
//! proxy, so that nothing leaves this process.
//!
//! The first byte chooses the kind, the second who asks and what for. The rest are parts with a zero byte between two: the first a
//! file (a profile of AWS, the JSON of a service account), each other one an answer: what its request contains, a blank, the
//! status, lines of headers, an empty line, the body. `$D` is a digest and `$U` the address of the registry.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use futures_util::StreamExt as _;
use libfuzzer_sys::fuzz_target;
use tidewaiter::model::reference::is_repository;
use tidewaiter::registry::{AwsCredential, AzureCredential, GoogleCredential, Wanted, vendor};
use tidewaiter::{Context, Credential, Registry, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Behind so many requests nothing is found any more: lists of the same page over and over end later than is of use here.
const MOST_REQUESTS: usize = 200;
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct Answer {
    asked: String,
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(part: &[u8]) -> Self {
        let text = String::from_utf8_lossy(part).replace("$D", DIGEST).replace("$U", "http://r.example");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let (asked, status) = lines.next().and_then(|line| line.rsplit_once(' ')).unwrap_or(("", "200"));
        // What is wrong in HTTP itself is the concern of others.
        let is_header = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            line.contains(':')
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !["content-length", "transfer-encoding", "connection", "upgrade"].contains(&&*name)
                && !line.chars().any(char::is_control)
        };
        Self {
            asked: asked.to_owned(),
            status: status.parse().ok().filter(|status| (200..600).contains(status)).unwrap_or(200),
            headers: lines.filter(is_header).map(|line| format!("{line}\r\n")).collect(),
            body: body.as_bytes().to_vec(),
        }
    }
}

/// The answers of this input, and how many requests there were.
#[derive(Default)]
struct Server {
    answers: Vec<Answer>,
    requests: usize,
}

struct Place {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
    server: Rc<RefCell<Server>>,
    proxy: String,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        // One authority instead of all of the system, which take longer to read than anything here.
        let authorities = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        let one = folder.path().join("ca.pem");
        let end = "-----END CERTIFICATE-----\n";
        std::fs::write(&one, authorities.split_inclusive(end).next().unwrap_or_default()).unwrap();
        let variables =
            [("AWS_EC2_METADATA_DISABLED", "true".into()), ("AWS_CONFIG_FILE", file.clone().into_os_string())];
        let variables = variables.into_iter().chain([
            ("HOME", folder.path().into()),
            ("SSL_CERT_FILE", one.into_os_string()),
            ("SSL_CERT_DIR", folder.path().into()),
            ("NO_PROXY", "".into()),
        ]);
        for (name, value) in variables {
            // SAFETY: nothing else runs yet that could read the environment.
            unsafe { std::env::set_var(name, value) };
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let server = Rc::new(RefCell::new(Server::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let answering = Rc::clone(&server);
        local.spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answering = Rc::clone(&answering);
                tokio::task::spawn_local(async move { drop(serve(stream, answering).await) });
            }
        });
        Self { runtime, local, server, proxy, file, _folder: folder }
    }
}

async fn serve(stream: TcpStream, server: Rc<RefCell<Server>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        while !request.ends_with("\r\n\r\n") {
            let start = request.len();
            if stream.read_line(&mut request).await? == 0 {
                return Ok(());
            }
            if let Some(value) = request[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let head_only = request.starts_with("HEAD ");
        let is_tunnel = request.starts_with("CONNECT ");
        request.push_str(&String::from_utf8_lossy(&body));
        let answer = {
            let mut server = server.borrow_mut();
            server.requests += 1;
            assert!(
                server.requests < MOST_REQUESTS,
                "a list has no end: {}",
                request.lines().next().unwrap_or_default()
            );
            let found = server.answers.iter().find(|answer| !is_tunnel && request.contains(&answer.asked));
            let (status, headers, body) =
                found.map_or((404, "", &b""[..]), |it| (it.status, it.headers.as_str(), it.body.as_slice()));
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
            let is_empty = head_only || matches!(status, 204 | 304);
            [head.as_bytes(), if is_empty { &b""[..] } else { body }].concat()
        };
        stream.get_mut().write_all(&answer).await?;
    }
}

fn registry(kind: &str, who: u8, file: &str, proxy: &str) -> Option<Registry> {
    let url = r#""url": "http://r.example", "api_url": "http://api.example""#;
    let fields = match kind {
        "dockerhub" => format!(r#", {url}, "namespaces": ["acme"]"#),
        "ecr" => r#", "url": "http://r.example", "endpoint": "http://api.example", "region": "eu-west-1", "account": "123456789012""#.into(),
        "ecr-public" => format!(r#", {url}, "alias": "acme""#),
        "acr" => r#", "url": "http://r.example""#.into(),
        "gcr" => format!(r#", {url}, "project": "acme""#),
        "gar" => format!(r#", {url}, "project": "acme", "location": "us""#),
        "ghcr" => format!(r#", {url}, "owner": "acme""#),
        "nexus" => r#", "url": "http://r.example/repository/hosted""#.into(),
        "openshift" | "quay" | "harbor" if who & 4 != 0 => {
            let what = if kind == "quay" { "namespaces" } else { "projects" };
            format!(r#", "url": "http://r.example", "{what}": ["acme"]"#)
        }
        "openshift" => format!(", {url}"),
        "gitlab" if who & 4 != 0 => r#", "url": "http://r.example", "groups": ["acme"]"#.into(),
        _ => r#", "url": "http://r.example""#.into(),
    };
    let registry = Registry::from_json(&format!(r#"{{"kind": "{kind}"{fields}}}"#)).ok()?;
    let secret = || Secret::value("b");
    let credential = match (kind, who & 3) {
        (_, 0) => Credential::Anonymous,
        ("dockerhub", 1) => Credential::dockerhub("a", secret()),
        ("quay", 1) => Credential::Quay { username: "a".into(), password: secret(), token: Some(secret()) },
        ("ecr" | "ecr-public", 1) => {
            Credential::aws(AwsCredential::keys("AKID", secret()).with_sts_endpoint("http://sts.example"))
        }
        ("ecr" | "ecr-public", 2) => {
            Credential::aws(AwsCredential::profile("a").with_sts_endpoint("http://sts.example"))
        }
        ("acr", 1) => {
            Credential::azure(AzureCredential::client_secret("t", "c", secret()).with_authority("http://login.example"))
        }
        ("acr", 2) => Credential::azure(AzureCredential::user("a", secret())),
        ("gcr", 1) => Credential::gcr(GoogleCredential::access_token(secret())),
        ("gar", 1) => Credential::gar(GoogleCredential::access_token(secret())),
        ("gcr", 2) => Credential::gcr(GoogleCredential::service_account(Secret::value(file))),
        ("gar", 2) => Credential::gar(GoogleCredential::service_account(Secret::value(file))),
        (_, 1 | 2) => Credential::basic("a", secret()),
        _ => Credential::token(secret()),
    };
    Some(registry.credential(credential).with_proxy(proxy).with_private_addresses())
}

async fn list(registry: &Registry, with_dates: bool) {
    let context = Context::new();
    let one_line = |error: &tidewaiter::Error| assert!(!error.to_string().contains(char::is_control), "{error:?}");
    let connector = match tidewaiter::fuzzing::connector(registry, &context).await {
        Ok(connector) => connector,
        Err(error) => return one_line(&error),
    };
    let wanted = if with_dates { Wanted::with_dates() } else { Wanted::default() };
    let mut names = BTreeSet::from(["acme/app".to_owned()]);
    let mut found = connector.repositories(&wanted, &context);
    while let Some(name) = found.next().await {
        match name {
            Ok(name) => {
                assert!(is_repository(&name), "{name:?}");
                names.insert(name);
            }
            Err(error) => one_line(&error),
        }
    }
    for name in names.iter().take(3) {
        match connector.images(name, &wanted, &context).await {
            Ok(images) => {
                let mut digests = BTreeSet::new();
                for image in &images {
                    assert!(digests.insert(&image.digest), "{} twice", image.digest);
                    assert!(image.tags.is_sorted_by(|a, b| a < b), "{:?}", image.tags);
                }
            }
            Err(error) => one_line(&error),
        }
    }
}

thread_local! {
    static PLACE: Place = Place::new();
}

fuzz_target!(|input: &[u8]| {
    let Some(([kind, who], rest)) = input.split_first_chunk::<2>().map(|(head, rest)| (*head, rest)) else { return };
    PLACE.with(|place| {
        let mut parts = rest.split(|byte| *byte == 0).take(16);
        let file = parts.next().unwrap_or_default();
        let kind = vendor::ALL[usize::from(kind) % vendor::ALL.len()].name();
        std::fs::write(&place.file, file).unwrap();
        let Some(registry) = registry(kind, who, &String::from_utf8_lossy(file), &place.proxy) else { return };
        *place.server.borrow_mut() = Server { answers: parts.map(Answer::read).collect(), requests: 0 };
        place.local.block_on(&place.runtime, list(&registry, who & 8 == 0));
    });
});

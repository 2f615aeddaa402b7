//! Debian's `docker-registry`, a real one, and what it takes to fill it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidewaiter::conformance::image::BuiltImage;
use tidewaiter::model::digest::Digest;

/// A registry that runs, until it is dropped.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program prints; none for one that is missing, which is told.
pub fn run(program: &str, arguments: &[&str], input: Option<&[u8]>) -> Option<Vec<u8>> {
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

/// Starts it, with these lines in its configuration; none where it is not installed.
pub async fn start(folder: &Path, auth: &str) -> Option<Server> {
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

/// Pushes an image with `skopeo`, from a layout; none where that is not installed.
pub async fn push(
    server: &Server,
    image: &BuiltImage,
    repository: &str,
    tag: &str,
    credentials: Option<&str>,
) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for blob in image.blobs.iter().chain([&image.manifest]) {
        std::fs::write(blobs.join(Digest::of(blob).hex()), blob).unwrap();
    }
    std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{"mediaType": image.media_type, "digest": image.digest().as_str(),
        "size": image.manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "v1"}}]});
    std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    let from = format!("oci:{}:v1", folder.path().display());
    let to = format!("docker://{}/{repository}:{tag}", server.url.trim_start_matches("http://"));
    let mut arguments = vec!["copy", "--insecure-policy", "--quiet", "--dest-tls-verify=false"];
    arguments.extend(credentials.iter().flat_map(|credentials| ["--dest-creds", credentials]));
    let arguments: Vec<_> = arguments.into_iter().chain([from.as_str(), to.as_str()]).map(str::to_owned).collect();
    // A token server may have to answer on this runtime meanwhile.
    let pushed = tokio::task::spawn_blocking(move || {
        run("skopeo", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), None).map(drop)
    });
    pushed.await.unwrap()
}

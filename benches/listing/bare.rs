//! The floor: the requests of a listing and nothing else, over eight connections, each answer read whole. Once written straight to
//! sockets, once with the HTTP client of the library.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewaiter::Context;
use tidewaiter::net::client::{Client, Options, Request};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::Url;

use super::Dialect;
use super::server::{BASIC, NAME_PAGE, REPOSITORIES, TAG_PAGE, TAGS, name, tag};

/// What a registry is asked with at once, unless its definition says otherwise.
const CONNECTIONS: usize = 8;

pub type Failure = Box<dyn Error + Send + Sync>;
pub type Done<T> = Result<T, Failure>;

/// Sends a request and reads the whole answer: the digest that it announces, and its body.
pub trait Ask: Sized + Send + 'static {
    fn open(address: &str) -> impl Future<Output = Done<Self>> + Send;
    fn ask(&mut self, method: &str, path: &str) -> impl Future<Output = Done<(String, Vec<u8>)>> + Send;
}

/// A connection that is kept open.
pub struct Wire {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Ask for Wire {
    async fn open(address: &str) -> Done<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_owned() })
    }

    async fn ask(&mut self, method: &str, path: &str) -> Done<(String, Vec<u8>)> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {BASIC}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        let (mut line, mut length, mut digest, mut is_first) = (String::new(), 0, String::new(), true);
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let text = line.trim_end();
            if std::mem::take(&mut is_first) {
                if !text.starts_with("HTTP/1.1 200") {
                    return Err(format!("{text} for {path}").into());
                }
            } else if text.is_empty() {
                break;
            } else if let Some(value) = text.strip_prefix("content-length: ") {
                length = value.parse()?;
            } else if let Some(value) = text.strip_prefix("docker-content-digest: ") {
                digest = value.to_owned();
            }
        }
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.stream.read_exact(&mut body).await?;
        Ok((digest, body))
    }
}

/// The client of the library, without anything above it.
pub struct Http {
    client: Client,
    base: Url,
    context: Context,
}

impl Ask for Http {
    async fn open(address: &str) -> Done<Self> {
        let (client, base) = (Client::new(&Options::default())?, Url::parse(&format!("http://{address}/"))?);
        Ok(Self { client, base, context: Context::new() })
    }

    async fn ask(&mut self, method: &str, path: &str) -> Done<(String, Vec<u8>)> {
        let url = self.base.join(path)?;
        let request = if method == "HEAD" { Request::head(url) } else { Request::get(url) };
        let request = request.with(http::header::AUTHORIZATION, BASIC)?;
        let response = self.client.send(&request, &self.context).await?.success(&self.context).await?;
        let digest = response.header("docker-content-digest").unwrap_or_default().to_owned();
        let body = response.bytes(64 << 20, &self.context).await?;
        Ok((digest, body.to_vec()))
    }
}

/// What is asked before anything is known of a repository.
async fn repositories(ask: &mut impl Ask, dialect: Dialect) -> Done<()> {
    if dialect != Dialect::Harbor {
        // How the registry wants to be shown who asks.
        ask.ask("GET", "/v2/").await?;
        ask.ask("GET", "/v2/_catalog?n=1000").await?;
        for page in 1..REPOSITORIES / NAME_PAGE {
            let last = name(page * NAME_PAGE - 1).replace('/', "%2F");
            ask.ask("GET", &format!("/v2/_catalog?last={last}&n=1000")).await?;
        }
        return Ok(());
    }
    // The credential is shown first, and again at the end.
    ask.ask("GET", "/v2/").await?;
    for page in 1..=REPOSITORIES / NAME_PAGE {
        ask.ask("GET", &format!("/api/v2.0/repositories?page={page}&page_size=100&sort=id")).await?;
    }
    ask.ask("GET", "/v2/").await?;
    Ok(())
}

/// What is asked about a repository; how many tags it has.
async fn repository(ask: &mut impl Ask, dialect: Dialect, number: usize) -> Done<usize> {
    let name = name(number);
    if dialect == Dialect::Harbor {
        let path = name.replacen('/', "/repositories/", 1);
        let query = "page=1&page_size=100&sort=id&with_tag=true&with_label=false&with_scan_overview=false";
        ask.ask("GET", &format!("/api/v2.0/projects/{path}/artifacts?{query}")).await?;
        return Ok(TAGS);
    }
    ask.ask("GET", &format!("/v2/{name}/tags/list?n=1000")).await?;
    for page in 1..TAGS / TAG_PAGE {
        ask.ask("GET", &format!("/v2/{name}/tags/list?last={}&n=1000", tag(page * TAG_PAGE - 1))).await?;
    }
    for number in 0..TAGS {
        let (digest, _) = ask.ask("HEAD", &format!("/v2/{name}/manifests/{}", tag(number))).await?;
        if dialect == Dialect::Built {
            let (_, manifest) = ask.ask("GET", &format!("/v2/{name}/manifests/{digest}")).await?;
            let text = std::str::from_utf8(&manifest)?;
            let config =
                text.split('"').find(|part| part.starts_with("sha256:")).ok_or("a manifest without digests")?;
            ask.ask("GET", &format!("/v2/{name}/blobs/{config}")).await?;
        }
    }
    Ok(TAGS)
}

/// Asks for everything; how many tags there are.
pub async fn walk<A: Ask>(address: &str, dialect: Dialect) -> Done<usize> {
    repositories(&mut A::open(address).await?, dialect).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (next, address) = (Arc::clone(&next), address.to_owned());
            tokio::spawn(async move {
                let (mut ask, mut tags) = (A::open(&address).await?, 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REPOSITORIES {
                        return Done::Ok(tags);
                    }
                    tags += repository(&mut ask, dialect, number).await?;
                }
            })
        })
        .collect();
    let mut tags = 0;
    for worker in workers {
        tags += worker.await??;
    }
    Ok(tags)
}

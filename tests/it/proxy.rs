//! A proxy in front of a registry that spoils what passes through it, as networks, caches and load balancers do. It works on the
//! bytes, below any HTTP library, so that what it sends may be against every rule.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A proxy that is forgotten ends itself, with all its connections.
const LIFE: Duration = Duration::from_secs(60);
/// The longest head of a request or an answer, and the longest body.
const HEAD: usize = 64 << 10;
const BODY: u64 = 16 << 20;
/// What was sent gets its time to arrive before the connection is reset on it.
const ARRIVE: Duration = Duration::from_millis(20);

/// A header before, and after; none is one that is not there.
type Edit = fn(Option<&str>) -> Option<String>;

/// What goes wrong with one exchange.
#[derive(Clone)]
pub enum Fault {
    /// The registry is asked with another header than the client sent.
    Ask(&'static str, Edit),
    /// The client is answered with another header than the registry sent.
    Say(&'static str, Edit),
    /// Another answer without a body: its status and its headers, a line each.
    Answer(u16, fn() -> String),
    /// A redirect to the same path at another origin; an empty one is the proxy itself.
    Redirect(String),
    /// These bytes, and the end of the connection, in place of an answer.
    Raw(fn() -> Vec<u8>),
    /// The connection ends like this, here.
    Break(At, How),
    /// The body comes in eight pieces with a pause before each.
    Drip(Duration),
    /// One byte in the middle of the body is another.
    Flip,
}

/// Where an answer breaks off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before its first byte.
    Start,
    /// Behind its headers.
    Body,
    /// In the middle of its body.
    Middle,
}

/// How a connection ends.
#[derive(Clone, Copy)]
pub enum How {
    /// In order, as if all were said.
    Close,
    /// With a reset (RST).
    Reset,
    /// Not at all: nothing more comes, until the client goes.
    Stall,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub range: Option<String>,
}

/// The proxy. It stops when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    registry: String,
    /// What is to go wrong: a part of the path, how many times yet, and how.
    faults: Mutex<Vec<(String, usize, Fault)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Proxy {
    /// A proxy in front of the registry at this host and port. Faults of one path come in their order. A request without
    /// credentials is left alone: what it gets is a challenge.
    pub async fn start(registry: String, faults: Vec<(String, usize, Fault)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { registry, faults: Mutex::new(faults), seen: Mutex::default() });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let serve = async {
                // Dropped with this task, and all connections with it.
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let state = Arc::clone(&shared);
                    // What breaks is broken on purpose, or by a client that has gone.
                    connections.spawn(async move { drop(exchange(client, &state).await) });
                    while connections.try_join_next().is_some() {}
                }
            };
            let _ = tokio::time::timeout(LIFE, serve).await;
        });
        Self { address, state, serving }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far whose path contains `part`.
    pub fn seen(&self, part: &str) -> Vec<Seen> {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (_, times, fault) = faults.iter_mut().find(|(part, times, _)| *times > 0 && path.contains(part))?;
        *times -= 1;
        Some(fault.clone())
    }
}

/// The lines of a head.
struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::from(ErrorKind::InvalidData))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Ok(Self { first, headers })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn edit(&mut self, name: &'static str, edit: Edit) {
        let value = edit(self.get(name));
        self.headers.retain(|(known, _)| known != name);
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    fn to_bytes(&self) -> Vec<u8> {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.first, lines.collect::<String>()).into_bytes()
    }
}

/// One request and its answer; then the connection is over.
async fn exchange(mut client: TcpStream, state: &State) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() > HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
        // A byte at a time, so that nothing behind it is taken: the requests here have no bodies.
        request.push(client.read_u8().await?);
    }
    let mut request = Head::parse(&request)?;
    let path = request.first.split(' ').nth(1).unwrap_or_default().to_owned();
    state.seen.lock().unwrap().push(Seen { path: path.clone(), range: request.get("range").map(str::to_owned) });
    let fault = request.get("authorization").and_then(|_| state.take_fault(&path));
    match &fault {
        Some(Fault::Ask(name, edit)) => request.edit(name, *edit),
        Some(Fault::Raw(bytes)) => return client.write_all(&bytes()).await,
        Some(Fault::Break(At::Start, how)) => return end(client, *how).await,
        Some(Fault::Answer(status, headers)) => {
            let lines = headers();
            let separator = if lines.is_empty() { "" } else { "\r\n" };
            let answer =
                format!("HTTP/1.1 {status} x\r\n{lines}{separator}content-length: 0\r\nconnection: close\r\n\r\n");
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Fault::Redirect(origin)) => {
            let head = "HTTP/1.1 307 x\r\ncontent-length: 0\r\nconnection: close";
            return client.write_all(format!("{head}\r\nlocation: {origin}{path}\r\n\r\n").as_bytes()).await;
        }
        _ => {}
    }
    let (mut head, mut body) = ask(state, request).await?;
    head.edit("connection", |_| Some("close".to_owned()));
    if let Some(Fault::Say(name, edit)) = &fault {
        head.edit(name, *edit);
    }
    let middle = body.len() / 2;
    if let (Some(Fault::Flip), Some(byte)) = (&fault, body.get_mut(middle)) {
        *byte ^= 1;
    }
    client.write_all(&head.to_bytes()).await?;
    match fault {
        Some(Fault::Break(at, how)) => {
            let sent = if at == At::Middle { middle } else { 0 };
            client.write_all(&body[..sent]).await?;
            end(client, how).await
        }
        Some(Fault::Drip(pause)) => {
            for piece in body.chunks(body.len() / 8 + 1) {
                tokio::time::sleep(pause).await;
                client.write_all(piece).await?;
            }
            Ok(())
        }
        _ => client.write_all(&body).await,
    }
}

/// What the registry answers.
async fn ask(state: &State, mut request: Head) -> Result<(Head, Vec<u8>)> {
    request.edit("connection", |_| Some("close".to_owned()));
    let mut registry = TcpStream::connect(&state.registry).await?;
    registry.write_all(&request.to_bytes()).await?;
    let mut answer = Vec::new();
    registry.take(BODY).read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let body = answer.split_off(end + 4);
    Ok((Head::parse(&answer)?, body))
}

async fn end(mut client: TcpStream, how: How) -> Result<()> {
    match how {
        How::Close => client.shutdown().await,
        How::Reset => {
            tokio::time::sleep(ARRIVE).await;
            client.set_zero_linger()
        }
        How::Stall => client.read_u8().await.map(drop),
    }
}

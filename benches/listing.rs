//! What a listing of 100,000 tags in 1,000 repositories costs beside its requests, and how much memory it takes.
//!
//! `cargo bench --bench listing` starts a registry on loopback, a process of its own, and lists it: in the dialect of Docker V2 the
//! tags and what they point at, the same with the dates of the builds, and an imitation of Harbor with the dates of pushes. Beside the
//! listing run two floors, each with the same requests over as many connections: written straight to sockets, and sent by the HTTP
//! client of the library. Each part is a process of its own, so that its peak of memory is its own. `--rounds N` takes the medians of N
//! rounds (3 unless it is set); with `--record` the table also goes to benches/record/DATE-listing.md.

#[path = "listing/bare.rs"]
mod bare;
mod common;
#[path = "listing/server.rs"]
mod server;

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use bare::{Ask as _, Http, Wire};
use futures_util::TryStreamExt as _;
use tidewaiter::registry::{Connection, Wanted, vendor};
use tidewaiter::{Context, Credential, Registry, Scanner, Secret, Selection};

/// The ceiling that the library promises.
const LIMIT_MIB: u64 = 64;
/// Repositories that a listing has in hand, as `Scanner::images` has.
const AT_ONCE: usize = 4;

/// What is listed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Docker V2: pages of repositories, pages of tags, a `HEAD` a tag.
    Tags,
    /// The same and the date of each build: two more requests an image.
    Built,
    /// Harbor: dates stand in the lists.
    Harbor,
}

impl Dialect {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Tags, "tags", "Docker V2, tags and digests"),
        (Self::Built, "built", "Docker V2, with dates of builds"),
        (Self::Harbor, "harbor", "Harbor, with dates of pushes"),
    ];
}

/// Lists everything; how many tags there are.
async fn listed(address: &str, dialect: Dialect) -> bare::Done<usize> {
    let url = format!("http://{address}");
    let registry = match dialect {
        Dialect::Harbor => Registry::harbor(url).credential(Credential::basic("guest", Secret::value("password"))),
        _ => Registry::docker(url).credential(Credential::Anonymous),
    };
    if dialect != Dialect::Tags {
        let (scanner, selection) = (Scanner::builder().build()?, Selection::new());
        let images = scanner.images(&registry, &selection);
        let count = |count, image: tidewaiter::Listed| async move { Ok(count + image.record.tags.len()) };
        return Ok(images.try_fold(0, count).await?);
    }
    let context = Context::new();
    let connection = Connection::open(&registry, None, &context).await?;
    let connector = vendor::of(&registry.kind)?.connect(&registry, connection)?;
    let wanted = Wanted::default();
    let names = connector.repositories(&wanted, &context).map_err(bare::Failure::from);
    // Each on a task of its own, as `Scanner::images` has it.
    let each = names.map_ok(|name| {
        let (connector, context) = (Arc::clone(&connector), context.clone());
        let work = tokio::spawn(async move {
            let images = connector.images(&name, &Wanted::default(), &context).await?;
            bare::Done::Ok(images.iter().map(|image| image.tags.len()).sum::<usize>())
        });
        async move { work.await? }
    });
    each.try_buffered(AT_ONCE).try_fold(0, |count, tags| async move { Ok(count + tags) }).await
}

/// One part, in this process: seconds, peak MiB, seconds of processors and tags go to standard output.
async fn part(name: &str, dialect: &str, address: &str) -> bare::Done<()> {
    let known = Dialect::ALL.into_iter().find(|(_, word, _)| *word == dialect);
    let (dialect, ..) = known.ok_or("there is no such dialect")?;
    let start = Instant::now();
    let tags = match name {
        "sockets" => bare::walk::<Wire>(address, dialect).await?,
        "client" => bare::walk::<Http>(address, dialect).await?,
        "listing" => listed(address, dialect).await?,
        _ => return Err("there is no such part".into()),
    };
    println!("{:.3}\t{}\t{:.2}\t{tags}", start.elapsed().as_secs_f64(), common::peak_mib(), common::processor("self"));
    Ok(())
}

/// The registry in a process of its own, ended with this one.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?).arg("server").stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// How often it was asked since this was last asked for.
    async fn asked(&self) -> Result<u64, Box<dyn Error>> {
        let (_, body) = Wire::open(&self.address)
            .await
            .map_err(|error| error as Box<dyn Error>)?
            .ask("GET", "/asked")
            .await
            .map_err(|error| error as Box<dyn Error>)?;
        Ok(String::from_utf8(body)?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one part took.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    seconds: f64,
    peak: u64,
    own: f64,
    server: f64,
    requests: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => return runtime.block_on(server::serve()),
        ["part", name, dialect, address] => {
            // On a thread of the pool, as the tasks of a program are: from outside, each answer would wake another thread.
            let [name, dialect, address] = [name, dialect, address].map(str::to_owned);
            let done = runtime.block_on(runtime.spawn(async move { part(&name, &dialect, &address).await }))?;
            return done.map_err(|error| error as Box<dyn Error>);
        }
        _ => {}
    }
    let rounds = match arguments.iter().position(|argument| argument == "--rounds") {
        Some(at) => arguments.get(at + 1).ok_or("--rounds needs a number")?.parse()?,
        None => 3,
    };
    let server = Server::start()?;
    let run = |name: &str, dialect: &str| -> Result<Took, Box<dyn Error>> {
        let before = common::processor(&server.child.id().to_string());
        let output = Command::new(std::env::current_exe()?).args(["part", name, dialect, &server.address]).output()?;
        if !output.status.success() {
            return Err(format!("{name} {dialect}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let text = String::from_utf8(output.stdout)?;
        let [seconds, peak, own, tags] = text.trim_end().split('\t').collect::<Vec<_>>()[..] else {
            return Err(text.into());
        };
        if tags.parse::<usize>()? != server::REPOSITORIES * server::TAGS {
            return Err(format!("{name} {dialect}: {tags} tags").into());
        }
        let used = common::processor(&server.child.id().to_string()) - before;
        let requests = runtime.block_on(server.asked())?;
        Ok(Took { seconds: seconds.parse()?, peak: peak.parse()?, own: own.parse()?, server: used, requests })
    };
    let mut table = String::from(
        "| listing | requests | sockets, s | client, s | listing, s | × sockets | × client | peak MiB | processors: listing, server, s |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut is_bounded = true;
    for (_, dialect, title) in Dialect::ALL {
        let mut took: [Vec<Took>; 3] = Default::default();
        for _ in 0..rounds {
            for (part, took) in ["sockets", "client", "listing"].iter().zip(&mut took) {
                took.push(run(part, dialect)?);
            }
        }
        let [sockets, client, listing] = took.map(|mut took| {
            took.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            let peak = took.iter().map(|took| took.peak).max().unwrap_or_default();
            Took { peak, ..took.get(took.len() / 2).copied().unwrap_or_default() }
        });
        if [sockets.requests, client.requests].iter().any(|&requests| requests != listing.requests) {
            return Err(format!("{dialect}: not the same requests: {sockets:?} {client:?} {listing:?}").into());
        }
        is_bounded &= listing.peak <= LIMIT_MIB;
        table.push_str(&format!(
            "| {title} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {:.1}, {:.1} |\n",
            listing.requests,
            sockets.seconds,
            client.seconds,
            listing.seconds,
            listing.seconds / sockets.seconds,
            listing.seconds / client.seconds,
            listing.peak,
            listing.own,
            listing.server,
        ));
    }
    println!("{table}");
    if arguments.iter().any(|argument| argument == "--record") {
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        let cores = std::thread::available_parallelism()?;
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let head = format!(
            "# Listing 100,000 tags in 1,000 repositories, {day}\n\n`cargo bench --bench listing`, medians of {rounds} rounds, {cores} cores, load {load} at the end; 8 connections.\n\n"
        );
        fs::write(format!("benches/record/{day}-listing.md"), head + &table)?;
    }
    if is_bounded { Ok(()) } else { Err(format!("more than {LIMIT_MIB} MiB").into()) }
}

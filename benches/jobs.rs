//! What looking after a registry costs without the network: a plan over 100,000 listed images that are all known, and a match of 10,000
//! stored images of 200 packages with other advisories.
//!
//! `cargo bench --bench jobs` prints a table; each part runs in a process of its own, so that its peak of memory is its own. Of the
//! plan the floor is the same listing with nothing held against it. With `--record` the table also goes to benches/record/DATE-jobs.md.
//! One part over a store of one's own, such as an empty PostgreSQL: `jobs fill-plan STORE -`, then `jobs plan STORE -`.

mod common;

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tidewaiter::advisory::{ImportOptions, import};
use tidewaiter::job::{Done, Job, Outcome, Packed, RunOptions};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::image::LayerRecord;
use tidewaiter::model::inventory::Draft;
use tidewaiter::model::package::{PackageDraft, PackageType};
use tidewaiter::model::platform::Platform;
use tidewaiter::model::record::{DateSource, ImageDate, ImageRecord};
use tidewaiter::model::report::{Provenance, Report, Stats, Subject};
use tidewaiter::registry::{Capabilities, Connector, Wanted};
use tidewaiter::{Context, Registry, Result, Scanner, Selection, Store};

const HOST: &str = "registry.example";
const NOW: &str = "2026-11-24T12:00:00Z";
/// Images of a repository.
const IMAGES: u64 = 100;
/// Packages of an image, and how many there are to choose from.
const PACKAGES: u64 = 200;
const NAMES: u64 = 20_000;
/// Records of the advisory database.
const RECORDS: u64 = 40_000;

/// A registry that answers from arithmetic.
struct Made {
    repositories: u64,
}

impl Connector for Made {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, _: &'a Context) -> BoxStream<'a, Result<String>> {
        stream::iter(0..self.repositories).map(|number| Ok(format!("team-{}/app-{number}", number % 10))).boxed()
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        _: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        let image = move |number| ImageRecord {
            repository: repository.to_owned(),
            digest: Digest::of(format!("{repository} {number}").as_bytes()),
            tags: vec![format!("v{number}")],
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: Some(50_000_000),
            date: ImageDate::of_seconds(1_700_000_000 + number as i64, DateSource::Pushed),
        };
        async move { Ok((0..IMAGES).map(image).collect()) }.boxed()
    }
}

fn scanner(store: Store, repositories: u64, advisories: Option<&Path>) -> Result<Scanner> {
    let mut builder = Scanner::builder().store(store).connector(HOST, Arc::new(Made { repositories }));
    if let Some(file) = advisories {
        builder = builder.advisories_file(file);
    }
    builder.build()
}

/// The report of an image with 200 of 20,000 packages, without a finding.
fn report(image: &ImageRecord) -> Result<Report> {
    let mut draft = Draft::new(PACKAGES);
    let seed = u64::from_str_radix(&image.digest.hex()[..8], 16).unwrap_or_default();
    for number in 0..PACKAGES {
        let name = format!("package-{}", (seed.wrapping_mul(number + 1)) % NAMES);
        let version = format!("1.{}.0", number % 7);
        let path = format!("app/node_modules/{name}/package.json");
        draft.push(&PackageDraft::new(PackageType::Npm, &name, &version, &path, 0))?;
    }
    Ok(Report {
        subject: Subject {
            reference: format!("{HOST}/{}@{}", image.repository, image.digest),
            digest: image.digest.clone(),
            index: None,
            platform: Platform::new("linux", "amd64", ""),
            created: None,
        },
        layers: vec![LayerRecord { digest: Digest::of(b"layer"), size: Some(50_000_000), created_by: None }],
        inventory: draft.finish(),
        findings: Vec::new(),
        problems: Vec::new(),
        stats: Stats::default(),
        provenance: Provenance::default(),
    })
}

/// A store whose job has scanned all images; with reports where there are to be some.
async fn fill(place: &str, repositories: u64, with_reports: bool) -> Result<()> {
    let store = Store::open(place)?;
    let definition =
        serde_json::json!({"kind": "docker", "url": format!("https://{HOST}"), "credential": {"anonymous": {}}});
    store.put_registry("prod", &definition).await?;
    store.add_job(&Job::new("nightly", "prod", Selection::new())).await?;
    let scanner = scanner(store.clone(), repositories, None)?;
    let run = store.start_run("nightly", RunOptions::default(), None).await?;
    scanner.plan(run.run, &Context::new()).await?;
    loop {
        let items = store.lease_items("bench", Some(run.run), 1000, 600).await?;
        if items.is_empty() {
            return Ok(());
        }
        for item in items {
            let reports = if with_reports { vec![report(&item.image)?] } else { Vec::new() };
            let packed = reports.iter().map(Packed::new).collect::<Result<_>>()?;
            let done = Done {
                run: item.run,
                repository: item.image.repository,
                digest: item.image.digest,
                token: item.token,
                outcome: Outcome::Scanned(packed),
            };
            store.commit(&done, &reports).await?;
        }
    }
}

/// A database of made advisories; every `step`th is left out.
fn advisories(file: &Path, folder: &Path, step: u64) -> std::result::Result<(), Box<dyn Error>> {
    let archive = folder.join("all.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&archive)?);
    for number in (0..RECORDS).filter(|number| number % step != 0) {
        zip.start_file(format!("MADE-{number}.json"), zip::write::SimpleFileOptions::default())?;
        let record = serde_json::json!({
            "id": format!("MADE-{number}"), "modified": NOW, "schema_version": "1.7.0",
            "affected": [{"package": {"ecosystem": "npm", "name": format!("package-{}", number % NAMES)},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.5.0"}, {"fixed": "1.6.0"}]}]}],
        });
        zip.write_all(record.to_string().as_bytes())?;
    }
    zip.finish()?;
    import(&[archive], file, &ImportOptions::new(NOW), &Context::new())?;
    Ok(())
}

/// One part, in this process: seconds, those of processors, and peak MiB go to standard output.
async fn part(name: &str, store: &str, file: &Path) -> std::result::Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let note = match name {
        "fill-plan" => fill(store, 1000, false).await.map(|()| String::new())?,
        "fill-match" => fill(store, 10_000 / IMAGES, true).await.map(|()| String::new())?,
        "list" => {
            let scanner = scanner(Store::memory()?, 1000, None)?;
            let registry = Registry::docker(format!("https://{HOST}"));
            let listed =
                scanner.images(&registry, &Selection::new()).try_fold(0u64, |count, _| async move { Ok(count + 1) });
            format!("{} images", listed.await?)
        }
        "plan" => {
            let store = Store::open(store)?;
            let scanner = scanner(store.clone(), 1000, None)?;
            let run = store.start_run("nightly", RunOptions::default(), None).await?;
            scanner.plan(run.run, &Context::new()).await?;
            let summary = store.summary(run.run).await?;
            format!("{} listed, {} known", summary.listed, summary.skipped.values().sum::<u64>())
        }
        "match" => {
            let scanner = scanner(Store::open(store)?, 1, Some(file))?;
            let rematched = scanner.rematch(None, &Context::new()).await?;
            format!("{} images, {} changed, {} new findings", rematched.images, rematched.changed, rematched.new)
        }
        other => return Err(format!("there is no part {other}").into()),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.3}\t{:.2}\t{}\t{note}", common::processor("self"), common::peak_mib());
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [name, store, file] = arguments.as_slice() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(part(name, store, Path::new(file)));
    }
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    advisories(Path::new(&path("all.db")), folder.path(), u64::MAX)?;
    advisories(Path::new(&path("most.db")), folder.path(), 100)?;
    let run = |name: &str, store: &str, file: &str| -> std::result::Result<(f64, f64, u64, String), Box<dyn Error>> {
        let output = Command::new(std::env::current_exe()?).args([name, &path(store), &path(file)]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let text = String::from_utf8(output.stdout)?;
        let mut words = text.trim_end().split('\t');
        let mut next = || words.next().unwrap_or_default().to_owned();
        Ok((next().parse()?, next().parse()?, next().parse()?, next()))
    };
    run("fill-plan", "plan.db", "-")?;
    run("fill-match", "match.db", "-")?;
    let mut table = String::from("| part | seconds | of processors | peak MiB | |\n|---|---|---|---|---|\n");
    for (title, name, store, file) in [
        ("listing, nothing held against it (the floor)", "list", "-", "-"),
        ("plan of 100,000 images that are all known", "plan", "plan.db", "-"),
        ("match of 10,000 images for the first time", "match", "match.db", "most.db"),
        ("match with the same advisories", "match", "match.db", "most.db"),
        ("match with a hundredth more advisories", "match", "match.db", "all.db"),
        ("match with a hundredth fewer advisories", "match", "match.db", "most.db"),
    ] {
        let (seconds, worked, peak, note) = run(name, store, file)?;
        table.push_str(&format!("| {title} | {seconds:.2} | {worked:.2} | {peak} | {note} |\n"));
    }
    println!("{table}");
    if arguments.iter().any(|argument| argument == "--record") {
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        let cores = std::thread::available_parallelism()?;
        let now = jiff::Timestamp::now().to_string();
        let day = now.get(..10).unwrap_or_default();
        let head = format!(
            "# Jobs without the network, {day}\n\n`cargo bench --bench jobs`, {cores} cores, load {load} at the end, SQLite.\n\n"
        );
        fs::write(format!("benches/record/{day}-jobs.md"), head + &table)?;
    }
    Ok(())
}

//! A connector of one's own: a registry whose inventory lies in a text file, one line a tag. It answers what is there; images are
//! pulled as from any registry. The published suite says whether it keeps what a connector promises.
//!
//! `cargo run --example own_connector`

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::{DateSource, ImageDate, ImageRecord};
use tidewaiter::registry::{Capabilities, Connector, Wanted};
use tidewaiter::{Context, Credential, Error, Kind, Registry, Result, Scanner, Selection};

/// Repository, tag, the content that stands for an image here, and when it was pushed.
const INVENTORY: &str = "\
team/app  1.0     first   2026-01-10T08:00:00Z
team/app  latest  second  2026-06-14T12:00:00Z
team/app  2.0     second  2026-06-01T09:30:00Z
tools     v1      third   2026-03-01T12:00:00Z
";

/// The images of every repository.
struct Inventory(BTreeMap<String, Vec<ImageRecord>>);

impl Inventory {
    fn read(text: &str) -> Result<Self> {
        let mut repositories = BTreeMap::<String, Vec<ImageRecord>>::new();
        for line in text.lines() {
            let [repository, tag, content, time] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(Error::new(Kind::InvalidInput, "a line has four words").with("line", line));
            };
            let digest = Digest::of(content.as_bytes());
            let date = ImageDate::read(Some(time), DateSource::Pushed);
            let images = repositories.entry(repository.to_owned()).or_default();
            // One record a digest, with all its tags; the latest push of them is its date.
            match images.iter_mut().find(|image| image.digest == digest) {
                Some(image) => {
                    image.tags.push(tag.to_owned());
                    image.tags.sort();
                    if date.time > image.date.time {
                        image.date = date;
                    }
                }
                None => images.push(ImageRecord {
                    repository: repository.to_owned(),
                    digest,
                    tags: vec![tag.to_owned()],
                    media_type: String::new(),
                    size: None,
                    date,
                }),
            }
        }
        Ok(Self(repositories))
    }
}

impl Connector for Inventory {
    /// What is promised, and what the suite therefore asks for.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, context: &'a Context) -> BoxStream<'a, Result<String>> {
        // A long list looks at the context again and again, so that a call can be canceled.
        stream::iter(self.0.keys()).map(move |name| context.check().map(|()| name.clone())).boxed()
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a Wanted,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>>> {
        async move {
            context.check()?;
            let Some(images) = self.0.get(repository) else {
                return Err(Error::new(Kind::NotFound, "there is no such repository").with("repository", repository));
            };
            // What is too old may be left out: whole images, never single tags of one.
            let is_wanted = |image: &&ImageRecord| wanted.since.is_none_or(|since| image.date.time >= Some(since));
            Ok(images.iter().filter(is_wanted).cloned().collect())
        }
        .boxed()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let connector = Inventory::read(INVENTORY)?;
    let holding = connector.0.values().flatten().fold(Holding::new(), |holding, image| {
        let tags: Vec<_> = image.tags.iter().map(String::as_str).collect();
        holding.image(&image.repository, &image.digest, &tags, image.date)
    });
    suite(&connector, &holding).await;

    // A scanner takes it for the registry at this host: listings, explanations and checks ask it. The definition says how the
    // registry is reached, and who pulls there.
    let scanner = Scanner::builder().connector("registry.example", Arc::new(connector)).build()?;
    let registry = Registry::docker("https://registry.example").credential(Credential::Anonymous);
    let selection = Selection::new().repositories(["team/*"])?.pushed("2026-06-01..".parse()?);
    let mut images = scanner.images(&registry, &selection);
    while let Some(image) = images.try_next().await? {
        println!("{}  {}  {}", image.reference, image.record.tags.join(" "), image.record.date);
    }
    Ok(())
}

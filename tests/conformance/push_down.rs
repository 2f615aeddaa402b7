//! What a registry filters itself never changes what is meant: every connector that hands something on (dates, tags, names, AQL)
//! lists the same images as it does where it hands on nothing and all is decided here.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tidewaiter::registry::Registry;
use tidewaiter::select::{Pushed, Selection, Undated, Verdict};
use tidewaiter::{Context, Listed, Scanner};

use super::samples::{Image, image};
use super::{acr, artifactory, quay};

/// The kinds that hand something on: each an imitation that holds the images, and a definition of it.
const KINDS: [&str; 3] = ["acr", "artifactory", "quay"];

/// Keeps an imitation running.
type Running = Box<dyn std::any::Any>;

async fn start(kind: &str, images: Vec<Image>) -> (Running, Registry) {
    match kind {
        "acr" => {
            let (server, registry) = acr::holding_images(images).await;
            (Box::new(server), registry)
        }
        "artifactory" => {
            let (server, registry) = artifactory::holding_images(images).await;
            (Box::new(server), registry)
        }
        _ => {
            let (server, registry) = quay::holding_images(images).await;
            (Box::new(server), registry)
        }
    }
}

/// What is told of an image, in one line.
fn line(image: &Listed) -> String {
    format!("{} {} {}", image.reference, image.record.tags.join(","), image.record.date)
}

/// The images with as much handed on as the connector can, and with nothing handed on.
async fn both(registry: &Registry, selection: &Selection) -> (BTreeSet<String>, BTreeSet<String>) {
    let scanner = Scanner::builder().build().unwrap();
    let chosen: Vec<_> = scanner.images(registry, selection).try_collect().await.unwrap();
    let explained: Vec<_> = scanner.explain(registry, selection, &Context::new()).try_collect().await.unwrap();
    let meant = explained.iter().filter(|image| image.verdict != Verdict::Skip);
    (chosen.iter().map(line).collect(), meant.map(line).collect())
}

/// Images with tags of very different ages; a tag lies on one image of its repository.
fn images() -> impl Strategy<Value = Vec<Image>> {
    let tag = (prop::sample::select(vec!["1.0", "2.0", "latest", "old", "v1", "v2-rc1"]), 1..40i64, 0..3usize);
    let repository = prop::collection::vec(tag, 1..7);
    prop::collection::vec(repository, 3).prop_map(|repositories| {
        let now = Timestamp::now();
        let mut images = Vec::new();
        for (name, tags) in ["team/app", "team/web", "other/tool"].into_iter().zip(repositories) {
            let mut seen = BTreeSet::new();
            for number in 0..3 {
                let own: Vec<_> = tags
                    .iter()
                    .filter(|(tag, _, content)| *content == number && seen.insert(*tag))
                    .map(|(tag, days, _)| (*tag, (now - SignedDuration::from_hours(24 * days - 1)).to_string()))
                    .collect();
                let own: Vec<_> = own.iter().map(|(tag, time)| (*tag, time.as_str())).collect();
                if !own.is_empty() {
                    images.push(image(name, &format!("{name} {number}"), &own));
                }
            }
        }
        images
    })
}

fn selection() -> impl Strategy<Value = Selection> {
    let some = |words: &[&'static str]| prop::collection::vec(prop::sample::select(words.to_vec()), 0..2);
    (
        some(&["team/app", "team/*", "*tool", "regex:^team/app$", "glob:*/app"]),
        some(&["v*", "*.0", "latest", "regex:^[12]", "*"]),
        some(&["*-rc1", "latest", "1.0"]),
        prop::sample::select(vec!["all", "today", "yesterday", "last-7-days", "14", "last-30-days", "..2100-01-01"]),
        prop::sample::select(Undated::ALL.to_vec()),
        prop::option::of(1..3u64),
    )
        .prop_map(|(repositories, tags, exclude_tags, pushed, undated, newest)| {
            let mut selection = Selection::new().pushed(pushed.parse::<Pushed>().unwrap()).undated(undated);
            let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
            selection.repositories = owned(repositories);
            selection.tags = owned(tags);
            selection.exclude_tags = owned(exclude_tags);
            if let Some(newest) = newest {
                selection = selection.newest(newest).unwrap();
            }
            selection
        })
}

/// Criteria in AQL: what the server may decide, and what it may not.
const AQL: [&str; 6] = [
    r#"items.find({"path": {"$match": "team/*"}})"#,
    r#"items.find({"@qa": "passed"})"#,
    r#"items.find({"@qa": {"$ne": "passed"}, "modified": {"$last": "2w"}})"#,
    r#"items.find({"$or": [{"name": "list.manifest.json"}, {"$msp": [{"@qa": "failed"}]}]})"#,
    r#"items.find({"name": "manifest.json"})"#,
    r#"items.find({"path": {"$matchic": "*/LATEST"}})"#,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_images_are_meant(
        images in images(),
        selections in prop::collection::vec(selection(), 3),
        aql in prop::option::of(prop::sample::select(AQL.to_vec())),
        is_reproducible in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for kind in KINDS {
                let mut images = images.clone();
                // A client may say when a file of an Artifactory was changed; the others look at their own clock.
                if kind == "artifactory" && is_reproducible {
                    images[0].tags[0].1 = "1980-01-01T00:00:00Z".to_owned();
                }
                let shown = images.iter().map(|image| format!("{} {} {:?}", image.repository, image.digest, image.tags)).collect::<Vec<_>>();
                let (_running, registry) = start(kind, images).await;
                for selection in &selections {
                    let mut selection = selection.clone();
                    if kind == "artifactory" {
                        selection.aql = aql.map(str::to_owned);
                    }
                    // A name that no image has is an error, and not what is compared here.
                    let is_missing = |name: &String| !shown.iter().any(|line| line.starts_with(&format!("{name} ")));
                    selection.repositories.retain(|name| name.contains(['*', ':']) || !is_missing(name));
                    let (handed_on, here) = both(&registry, &selection).await;
                    prop_assert_eq!(handed_on, here, "{} of {:#?} with {:?}", kind, shown, selection);
                }
            }
            Ok(())
        })?;
    }
}

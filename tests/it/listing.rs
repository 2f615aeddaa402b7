//! Registries as a whole: what is listed, what a selection chooses, and what a failure leaves standing.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt};
use tidewaiter::conformance::image::{BuiltImage, ImageBuilder, Layer, descriptor};
use tidewaiter::conformance::registry::{Access, Auth, Fault, Options, TestRegistry};
use tidewaiter::model::digest::Digest;
use tidewaiter::model::event::Event;
use tidewaiter::model::record::{DateSource, ImageDate, ImageRecord};
use tidewaiter::registry::{Capabilities, Connector, Credential, Registry, Secret, Wanted};
use tidewaiter::select::Selection;
use tidewaiter::{Context, Error, Kind, Listed, Scanner};

fn image(word: &str) -> BuiltImage {
    ImageBuilder::new().layer(Layer::new().file("word", word)).build()
}

/// team/app with two tags on one digest and one on another, team/web with an index, a base, and a chart.
fn registry() -> TestRegistry {
    let registry = TestRegistry::start().unwrap();
    let (one, two) = (image("one"), image("two"));
    registry.push("team/app", "1.0", &one);
    registry.push("team/app", "latest", &one);
    registry.push("team/app", "2.0-rc1", &two);
    registry.push_index("team/web", "stable", &[&one, &two]);
    registry.push("base", "12", &one);
    registry.push_manifest(
        "charts/app",
        Some("0.1.0"),
        "application/vnd.oci.image.manifest.v1+json",
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"{}","size":2}},"layers":[]}}"#,
            registry.push_blob("charts/app", "{}")
        ),
    );
    registry
}

fn definition(registry: &TestRegistry) -> Registry {
    Registry::docker(registry.url()).credential(Credential::Anonymous)
}

fn scanner() -> Scanner {
    Scanner::builder().build().unwrap()
}

async fn listed(registry: &Registry, selection: &str) -> Result<Vec<Listed>, Error> {
    scanner().images(registry, &Selection::from_json(selection).unwrap()).try_collect().await
}

/// `repository:tags`, sorted.
fn names(images: &[Listed]) -> Vec<String> {
    let mut names: Vec<_> =
        images.iter().map(|image| format!("{}:{}", image.record.repository, image.record.tags.join(","))).collect();
    names.sort();
    names
}

#[tokio::test]
#[rustfmt::skip]
async fn a_selection_chooses_images() {
    let registry = registry();
    let definition = definition(&registry);
    for (selection, expected) in [
        ("{}", vec!["base:12", "team/app:1.0,latest", "team/app:2.0-rc1", "team/web:stable"]),
        (r#"{"repositories": ["team/*"]}"#, vec!["team/app:1.0,latest", "team/app:2.0-rc1", "team/web:stable"]),
        (r#"{"repositories": ["team/app"], "tags": ["*.0"]}"#, vec!["team/app:1.0"]),
        (r#"{"repositories": ["*a*"], "exclude_repositories": ["team/*"], "exclude_tags": ["0*"]}"#, vec!["base:12"]),
        (r#"{"repositories": ["regex:^base$"]}"#, vec!["base:12"]),
        (r#"{"repositories": ["team/app"], "newest": 1}"#, vec!["team/app:1.0,latest"]),
    ] {
        assert_eq!(names(&listed(&definition, selection).await.unwrap()), expected, "{selection}");
    }
}

#[tokio::test]
async fn a_large_configuration_has_its_date_too() {
    let registry = TestRegistry::start().unwrap();
    let image = ImageBuilder::new().layer(Layer::new().file("a", "b")).created("2026-01-02T03:04:05Z").build();
    let mut config = image.blobs.last().unwrap().clone();
    config.extend(vec![b' '; 1 << 20]);
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["config"] = descriptor(manifest["config"]["mediaType"].as_str().unwrap(), &config);
    for tag in ["1.0", "1.1"] {
        // Two that are not the same.
        manifest["annotations"] = serde_json::json!({"tag": tag});
        registry.push_manifest("team/app", Some(tag), &image.media_type, manifest.to_string());
    }
    registry.push_blob("team/app", config);
    let images = listed(&definition(&registry), "{}").await.unwrap();
    assert!(images.len() == 2 && images.iter().all(|image| image.record.date.time.is_some()), "{images:?}");
}

#[tokio::test]
async fn an_image_has_what_a_scan_and_a_reader_need() {
    let registry = registry();
    let images = listed(&definition(&registry), r#"{"repositories": ["team/app"], "tags": ["1.0"]}"#).await.unwrap();
    let [image] = &images[..] else { panic!("{images:?}") };
    assert_eq!(image.record.digest, self::image("one").digest());
    assert_eq!(image.reference, format!("{}/team/app@{}", registry.host(), image.record.digest));
    assert_eq!(image.record.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert!(image.record.size.is_some_and(|size| size > 0), "{image:?}");
    let json = serde_json::to_value(image).unwrap();
    assert_eq!(json["verdict"], "scan");
    assert_eq!(json["reason"], "new");
    assert_eq!(json["date"]["source"], image.record.date.source.as_str());
}

#[tokio::test]
async fn names_alone_need_no_list_of_repositories() {
    let registry = registry();
    listed(&definition(&registry), r#"{"repositories": ["team/app", "base"]}"#).await.unwrap();
    assert!(registry.log().iter().all(|access| !access.path.contains("_catalog")));
}

#[tokio::test]
async fn explain_says_why_not() {
    let registry = registry();
    let selection = Selection::from_json(r#"{"tags": ["1.0", "0*"]}"#).unwrap();
    let explained: Vec<_> =
        scanner().explain(&definition(&registry), &selection, &Context::new()).try_collect().await.unwrap();
    let mut reasons: Vec<_> = explained
        .iter()
        .map(|image| {
            format!("{} {} {} {}", image.record.repository, image.verdict, image.reason, image.record.date.source)
        })
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "base skip tag unknown",
            "charts/app skip not-an-image none",
            "team/app scan new none",
            "team/app skip tag unknown",
            "team/web skip tag unknown"
        ],
        "nobody asked for the dates of what has another tag"
    );
}

#[tokio::test]
async fn one_closed_repository_leaves_the_others() {
    let registry = registry();
    registry.fault("/team/web/tags/list", 100, Fault::status(403));
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let context = Context::new().on_event(move |event| told.lock().unwrap().push(event.clone()));
    let mut images = scanner().images_with(&definition(&registry), &Selection::new(), &context);
    let (mut found, mut failed) = (Vec::new(), None);
    loop {
        match images.try_next().await {
            Ok(Some(image)) => found.push(image),
            Ok(None) => break,
            Err(error) => failed = Some(error),
        }
    }
    assert_eq!(names(&found), ["base:12", "team/app:1.0,latest", "team/app:2.0-rc1"]);
    let error = failed.expect("the error comes at the end");
    assert_eq!(error.kind(), Kind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("team/web"), "{error}");
    let events = events.lock().unwrap();
    let is_failed =
        |event: &Event| matches!(event, Event::RepositoryFailed { repository, .. } if repository == "team/web");
    assert!(events.iter().any(is_failed), "{events:?}");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_at_every_repository() {
    let (username, password) = ("ann".to_owned(), "right".to_owned());
    for auth in [
        Auth::Basic { username: username.clone(), password: password.clone() },
        Auth::Bearer { username, password, realm: None },
    ] {
        let registry = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
        let repositories: Vec<_> = (0..30).map(|number| format!("team/app{number}")).collect();
        for repository in &repositories {
            registry.push(repository, "1", &image("one"));
        }
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let context = Context::new().on_event(move |event| told.lock().unwrap().push(event.clone()));
        let selection = Selection::new().repositories(&repositories).unwrap();
        let open = |password: &str| {
            Registry::docker(registry.url()).credential(Credential::basic("ann", Secret::value(password)))
        };
        registry.clear_log();
        let wrong =
            scanner().images_with(&open("wrong"), &selection, &context).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(wrong.kind(), Kind::Unauthenticated, "{wrong}");
        let shown = |access: &&Access| access.status == 401 && access.authorization.is_some();
        let refused = registry.log().iter().filter(shown).count();
        assert!((1..=2).contains(&refused), "{refused} of {:?}", registry.log());
        assert!(events.lock().unwrap().is_empty(), "one error says it: {events:?}");
        let right = scanner().images_with(&open("right"), &selection, &context).try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(right.len(), 30);
    }
}

#[tokio::test]
async fn a_repository_that_wants_other_credentials_leaves_the_others() {
    let auth = Auth::Basic { username: "ann".to_owned(), password: "right".to_owned() };
    let registry = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
    for repository in ["a", "b", "c"] {
        registry.push(repository, "1", &image("one"));
    }
    registry.fault("/a/tags/list", 100, Fault::status(401));
    let open = Registry::docker(registry.url()).credential(Credential::basic("ann", Secret::value("right")));
    let selection = Selection::new().repositories(["a", "b", "c"]).unwrap();
    let mut images = scanner().images_with(&open, &selection, &Context::new());
    let mut found = 0;
    let error = loop {
        match images.try_next().await {
            Ok(image) => found += usize::from(image.expect("an error comes at the end").record.repository != "a"),
            Err(error) => break error,
        }
    };
    assert_eq!((found, error.kind()), (2, Kind::Unauthenticated), "{error}");
}

#[tokio::test]
async fn a_selection_that_names_nothing_says_what_is_near() {
    let registry = registry();
    let error = listed(&definition(&registry), r#"{"repositories": ["teams/*"]}"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = listed(&definition(&registry), r#"{"repositories": ["*/ap"]}"#).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("team/app")), "{error:?}");
    // Nor is the name of none.
    for (names, near) in [
        (r#"["team/none"]"#, None),
        (r#"["team/apq"]"#, Some("team/app")),
        (r#"["team/apq", "teem/web"]"#, Some("team/web")),
        (r#"["team/apq", "base"]"#, None),
    ] {
        let selection = format!(r#"{{"repositories": {names}}}"#);
        let error = listed(&definition(&registry), &selection).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        let hint = error.hint().unwrap();
        assert_eq!(hint.contains("did you mean"), near.is_some(), "{names}: {hint}");
        assert!(near.is_none_or(|near| hint.contains(near)), "{names}: {hint}");
    }
}

#[tokio::test]
async fn aql_is_for_an_artifactory() {
    let registry = registry();
    let error = listed(&definition(&registry), r#"{"aql": "items.find({\"repo\": \"a\"})"}"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn platforms_choose_images() {
    let registry = TestRegistry::start().unwrap();
    let of = |platform: &str| {
        let (os, rest) = platform.split_once('/').unwrap();
        let (architecture, variant) =
            rest.split_once('/').map_or((rest, None), |(architecture, variant)| (architecture, Some(variant)));
        ImageBuilder::new().platform(os, architecture, variant).layer(Layer::new().file("word", platform)).build()
    };
    let (amd64, arm64, armv7) = (of("linux/amd64"), of("linux/arm64"), of("linux/arm/v7"));
    registry.push("one", "amd64", &amd64);
    registry.push("one", "arm64", &arm64);
    registry.push_index("many", "all", &[&amd64, &armv7]);
    registry.push("other", "1", &armv7);
    let definition = definition(&registry);
    for (platforms, expected) in [
        (r#"["all"]"#, vec!["many:all", "one:amd64", "one:arm64", "other:1"]),
        (r#"["linux/arm64"]"#, vec!["one:arm64"]),
        (r#"["linux/aarch64", "linux/arm/v7"]"#, vec!["many:all", "one:arm64", "other:1"]),
        (r#"["windows/amd64"]"#, vec![]),
    ] {
        let selection = format!(r#"{{"platforms": {platforms}}}"#);
        assert_eq!(names(&listed(&definition, &selection).await.unwrap()), expected, "{platforms}");
    }
    // The newest that have the platform, and not those of the newest.
    assert_eq!(listed(&definition, r#"{"platforms": ["linux/arm64"], "newest": 1}"#).await.unwrap().len(), 1);
    let selection = Selection::from_json(r#"{"platforms": ["linux/arm/v7"], "tags": ["a*"]}"#).unwrap();
    let explained: Vec<_> = scanner().explain(&definition, &selection, &Context::new()).try_collect().await.unwrap();
    let mut reasons: Vec<_> = explained
        .iter()
        .map(|image| format!("{}:{} {}", image.record.repository, image.record.tags[0], image.reason))
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["many:all new", "one:amd64 platform", "one:arm64 platform", "other:1 tag"]);
}

#[tokio::test]
async fn a_cap_ends_the_listing_and_says_so() {
    let registry = registry();
    let cut = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&cut);
    let context = Context::new().on_event(move |event| {
        if let Event::Notice { message, .. } = event {
            told.lock().unwrap().push(message.clone());
        }
    });
    let selection = Selection::from_json(r#"{"cap": 2}"#).unwrap();
    let images: Vec<_> =
        scanner().images_with(&definition(&registry), &selection, &context).try_collect().await.unwrap();
    assert_eq!(images.len(), 2);
    assert!(cut.lock().unwrap()[0].contains("truncated at 2"));
}

#[tokio::test]
async fn a_dropped_or_canceled_listing_ends() {
    let registry = registry();
    registry.fault("/team/app/manifests", 100, Fault::Stall(0));
    let context = Context::new();
    let canceller = context.canceller();
    let definition = definition(&registry);
    let listing = scanner().images_with(&definition, &Selection::new(), &context);
    let ended = tokio::spawn(listing.try_collect::<Vec<_>>());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    canceller.cancel();
    let error = tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Canceled);
    drop(scanner().images(&definition, &Selection::new()));
}

#[tokio::test]
async fn repositories_are_listed_alone() {
    let registry = registry();
    let selection = Selection::from_json(r#"{"exclude_repositories": ["team/*"]}"#).unwrap();
    let names: Vec<_> =
        scanner().repositories(&definition(&registry), &selection, &Context::new()).try_collect().await.unwrap();
    assert_eq!(names, ["base", "charts/app"]);
}

#[tokio::test]
async fn a_repository_that_is_named_and_not_there_is_not_listed() {
    let registry = registry();
    let listed = async |names: &[&str]| {
        let selection = Selection::new().repositories(names.to_vec()).unwrap();
        let mut listed = scanner().repositories(&definition(&registry), &selection, &Context::new());
        let mut found = Vec::new();
        loop {
            match listed.try_next().await {
                Ok(Some(name)) => found.push(name),
                Ok(None) => break (found, None),
                Err(error) => break (found, Some(error)),
            }
        }
    };
    assert!(matches!(&listed(&["base", "team/web"]).await, (found, None) if found == &["base", "team/web"]));
    let (found, error) = listed(&["base", "team/wep"]).await;
    assert!(found == ["base"] && error.as_ref().is_some_and(|error| error.kind() == Kind::NotFound), "{error:?}");
    let (found, error) = listed(&["team/wep"]).await;
    assert!(found.is_empty() && error.as_ref().unwrap().hint().unwrap().contains("team/web"), "{error:?}");
}

#[tokio::test]
async fn repositories_are_not_chosen_by_their_images() {
    let registry = registry();
    for (json, field) in [
        (r#"{"tags": ["v*"]}"#, "tags"),
        (r#"{"exclude_tags": ["v*"]}"#, "exclude_tags"),
        (r#"{"pushed": 7}"#, "pushed"),
        (r#"{"newest": 1}"#, "newest"),
        (r#"{"cap": 1}"#, "cap"),
        (r#"{"aql": "items.find({\"repo\": \"a\"})"}"#, "aql"),
        (r#"{"platforms": ["linux/amd64"]}"#, "platforms"),
    ] {
        let selection = Selection::from_json(json).unwrap();
        let listed = scanner().repositories(&definition(&registry), &selection, &Context::new());
        let error = listed.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.hint().is_some(), "{json}: {error:?}");
        assert!(error.context().any(|(key, value)| key == "field" && value == field), "{json}: {error:?}");
    }
}

#[test]
fn without_async_it_is_an_iterator() {
    let registry = registry();
    let scanner = tidewaiter::blocking::Scanner::new(Scanner::builder()).unwrap();
    let listing = scanner.images(&definition(&registry), &Selection::new());
    let images: Vec<_> = listing.collect::<Result<_, Error>>().unwrap();
    assert_eq!(names(&images), ["base:12", "team/app:1.0,latest", "team/app:2.0-rc1", "team/web:stable"]);
}

/// A connector that knows one image of a registry, and when it was pushed.
struct Own(Digest);

impl Connector for Own {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_dates(DateSource::Pushed)
    }

    fn repositories<'a>(&'a self, _: &'a Wanted, _: &'a Context) -> BoxStream<'a, Result<String, Error>> {
        stream::iter([Ok("team/app".to_owned())]).boxed()
    }

    fn images<'a>(
        &'a self,
        repository: &'a str,
        _: &'a Wanted,
        _: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<ImageRecord>, Error>> {
        let record = ImageRecord {
            repository: repository.to_owned(),
            digest: self.0.clone(),
            tags: vec!["mine".to_owned()],
            media_type: String::new(),
            size: None,
            date: ImageDate::read(Some("2026-06-01T00:00:00Z"), DateSource::Pushed),
        };
        Box::pin(std::future::ready(Ok(vec![record])))
    }
}

#[tokio::test]
async fn a_connector_of_ones_own_lists_its_registry_and_its_images_are_scanned() {
    let registry = registry();
    let own = Arc::new(Own(image("one").digest()));
    let scanner = Scanner::builder().connector(registry.host(), own).build().unwrap();
    let definition = definition(&registry);
    let images: Vec<_> = scanner.images(&definition, &Selection::new()).try_collect().await.unwrap();
    let [image] = &images[..] else { panic!("{images:?}") };
    assert_eq!((&image.record.tags[..], image.record.date.source), (&["mine".to_owned()][..], DateSource::Pushed));
    let check = scanner.check(&definition, Some("team/app"), &Context::new()).await.unwrap();
    assert!(check.is_ok() && check.steps[4].detail.contains("team/app"), "{check:?}");
    // What it lists is pulled as from any registry.
    let options = tidewaiter::ScanOptions { registry: Some(definition), ..Default::default() };
    let reports = scanner.scan_with(&image.reference.parse().unwrap(), &options, &Context::new()).await.unwrap();
    assert_eq!(reports.len(), 1);
    // Elsewhere it is not asked.
    let other = self::registry();
    assert_eq!(
        scanner.images(&self::definition(&other), &Selection::new()).try_collect::<Vec<_>>().await.unwrap().len(),
        4
    );
}

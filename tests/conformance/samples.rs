//! What the imitations hold, and the part of every registry that is Docker V2.

use serde_json::{Value, json};
use tidewaiter::conformance::connector::Holding;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::record::ImageDate;

use super::imitation::{Answer, Asked};

/// An image of an imitation: its tags, each with the time that the vendor says of it.
#[derive(Clone, Debug)]
pub struct Image {
    pub repository: String,
    pub digest: Digest,
    pub tags: Vec<(String, String)>,
}

/// An image that is not really there: no imitation of a list needs its bytes.
pub fn image(repository: &str, content: &str, tags: &[(&str, &str)]) -> Image {
    Image {
        repository: repository.to_owned(),
        digest: Digest::of(content.as_bytes()),
        tags: tags.iter().map(|(tag, time)| ((*tag).to_owned(), (*time).to_owned())).collect(),
    }
}

/// What a registry with these images holds, dated as the vendor's connector should say.
pub fn holding(images: &[Image], date: impl Fn(&Image) -> ImageDate) -> Holding {
    images.iter().fold(Holding::new(), |holding, image| {
        let tags: Vec<_> = image.tags.iter().map(|(tag, _)| tag.as_str()).collect();
        holding.image(&image.repository, &image.digest, &tags, date(image))
    })
}

/// The latest time of the tags of an image.
pub fn latest(image: &Image) -> Option<&str> {
    image.tags.iter().map(|(_, time)| time.as_str()).max()
}

/// Three repositories: one image with two tags of different times, one that an old tag was moved away from, one deep down.
pub fn images() -> Vec<Image> {
    vec![
        image("team/app", "app-1", &[("1.0", "2026-01-10T08:00:00Z"), ("old", "2025-11-01T00:00:00Z")]),
        image("team/app", "app-2", &[("latest", "2026-06-14T23:59:59.999Z"), ("2.0", "2026-05-20T09:30:00Z")]),
        image("team/web", "web-1", &[("1.1.0_rc.1-x", "2026-05-20T09:30:00.123Z")]),
        image("other/tool", "tool-1", &[("v1", "2026-03-01T12:00:00Z")]),
    ]
}

/// The part of a registry that is Docker V2: repositories, tags, and what they point at. `prefix` is the path in front of `/v2/`.
pub fn v2(asked: &Asked, images: &[Image], prefix: &str) -> Answer {
    let Some(path) = asked.path.strip_prefix(prefix).and_then(|path| path.strip_prefix("/v2/")) else {
        return Answer::new(404, "text/plain", "404 page not found\n");
    };
    if path.is_empty() {
        return Answer::json(json!({}));
    }
    let of = |name: &str| images.iter().filter(|image| image.repository == name).collect::<Vec<_>>();
    if path == "_catalog" {
        let mut names: Vec<_> = images.iter().map(|image| image.repository.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        return list(asked, json!({}), "repositories", &names);
    }
    if let Some(name) = path.strip_suffix("/tags/list") {
        let found = of(name);
        let tags: Vec<_> = found.iter().flat_map(|image| image.tags.iter().map(|(tag, _)| tag.as_str())).collect();
        return match found.is_empty() {
            true => Answer::refused(404, "NAME_UNKNOWN", "repository name not known to registry"),
            false => list(asked, json!({"name": name}), "tags", &tags),
        };
    }
    let found = path
        .rsplit_once("/manifests/")
        .and_then(|(name, tag)| of(name).into_iter().find(|image| image.tags.iter().any(|(known, _)| known == tag)));
    match found {
        Some(image) => Answer::new(200, "application/vnd.oci.image.manifest.v1+json", "{}")
            .with("docker-content-digest", image.digest.as_str()),
        None => Answer::refused(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

/// A page of a list, of two names, and where the next one is. After the first come one without a name on it, as Artifactory has them,
/// and one with nothing at all.
fn list(asked: &Asked, mut body: Value, field: &str, names: &[&str]) -> Answer {
    let mut pages: Vec<_> = names.chunks(2).map(|names| json!(names)).collect();
    let digest = format!("sha256:{}", "0".repeat(64));
    pages.splice(pages.len().min(1)..pages.len().min(1), [json!([digest, null]), json!(null)]);
    let number: usize = asked.param("page").parse().unwrap_or(0);
    body[field] = pages[number].clone();
    let answer = Answer::json(body);
    match number + 1 < pages.len() {
        true => answer.with("link", format!("<https://inside.example/v2/x?page={}>; rel=\"next\"", number + 1)),
        false => answer,
    }
}

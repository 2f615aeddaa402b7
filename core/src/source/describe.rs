//! What a listing wants to know of an image that its registry does not tell: when it was built, how large it is, for which
//! platforms it is, whether it is one.

use super::ImageSource;
use super::image::{Look, look};
use crate::context::Context;
use crate::error::{Kind, Result};
use crate::model::limits::Limits;
use crate::model::platform::Platform;

/// What the manifest and the configuration of an image say. Of an index it is its first image that speaks.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// When it was built, as it was written (RFC 3339); none where it was not asked for.
    pub built: Option<String>,
    /// The bytes of its layers and its configuration as they lie in the registry; none for an index.
    pub size: Option<u64>,
    /// Its platforms: of an index those of all its images. Not complete where they were not asked for.
    pub platforms: Vec<Platform>,
    /// What it is, where it is no image: the media type of a chart, a signature, a module.
    pub artifact: Option<String>,
}

/// Looks at an image without its layers.
///
/// # Errors
/// Those of [`resolve`](super::resolve), but for what is no image.
pub async fn describe(
    source: &dyn ImageSource,
    asked: Look,
    limits: &Limits,
    context: &Context,
) -> Result<Description> {
    let (image, platforms) = match look(source, asked, limits, context).await {
        Ok(found) => found,
        Err(error) if error.kind() == Kind::Unsupported => {
            let artifact = error.context().find(|(key, _)| *key == "artifact").map(|(_, value)| value.to_owned());
            return Ok(Description { artifact, ..Description::default() });
        }
        Err(error) => return Err(error),
    };
    let Some(image) = image else {
        return Ok(Description { platforms, ..Description::default() });
    };
    let layers: Option<Vec<u64>> = image.layers.iter().map(|(layer, _)| layer.size).collect();
    let config = image.config.len() as u64;
    let size = layers
        .filter(|_| image.index.is_none())
        .map(|sizes| sizes.iter().fold(config, |sum, size| sum.saturating_add(*size)));
    Ok(Description { built: image.created, size, platforms, artifact: None })
}

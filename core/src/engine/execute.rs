//! One image of a run, looked at wherever the registry can be reached. The store is not needed here.

use std::sync::Arc;
use std::time::Duration;

use super::room::Seat;
use super::scanner::{Scanner, Scope};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::job::{Done, Failure, Item, Outcome, Packed};
use crate::select::{Verdict, Wanted};
use crate::source::Platforms;

/// How long one image may take that nobody waits for: a registry that sends a byte a minute must not hold up a job for ever.
const IMAGE_TIME: Duration = Duration::from_secs(3600);

impl Scanner {
    /// Looks at one image of a run. What comes of it is for [`Scanner::commit`]; doing it twice does no harm.
    ///
    /// # Errors
    /// [`Kind::Canceled`] alone: what keeps the image from being scanned is an outcome.
    pub async fn execute(&self, item: &Item, context: &Context) -> Result<Done> {
        let seat = self.seat().await?;
        self.execute_in(&seat, item, context).await
    }

    /// The same for an image that has a place already.
    pub(super) async fn execute_in(&self, seat: &Arc<Seat>, item: &Item, context: &Context) -> Result<Done> {
        let outcome = match item.verdict {
            Verdict::Rematch => Outcome::Rematch,
            _ => match context.run(Box::pin(self.look_at(seat, item, context))).await {
                Ok(outcome) => outcome,
                Err(error) if error.kind() == Kind::Canceled => return Err(error),
                Err(error) if is_no_image(&error) => Outcome::NotAnImage(Failure::from(&error)),
                Err(error) => Outcome::Failed(Failure::from(&error)),
            },
        };
        Ok(Done {
            run: item.run,
            repository: item.image.repository.clone(),
            digest: item.image.digest.clone(),
            token: item.token,
            outcome,
        })
    }

    async fn look_at(&self, seat: &Arc<Seat>, item: &Item, context: &Context) -> Result<Outcome> {
        let scope = Scope { platforms: platforms(&item.platforms)?, ..Scope::default() };
        let place = self.places().get(&item.definition, &item.image.repository, context).await?;
        let source = place.source(&item.image, self.limits())?;
        let scan = self.scan_in(seat, &source, &scope, context, |report| Packed::new(&report));
        let packed = within(place.image_time.unwrap_or(IMAGE_TIME), scan).await?;
        if packed.is_empty() {
            let error = Error::new(Kind::NotFound, "the image has none of the platforms that the job asks for")
                .with("platforms", item.platforms.join(", "));
            return Ok(Outcome::NoPlatform(Failure::from(&error)));
        }
        Ok(Outcome::Scanned(packed))
    }
}

/// Gives up on an image that takes longer than it may.
///
/// # Errors
/// [`Kind::Unavailable`] once the time is over, or the error of `work`.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        Err(Error::new(Kind::Unavailable, "the image took longer than it may")
            .with("seconds", time.as_secs_f64())
            .with_hint("allow more with `image_timeout` in the definition of the registry, if it is only slow"))
    })
}

/// The platforms of a selection: those of them that an image has.
fn platforms(texts: &[String]) -> Result<Platforms> {
    Ok(match Wanted::read(texts)? {
        Wanted::All => Platforms::All,
        Wanted::Only(list) => Platforms::Available(list),
    })
}

/// Whether something else lies there, such as a chart: it will be the same the next time.
fn is_no_image(error: &Error) -> bool {
    error.kind() == Kind::Unsupported && error.context().any(|(key, _)| matches!(key, "artifact" | "media_type"))
}

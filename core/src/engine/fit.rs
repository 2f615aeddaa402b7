//! Work for an image that may take much memory: beside other images first, and once more alone where it takes too much there.

use std::sync::Arc;

use super::lanes::Kit;
use super::layers::Layers;
use super::room::Seat;
use crate::error::{Error, Kind, Result};

/// How work for an image ended that may take only so much.
pub(super) enum Fit<T, I> {
    /// With what came of it.
    Done(T),
    /// It would take more: what it was given, to be done again with. Work that [may take much](Seat::is_large) never ends so.
    TooMuch(I),
}

impl<T, I> Fit<T, I> {
    /// Goes on with what came of the work.
    ///
    /// # Errors
    /// Those of `next`.
    pub(super) fn and<U>(self, next: impl FnOnce(T) -> Result<U>) -> Result<Fit<U, I>> {
        Ok(match self {
            Self::Done(done) => Fit::Done(next(done)?),
            Self::TooMuch(input) => Fit::TooMuch(input),
        })
    }
}

impl Layers {
    /// Does `work` with `input` in a lane, beside other images; and where it takes too much for that, once more while nothing else goes on.
    ///
    /// # Errors
    /// Those of `work`; [`Kind::Internal`] when it panics; [`Kind::Canceled`].
    pub(super) async fn fit<T, I, W>(&self, seat: &Arc<Seat>, mut input: I, work: W) -> Result<T>
    where
        T: Send + 'static,
        I: Send + 'static,
        W: Fn(&Kit, &Seat, I) -> Result<Fit<T, I>> + Clone + Send + 'static,
    {
        loop {
            let is_large = seat.is_large();
            let (mine, work) = (seat.clone(), work.clone());
            match self.compute(seat, move |kit| work(kit, &mine, input)).await?? {
                Fit::Done(done) => return Ok(done),
                Fit::TooMuch(_) if is_large => {
                    return Err(Error::new(
                        Kind::Internal,
                        "an image that may take much was told that it takes too much",
                    ));
                }
                Fit::TooMuch(given_back) => input = given_back,
            }
            seat.enlarge().await?;
        }
    }
}

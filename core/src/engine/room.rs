//! The memory that images in hand take besides lanes. Few have a seat, and each may take a little; only one at a time may take much.
//!
//! What an image takes is not known before. So it begins small, side by side with others; where it grows, it asks for the one large
//! place, which it gets at once while nobody else has it. Else it puts down what it has in hand at that moment, waits, and does
//! that again. Who waits holds no lane and no layer, and who has the large place waits for no other image: so nobody waits for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cancel::canceled;
use crate::error::Result;
use crate::layer::walk::Space;

/// The most bytes of entries, facts and problems of all layers of an image: a limit, the same however much memory there is.
pub(super) const FACTS: usize = 10 << 20;

/// The memory of the images of a scanner.
pub(super) struct Room {
    seats: Arc<Semaphore>,
    large: Arc<Semaphore>,
    small: usize,
}

impl Room {
    /// So many seats, each with so many bytes, and one large place.
    pub(super) fn new(seats: usize, small: usize) -> Self {
        Self { seats: Arc::new(Semaphore::new(seats)), large: Arc::new(Semaphore::new(1)), small }
    }

    /// Waits for a seat.
    ///
    /// # Errors
    /// [`Kind::Canceled`](crate::Kind::Canceled).
    pub(super) async fn seat(&self) -> Result<Arc<Seat>> {
        let seat = self.seats.clone().acquire_owned().await.map_err(|_| canceled())?;
        Ok(Arc::new(Seat { _seat: seat, large: self.large.clone(), small: self.small, taken: Mutex::default() }))
    }
}

/// The place of one image in hand.
pub(super) struct Seat {
    _seat: OwnedSemaphorePermit,
    large: Arc<Semaphore>,
    small: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    large: Option<OwnedSemaphorePermit>,
    phase: Phase,
}

/// How the layers of an image are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Side by side, each as far as there is room.
    #[default]
    SideBySide,
    /// There was no room for one of them: what is in hand is put down, and done again after [`Seat::enlarge`].
    PutDown,
    /// One by one, so that what came before is known, and the limit alone counts.
    OneByOne,
}

impl Seat {
    /// The bytes that it may take side by side with others.
    pub(super) fn small(&self) -> usize {
        self.small
    }

    /// Whether the image may take much.
    pub(super) fn is_large(&self) -> bool {
        self.lock().large.is_some()
    }

    /// The bytes that one piece of work for the image may take: beside others `least`, or a quarter of what it may take where that is more.
    pub(super) fn allows(&self, least: usize) -> usize {
        if self.is_large() { usize::MAX } else { least.max(self.small / 4) }
    }

    /// Begins with an image, of several platforms with each: its layers are read side by side again, whatever came before.
    pub(super) fn begin(&self) {
        self.lock().phase = Phase::SideBySide;
    }

    /// Takes `bytes` more for a layer that has `all` by now.
    pub(super) fn grow(&self, bytes: usize, all: usize) -> Space {
        let mut taken = self.lock();
        let phase = taken.phase;
        match phase {
            Phase::OneByOne if taken.bytes + all > FACTS => Space::Full,
            Phase::OneByOne => Space::Granted,
            Phase::SideBySide if self.take(&mut taken, bytes, FACTS) => Space::Granted,
            Phase::SideBySide | Phase::PutDown => {
                taken.phase = Phase::PutDown;
                Space::Later
            }
        }
    }

    /// Takes `bytes` more, where that is possible without waiting.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        self.take(&mut self.lock(), bytes, usize::MAX)
    }

    fn take(&self, taken: &mut Taken, bytes: usize, most: usize) -> bool {
        let all = taken.bytes.saturating_add(bytes);
        if all > self.small && taken.large.is_none() {
            taken.large = self.large.clone().try_acquire_owned().ok();
        }
        let is_granted = all <= most && (all <= self.small || taken.large.is_some());
        if is_granted {
            taken.bytes = all;
        }
        is_granted
    }

    /// Says what the image holds now.
    pub(super) fn settle(&self, bytes: usize) {
        self.lock().bytes = bytes;
    }

    /// Waits until the image may take much. From now on its layers are read one by one.
    ///
    /// # Errors
    /// [`Kind::Canceled`](crate::Kind::Canceled).
    pub(super) async fn enlarge(&self) -> Result<()> {
        let large = if self.is_large() {
            None
        } else {
            Some(self.large.clone().acquire_owned().await.map_err(|_| canceled())?)
        };
        let mut taken = self.lock();
        taken.large = taken.large.take().or(large);
        taken.phase = Phase::OneByOne;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one layer of an image takes while it is read, asked for in steps.
pub(super) struct Share {
    seat: Arc<Seat>,
    granted: Mutex<usize>,
}

impl Share {
    /// Asks in steps of so many bytes.
    const STEP: usize = 128 << 10;

    pub(super) fn new(seat: &Arc<Seat>) -> Self {
        Self { seat: seat.clone(), granted: Mutex::default() }
    }

    /// Whether the layer may have `all` bytes.
    pub(super) fn of(&self, all: usize) -> Space {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if all <= *granted {
            return Space::Granted;
        }
        let wanted = all.next_multiple_of(Self::STEP);
        // Many layers are far smaller than a step.
        let wanted = if all < Self::STEP / 4 { all } else { wanted };
        let space = self.seat.grow(wanted - *granted, all);
        if space == Space::Granted {
            *granted = wanted;
        }
        space
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_image_at_a_time_may_take_much() {
        let room = Room::new(3, 1_000);
        let (first, second) = (room.seat().await.unwrap(), room.seat().await.unwrap());
        assert_eq!(first.grow(900, 900), Space::Granted);
        assert!(!first.is_large());
        assert_eq!(first.grow(900, 1_800), Space::Granted);
        assert!(first.is_large());
        // The second has to put down what it has, and everything that it does meanwhile too.
        assert_eq!((second.grow(1_001, 1_001), second.grow(1, 1)), (Space::Later, Space::Later));
        assert!(second.lock().phase == Phase::PutDown && !second.is_large());
        let mut waiting = Box::pin(second.enlarge());
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        waiting.await.unwrap();
        assert!(second.lock().phase == Phase::OneByOne && second.is_large());
        let _third = room.seat().await.unwrap();
        let _fourth = room.seat().await.unwrap();
        assert!(room.seat().now_or_never().is_none(), "there are three seats");
    }

    #[tokio::test]
    async fn the_limit_is_the_same_however_much_room_there_is() {
        for small in [1_000, usize::MAX] {
            let seat = Room::new(1, small).seat().await.unwrap();
            // Which of several layers is too much is told once they come one by one.
            assert_eq!(seat.grow(FACTS + 1, FACTS + 1), Space::Later, "{small}");
            seat.settle(FACTS / 2);
            seat.enlarge().await.unwrap();
            assert_eq!(seat.grow(0, FACTS / 2), Space::Granted, "{small}");
            assert_eq!(seat.grow(0, FACTS / 2 + 1), Space::Full, "{small}");
        }
    }
}

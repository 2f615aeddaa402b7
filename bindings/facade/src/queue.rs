//! Events on their way from the threads that work to the thread that waits: bounded, with progress folded.

use std::collections::VecDeque;

use tidewaiter::model::event::Event;

/// How many events wait at the most. Only a callback that sleeps lets it fill; then the oldest are dropped, and what they
/// told is still in the report.
const CAPACITY: usize = 1024;

/// The events that wait.
#[derive(Default)]
pub(crate) struct Queue(VecDeque<Event>);

impl Queue {
    /// Takes one event; progress replaces older progress of the same thing.
    pub(crate) fn push(&mut self, event: Event) {
        if let Some(waiting) = self.0.iter_mut().find(|waiting| folds(waiting, &event)) {
            *waiting = event;
            return;
        }
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that waits, the oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<Event> {
        std::mem::take(&mut self.0)
    }
}

/// Whether `new` says all that `old` says.
fn folds(old: &Event, new: &Event) -> bool {
    match (old, new) {
        (Event::LayerProgress { digest: old, .. }, Event::LayerProgress { digest: new, .. }) => old == new,
        (Event::AdvisoriesProgress { ecosystem: old, .. }, Event::AdvisoriesProgress { ecosystem: new, .. }) => {
            old == new
        }
        (Event::RematchProgress { .. }, Event::RematchProgress { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tidewaiter::model::problem::{Problem, ProblemKind};

    use super::*;

    fn progress(ecosystem: &str, done: u64) -> Event {
        Event::AdvisoriesProgress { ecosystem: ecosystem.to_owned(), done, total: None }
    }

    fn problem(number: usize) -> Event {
        Event::Problem(Problem::new(ProblemKind::Corrupt, number.to_string()))
    }

    #[test]
    fn folds_progress_of_the_same_thing() {
        let mut queue = Queue::default();
        for event in [progress("a", 1), problem(0), progress("b", 1), progress("a", 2), progress("b", 5)] {
            queue.push(event);
        }
        assert_eq!(queue.take(), [progress("a", 2), problem(0), progress("b", 5)]);
        for images in [256, 512, 768] {
            queue.push(Event::RematchProgress { images });
        }
        assert_eq!(queue.take(), [Event::RematchProgress { images: 768 }]);
        assert!(queue.is_empty());
    }

    #[test]
    fn is_bounded() {
        let mut queue = Queue::default();
        for number in 0..CAPACITY + 10 {
            queue.push(problem(number));
        }
        let events = queue.take();
        assert_eq!(events.len(), CAPACITY);
        assert_eq!(events[0], problem(10));
    }
}

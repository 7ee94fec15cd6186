//! A wait queue for things that are counted, with a bound on how often its callers are overtaken.
//!
//! Semaphores and queues have one for each thing that they give out: permits, items, room.
//!
//! # Protocol
//!
//! Whoever makes something free calls [`Line::choose`]. A caller that was chosen looks at what is free: it
//! takes something, or it was overtaken by a running caller, keeps its place, and waits on. When that has
//! happened [`OVERTAKEN_AT_MOST`] times with nobody served in between, what becomes free is *reserved* for
//! those who are chosen: running callers find as much less. Being served ends that.
//!
//! # Invariants
//!
//! 1. There are at least as many chosen callers on their way as reservations: each of them will look, and
//!    take one, or [`Line::pass_on`] finds another for it. So nothing that is free is withheld for ever; but for as long as
//!    a future that was chosen is neither polled nor dropped.

use super::{Mark, Notified, Turn, WaitQueue, wake};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queue: WaitQueue,
    /// How often in a row a chosen caller found nothing.
    overtaken: u32,
    /// How much of what is free is not for running callers.
    reserved: usize,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self {
            queue: WaitQueue::new(),
            overtaken: 0,
            reserved: 0,
        }
    }

    /// The callers who wait.
    #[inline]
    pub(crate) fn queue(&mut self) -> &mut WaitQueue {
        &mut self.queue
    }

    /// One more is free: chooses who has waited longest.
    #[inline]
    pub(crate) fn choose(&mut self) -> Chosen {
        if self.queue.is_empty() {
            return Chosen(None);
        }
        let chosen = self.queue.notify_one();
        self.reserve_for(chosen)
    }

    /// As [`Line::choose`], from those ahead of `mark`.
    pub(crate) fn choose_before(&mut self, Mark(bound): Mark) -> Chosen {
        let chosen = self.queue.notify_below(bound);
        self.reserve_for(chosen)
    }

    #[inline]
    fn reserve_for(&mut self, chosen: Option<Notified>) -> Chosen {
        if chosen.is_some() && self.overtaken >= OVERTAKEN_AT_MOST {
            self.reserved += 1;
        }
        Chosen(chosen)
    }

    /// Whether there is one for who has not waited, if so many are free. Who has been told so by one method must be
    /// admitted by another: else a loop over both runs for ever, and those who are chosen never do.
    #[inline]
    pub(crate) fn is_free(&self, free: usize) -> bool {
        free > self.reserved
    }

    /// Whether a caller may take one, if so many are free. One who may takes it.
    #[inline]
    pub(crate) fn admits(&mut self, turn: Turn, free: usize) -> bool {
        match turn {
            Turn::Running => self.is_free(free),
            Turn::Chosen => self.admits_chosen(free),
        }
    }

    #[inline]
    fn admits_chosen(&mut self, free: usize) -> bool {
        self.reserved = self.reserved.saturating_sub(1);
        let served = free > 0;
        self.overtaken = if served {
            0
        } else {
            self.overtaken.saturating_add(1)
        };
        served
    }

    /// For a caller that takes nothing: whether anything is free; whom to wake in its place.
    #[inline]
    pub(crate) fn sees(&mut self, turn: Turn, free: usize) -> Option<Chosen> {
        if turn == Turn::Running {
            return self.is_free(free).then(Chosen::default);
        }
        if free == 0 {
            self.admits_chosen(free);
            return None;
        }
        Some(Chosen(self.pass_on()))
    }

    /// From now on nothing is reserved; nothing more becomes free.
    pub(crate) fn close(&mut self) {
        self.reserved = 0;
    }

    /// A caller that was chosen takes nothing: chooses another one for what it was woken for.
    pub(crate) fn pass_on(&mut self) -> Option<Notified> {
        let next = self.queue.notify_one();
        if next.is_none() {
            self.reserved = self.reserved.saturating_sub(1);
        }
        next
    }

    /// As [`Line::pass_on`].
    pub(crate) fn pass_on_to_next(&mut self) -> Chosen {
        Chosen(self.pass_on())
    }

    /// As [`Line::pass_on`], to one of those ahead of `mark`; if that is nobody, it is still to be passed on.
    pub(crate) fn pass_on_before(&mut self, Mark(bound): Mark) -> Chosen {
        Chosen(self.queue.notify_below(bound))
    }
}

/// Whom to wake, if anybody, after the lock is released; on every way out. On one by a panic it may be under the lock.
#[derive(Debug, Default)]
#[must_use = "wakes when it is dropped, which is to be after the lock is released"]
pub(crate) struct Chosen(Option<Notified>);

impl Chosen {
    /// Whether nobody was chosen.
    pub(crate) fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    /// Leaves the waking to the caller.
    pub(crate) fn into_notified(mut self) -> Option<Notified> {
        self.0.take()
    }
}

impl Drop for Chosen {
    #[inline]
    fn drop(&mut self) {
        wake(self.0.take());
    }
}

/// How often in a row callers who wait are overtaken.
pub(crate) const OVERTAKEN_AT_MOST: u32 = 32;

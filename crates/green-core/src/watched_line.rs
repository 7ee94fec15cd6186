//! A [`Line`] that can be watched: who waits for one of several things has a place in it, too.
//!
//! Semaphores have one for their permits, queues for their items.
//!
//! # Protocol
//!
//! A watcher stands behind everyone who waited when it came. What becomes free goes to those ahead of it. If there are
//! none, it is told and leaves the line; it takes nothing, so what is free goes on to those behind it.
//!
//! # Invariants
//!
//! 1. When something becomes free, either a caller is on its way to it, or no watcher is left: none sleeps beside it.
//!    A watcher that comes while something is free for it is not put into the line, but told by its thing.
//!
//! # Not here
//!
//! What is free, and how often callers who wait are overtaken: see `waitq::Line`.

use std::collections::VecDeque;

use crate::waitable::Watcher;
use crate::waitq::{Chosen, Line, Mark, Notified, Turn, WaitQueue};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct WatchedLine {
    line: Line,
    /// Usually nobody: then this is all that it costs.
    watching: Option<Box<Watching>>,
}

/// Watchers in the order of their places.
#[derive(Debug, Default)]
struct Watching(VecDeque<(Mark, Watcher)>);

impl WatchedLine {
    pub(crate) const fn new() -> Self {
        Self {
            line: Line::new(),
            watching: None,
        }
    }

    /// The callers who wait.
    #[inline]
    pub(crate) fn queue(&mut self) -> &mut WaitQueue {
        self.line.queue()
    }

    /// As [`Line::is_free`].
    #[inline]
    pub(crate) fn is_free(&self, free: usize) -> bool {
        self.line.is_free(free)
    }

    /// As [`Line::admits`].
    #[inline]
    pub(crate) fn admits(&mut self, turn: Turn, free: usize) -> bool {
        self.line.admits(turn, free)
    }

    /// As [`Line::choose`]; tells the watchers ahead of who is chosen.
    #[inline]
    pub(crate) fn choose(&mut self) -> Next {
        if self.watching.is_some() {
            return self.past_watchers(Line::choose_before, Line::choose);
        }
        Next::Wake(self.line.choose())
    }

    /// As [`Line::sees`]; tells the watchers ahead of who is chosen.
    pub(crate) fn sees(&mut self, turn: Turn, free: usize) -> Option<Next> {
        if self.watching.is_some() && turn == Turn::Chosen && free > 0 {
            return Some(self.past_watchers(Line::pass_on_before, Line::pass_on_to_next));
        }
        self.line.sees(turn, free).map(Next::Wake)
    }

    /// As [`Line::pass_on`]; tells the watchers ahead of who is chosen, though the lock is held: this is for a coroutine
    /// that `may` cancels and a future that is dropped, and telling takes no lock that is ever held around this one.
    pub(crate) fn pass_on(&mut self) -> Option<Notified> {
        if self.watching.is_some() {
            let next = self.past_watchers(Line::pass_on_before, Line::pass_on_to_next);
            return next.into_notified();
        }
        self.line.pass_on()
    }

    /// From now on nothing is reserved, and nothing more becomes free; whom to tell.
    pub(crate) fn close(&mut self) -> Told {
        self.line.close();
        Told(self.watching.take())
    }

    /// Puts a watcher at the end of the line; for when nothing is free for it.
    pub(crate) fn watch(&mut self, watcher: &Watcher) {
        let place = (self.line.queue().mark(), watcher.clone());
        let watching = self.watching.get_or_insert_default();
        watching.0.push_back(place);
    }

    /// Takes a watcher back, if it is there; to be dropped after the lock is released.
    pub(crate) fn unwatch(&mut self, watcher: &Watcher) -> Option<Watcher> {
        let watching = &mut self.watching.as_mut()?.0;
        let place = watching.iter().position(|(_, other)| other.is(watcher))?;
        let removed = watching.remove(place);
        if watching.is_empty() {
            self.watching = None;
        }
        removed.map(|(_, watcher)| watcher)
    }

    /// Goes along the line: up to each watcher by `before`, behind the last one by `last`, until somebody is chosen.
    #[cold]
    fn past_watchers(
        &mut self,
        before: impl Fn(&mut Line, Mark) -> Chosen,
        last: impl FnOnce(&mut Line) -> Chosen,
    ) -> Next {
        let mut told = Box::<Watching>::default();
        let mut watching = self.watching.take().unwrap_or_default();
        while let Some(first) = watching.0.pop_front() {
            let chosen = before(&mut self.line, first.0);
            if !chosen.is_nobody() {
                watching.0.push_front(first);
                self.watching = Some(watching);
                return Next::Tell(Ahead::new(told, chosen));
            }
            told.0.push_back(first);
        }
        Next::Tell(Ahead::new(told, last(&mut self.line)))
    }
}

/// Whom to tell and whom to wake, in this order, when this is dropped, on every way out.
#[derive(Debug)]
#[must_use = "tells and wakes when it is dropped, which must be after the lock is released"]
pub(crate) enum Next {
    /// Nobody watched.
    Wake(Chosen),
    /// Somebody did.
    Tell(Ahead),
}

impl Next {
    fn into_notified(self) -> Option<Notified> {
        match self {
            Self::Wake(chosen) => chosen.into_notified(),
            Self::Tell(mut ahead) => ahead.0.take()?.chosen.into_notified(),
        }
    }
}

/// Watchers ahead of who was chosen, and that one.
#[derive(Debug)]
pub(crate) struct Ahead(Option<Box<ToldFirst>>);

#[derive(Debug)]
struct ToldFirst {
    _told: Told,
    chosen: Chosen,
}

impl Ahead {
    fn new(told: Box<Watching>, chosen: Chosen) -> Self {
        Self(Some(Box::new(ToldFirst {
            _told: Told(Some(told)),
            chosen,
        })))
    }
}

impl Drop for Ahead {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.0 = None;
    }
}

/// Watchers, told when this is dropped.
#[derive(Debug, Default)]
#[must_use = "tells when it is dropped, which must be after the lock is released"]
pub(crate) struct Told(Option<Box<Watching>>);

impl Drop for Told {
    #[inline]
    fn drop(&mut self) {
        if let Some(watching) = self.0.take() {
            watching.0.iter().for_each(|(_, watcher)| watcher.tell());
        }
    }
}

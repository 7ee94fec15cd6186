//! What is to happen when a green thread has ended; gevent's `link`, `rawlink` and `unlink`.
//!
//! # Protocol
//!
//! 1. A link has its place among the other links, and among those who wait for the end (`waitq`'s marks): who came
//!    first is served first.
//! 2. At the end (`packet`), those who wait are notified and links are *served*, in order. A watcher is told; a raw link
//!    is called where the green thread ended; any other link gets a green thread of its own, in which it is called.
//! 3. A raw link that comes after one with a green thread of its own gets one, too: else it would overtake.
//! 4. A link that is added after the end is served at once, by a green thread of its own.
//! 5. Until it is called, a link stays in the list, where `unlink` finds it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::spawn::{Spec, launch};
use super::{Greenlet, spawn_local};
use crate::hub::leak;
use crate::timeout::no_park;
use crate::waitable::{Waitable, Watcher};
use crate::waitq::Mark;

/// Identifies a link: what [`Greenlet::unlink`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(u64);

impl<T: Send + 'static> Greenlet<T> {
    /// Calls `f` when it has ended, in a green thread of its own, which may block; soon, if it has ended already.
    ///
    /// Links are served in the order in which they were added, also among those who wait by `join` or `get`. One that
    /// blocks does not keep the next one waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::queue::Queue;
    ///
    /// let ended = Queue::unbounded();
    /// let theirs = ended.clone();
    /// let g = green_core::spawn(|| 7);
    /// g.link(move |g| theirs.put(g.get().unwrap()).unwrap());
    /// assert_eq!(ended.get().unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn link(&self, f: impl FnOnce(&Self) + Send + 'static) -> LinkId {
        self.add(When::Ended, Place::Own, f)
    }

    /// As [`link`](Self::link), only if it ends without a failure; being killed is not one.
    #[track_caller]
    pub fn link_value(&self, f: impl FnOnce(&Self) + Send + 'static) -> LinkId {
        self.add(When::Successful, Place::Own, f)
    }

    /// As [`link`](Self::link), only if it fails.
    #[track_caller]
    pub fn link_exception(&self, f: impl FnOnce(&Self) + Send + 'static) -> LinkId {
        self.add(When::Failed, Place::Own, f)
    }

    /// Calls `f` when it has ended, where it ends: `f` must not block.
    ///
    /// That may be the green thread itself, its killer, or another one. If `f` panics, as it does when it blocks, that
    /// is logged, and the other links are served.
    #[track_caller]
    pub fn rawlink(&self, f: impl FnOnce(&Self) + Send + 'static) -> LinkId {
        self.add(When::Ended, Place::Here, f)
    }

    fn add(&self, when: When, place: Place, f: impl FnOnce(&Self) + Send + 'static) -> LinkId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = LinkId(NEXT.fetch_add(1, Ordering::Relaxed));
        let link = Link {
            id,
            when,
            place,
            is_served: false,
            f: Box::new(f),
            site: Location::caller(),
            launch: launch_link,
        };
        self.record.add_link(self, link);
        id
    }
}

impl<T: 'static> Greenlet<T> {
    /// As [`link`](Greenlet::link), for an `f` that need not be `Send`: it is called in a green thread of the caller's hub.
    ///
    /// Returned is that green thread, which waits: to kill it is to unlink.
    ///
    /// # Panics
    ///
    /// Outside a green thread.
    #[track_caller]
    pub fn link_local(&self, f: impl FnOnce(&Self) + 'static) -> Greenlet<()> {
        let greenlet = self.clone();
        spawn_local(move || {
            greenlet.join();
            f(&greenlet);
        })
    }
}

impl<T> Greenlet<T> {
    /// Takes a link back, unless it has been called; true if so.
    pub fn unlink(&self, link: LinkId) -> bool {
        self.record.take_link(link).is_some()
    }

    /// Takes all links back that have not been called.
    pub fn unlink_all(&self) {
        self.record.take_links();
    }

    /// Whether there are links that have not been called.
    pub fn has_links(&self) -> bool {
        self.record.has_links()
    }
}

/// Ready when it has ended, however it did.
impl<T> Waitable for Greenlet<T> {
    fn watch(&self, watcher: &Watcher) {
        self.record.watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        self.record.unwatch(watcher);
    }
}

/// What a link calls.
pub(super) type Callback<T> = Box<dyn FnOnce(&Greenlet<T>) + Send>;

/// A function to be called at the end.
pub(super) struct Link<T> {
    id: LinkId,
    when: When,
    place: Place,
    /// Whether a green thread is about to call it.
    is_served: bool,
    f: Callback<T>,
    /// Where it was added.
    site: &'static Location<'static>,
    /// Calls it in a green thread of its own.
    launch: fn(Greenlet<T>, LinkId, &'static Location<'static>),
}

/// At which ends a link is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Ended,
    Successful,
    Failed,
}

/// Where a link is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the green thread ended.
    Here,
    /// In a green thread of its own.
    Own,
}

fn launch_link<T: Send + 'static>(
    greenlet: Greenlet<T>,
    id: LinkId,
    site: &'static Location<'static>,
) {
    let call = move || {
        // Not if it was taken back meanwhile.
        if let Some(f) = greenlet.record.take_link(id) {
            f(&greenlet);
        }
    };
    drop(launch(Spec::new(site), call));
}

/// The links of a green thread.
pub(super) struct Links<T>(VecDeque<Entry<T>>);

/// One of them.
struct Entry<T> {
    /// Who waited for the end before it came.
    mark: Mark,
    kind: Kind<T>,
}

enum Kind<T> {
    Watcher(Watcher),
    Link(Link<T>),
}

/// What is to be done for the next entry.
pub(super) enum Step<T> {
    /// It is a watcher.
    Tell(Watcher),
    /// It is a raw link.
    Call(Callback<T>),
    /// It needs a green thread of its own.
    Launch(
        fn(Greenlet<T>, LinkId, &'static Location<'static>),
        LinkId,
        &'static Location<'static>,
    ),
    /// It is not for this end.
    Drop(Callback<T>),
}

impl<T> Links<T> {
    pub(super) fn watch(&mut self, mark: Mark, watcher: &Watcher) {
        let kind = Kind::Watcher(watcher.clone());
        self.0.push_back(Entry { mark, kind });
    }

    pub(super) fn unwatch(&mut self, watcher: &Watcher) -> Option<Watcher> {
        let is =
            |entry: &Entry<T>| matches!(&entry.kind, Kind::Watcher(other) if other.is(watcher));
        let index = self.0.iter().position(is)?;
        match self.0.remove(index)?.kind {
            Kind::Watcher(watcher) => Some(watcher),
            Kind::Link(_) => None,
        }
    }

    pub(super) fn add(&mut self, mark: Mark, link: Link<T>) {
        let kind = Kind::Link(link);
        self.0.push_back(Entry { mark, kind });
    }

    /// Adds a link after the end, to be served by the caller.
    pub(super) fn add_served(&mut self, mark: Mark, link: Link<T>) -> Step<T> {
        let step = Step::Launch(link.launch, link.id, link.site);
        let is_served = true;
        self.add(mark, Link { is_served, ..link });
        step
    }

    pub(super) fn take(&mut self, id: LinkId) -> Option<Callback<T>> {
        let is = |entry: &Entry<T>| matches!(&entry.kind, Kind::Link(link) if link.id == id);
        let index = self.0.iter().position(is)?;
        match self.0.remove(index)?.kind {
            Kind::Link(link) => Some(link.f),
            Kind::Watcher(_) => None,
        }
    }

    /// All links, without the watchers.
    pub(super) fn take_all(&mut self) -> Vec<Callback<T>> {
        let (links, others) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|entry| matches!(entry.kind, Kind::Link(_)));
        self.0 = others;
        let callback = |entry: Entry<T>| match entry.kind {
            Kind::Link(link) => Some(link.f),
            Kind::Watcher(_) => None,
        };
        VecDeque::into_iter(links).filter_map(callback).collect()
    }

    /// Whether there is a link that is not a watcher.
    pub(super) fn has_any(&self) -> bool {
        self.0
            .iter()
            .any(|entry| matches!(entry.kind, Kind::Link(_)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next entry to be served, and who is to be notified before it. `place` is where raw links may be called.
    pub(super) fn next(&mut self, place: Place, successful: bool) -> Option<(Mark, Step<T>)> {
        let waits = |entry: &Entry<T>| !matches!(&entry.kind, Kind::Link(link) if link.is_served);
        let index = self.0.iter().position(waits)?;
        let mark = self.0[index].mark;
        if let Kind::Link(link) = &mut self.0[index].kind
            && link.is_for(successful)
            && (link.place == Place::Own || place == Place::Own)
        {
            link.is_served = true;
            return Some((mark, Step::Launch(link.launch, link.id, link.site)));
        }
        let step = match self.0.remove(index)?.kind {
            Kind::Watcher(watcher) => Step::Tell(watcher),
            Kind::Link(link) if link.is_for(successful) => Step::Call(link.f),
            Kind::Link(link) => Step::Drop(link.f),
        };
        Some((mark, step))
    }
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        // Most have one.
        Self(VecDeque::with_capacity(1))
    }
}

impl<T> Link<T> {
    pub(super) fn is_for(&self, successful: bool) -> bool {
        match self.when {
            When::Ended => true,
            When::Successful => successful,
            When::Failed => !successful,
        }
    }
}

impl<T> Step<T> {
    /// Does it; returns where raw links may be called from now on.
    pub(super) fn take(self, greenlet: &Greenlet<T>, place: Place) -> Place {
        match self {
            Self::Tell(watcher) => watcher.tell(),
            Self::Call(f) => contain(greenlet, || f(greenlet)),
            Self::Launch(launch, id, site) => {
                launch(greenlet.clone(), id, site);
                return Place::Own;
            }
            Self::Drop(f) => contain(greenlet, || drop(f)),
        }
        place
    }
}

/// Runs what a link's user wrote: those who come after the link must be served, whatever it does.
fn contain<T>(greenlet: &Greenlet<T>, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| no_park(f))) {
        log::error!("green: a raw link of {greenlet:?}, or a destructor of one, panicked");
        leak(payload);
    }
}

impl<T> fmt::Debug for Links<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("count", &self.0.len())
            .finish_non_exhaustive()
    }
}

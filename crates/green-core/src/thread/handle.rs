//! Handles to threads of all kinds, and the caller's own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::token::Token;
use crate::greenlet::local::LocalKey;
use crate::park::Caller;
use crate::sched::{self, record::ControlRef};

/// A handle to a green thread, an OS thread or a `may` coroutine; see [`std::thread::Thread`].
///
/// # Differences from std
///
/// The name of a `may` coroutine is not known.
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// let named = thread::Builder::new().name("x".into()).spawn(thread::current)?;
/// let handle = named.thread().clone();
/// assert_eq!(handle.name(), Some("x"));
/// assert_eq!(named.join().unwrap().id(), handle.id());
/// handle.unpark();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Thread {
    who: Who,
}

/// Whose handle it is.
#[derive(Clone)]
enum Who {
    /// A pinned green thread's.
    Green(ControlRef),
    /// Anybody else's.
    Other(Arc<Other>),
}

/// An OS thread, or a `may` coroutine.
struct Other {
    id: ThreadId,
    name: Option<Box<str>>,
    token: Token,
}

impl UnwindSafe for Thread {}
impl RefUnwindSafe for Thread {}

impl Thread {
    /// The handle of a green thread.
    pub(super) fn green(control: ControlRef) -> Self {
        Self {
            who: Who::Green(control),
        }
    }

    fn other(id: ThreadId, name: Option<&str>) -> Self {
        Self {
            who: Who::Other(Arc::new(Other {
                id,
                name: name.map(Into::into),
                token: Token::new(),
            })),
        }
    }

    /// Gives it its token, which ends its current or next [`park`](super::park()); see [`std::thread::Thread::unpark`].
    ///
    /// On a thread that has ended this does nothing.
    pub fn unpark(&self) {
        if let Who::Green(control) = &self.who
            && control.is_finished()
        {
            return;
        }
        self.token().give();
    }

    /// Its number; see [`std::thread::Thread::id`].
    #[must_use]
    pub fn id(&self) -> ThreadId {
        match &self.who {
            Who::Green(control) => ThreadId(control.id()),
            Who::Other(other) => other.id,
        }
    }

    /// Its name, if it has one; see [`std::thread::Thread::name`].
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.who {
            Who::Green(control) => control.name(),
            Who::Other(other) => other.name.as_deref(),
        }
    }

    /// What it parks for.
    pub(super) fn token(&self) -> &Token {
        match &self.who {
            Who::Green(control) => {
                crate::engine::make_room();
                control.attached(Token::new)
            }
            Who::Other(other) => &other.token,
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// The number of a thread, unique in the process and never used again; see [`std::thread::ThreadId`].
///
/// # Differences from std
///
/// It is not the number that std gives an OS thread. That of a green thread is [`Greenlet::id`](crate::Greenlet::id),
/// but for migrating ones ([`may::spawn`](crate::may::spawn)), whose coroutines have numbers of their own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ThreadId(NonZeroU64);

impl ThreadId {
    fn new() -> Self {
        Self(sched::new_id(sched::local()))
    }
}

/// A handle to the caller, whichever kind it is; see [`std::thread::current`].
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// let ours = thread::current();
/// let theirs = thread::spawn(thread::current).join().unwrap();
/// assert_ne!(ours.id(), theirs.id());
/// assert_eq!(ours.id(), thread::current().id());
/// ```
#[must_use]
pub fn current() -> Thread {
    if let Some(control) = sched::current().and_then(|own| own.control()) {
        return Thread::green(control);
    }
    match Caller::current() {
        Caller::Os(_) => of_os_thread(),
        _ => of_coroutine(),
    }
}

/// A handle to the calling OS thread.
#[cold]
fn of_os_thread() -> Thread {
    std::thread_local! {
        // These have no destructor: they can be used to the very end of the OS thread.
        static ID: Cell<Option<ThreadId>> = const { Cell::new(None) };
        static OWN: RefCell<ManuallyDrop<Option<Thread>>> = const { RefCell::new(ManuallyDrop::new(None)) };
        static RELEASE: Release = const { Release };
    }

    /// Lets go of the handle. An OS thread that asks even later has another one, of the same number, for ever.
    struct Release;

    impl Drop for Release {
        fn drop(&mut self) {
            let own = OWN.replace(ManuallyDrop::new(None));
            drop(ManuallyDrop::into_inner(own));
        }
    }

    if let Some(own) = OWN.with_borrow(|own| (**own).clone()) {
        return own;
    }
    let id = ID.get().unwrap_or_else(ThreadId::new);
    ID.set(Some(id));
    // It fails when the destructor has run. Then std may have no handle any more.
    let own = match RELEASE.try_with(|_| ()) {
        Ok(()) => Thread::other(id, std::thread::current().name()),
        Err(_) => Thread::other(id, None),
    };
    OWN.replace(ManuallyDrop::new(Some(own.clone())));
    own
}

/// A handle to the calling `may` coroutine.
#[cold]
#[inline(never)]
fn of_coroutine() -> Thread {
    static CURRENT: LocalKey<Thread> = LocalKey::new(|| Thread::other(ThreadId::new(), None));
    let unnamed = |_| Thread::other(ThreadId::new(), None);
    CURRENT.try_with(Clone::clone).unwrap_or_else(unnamed)
}

//! The explicit kind: green threads of one hub that pass control, and a value with it, to each other by name.
//!
//! # Protocol
//!
//! Each party is a green thread that, unless it has the turn, waits for it at its *inbox*. To switch is to put a value into
//! another's inbox, which wakes it, and to wait at one's own. All this happens on one hub, so nothing comes between the look
//! at the other's state and the wait.
//!
//! # States
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | `New` | it has a body, and no green thread yet | a switch to it; a kill |
//! | `Waiting` | it waits at its inbox | a switch to it; an interrupt |
//! | `Running` | it runs, or blocks in something else | its own switch, or its end |
//! | `Dead` | it has ended | nothing |
//!
//! # Invariants
//!
//! 1. A party that was woken by a switch *has the turn*, until it switches or ends. One that ends with the turn passes it to
//!    its nearest ancestor that lives, with its value or its panic, if it has a body; if that does not wait for it, to whoever
//!    had switched to it, unless that is a descendant, which has only yielded. One that ends without (killed while it waited)
//!    passes nothing, for somebody else runs in its place.
//! 2. Nobody can switch to a party without a handle, so one that waits without handles is killed. Its own green thread has
//!    the node, not a handle.

use std::any::{Any, type_name};
use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::fmt;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

use super::Greenlet;
use super::spawn::spawn_local;
use crate::interrupt::{self, OrRaise};
use crate::sched::{self, WaitFor};
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// A party to explicit switches: `greenlet.greenlet` of Python, for values of one type.
///
/// Like a generator that can yield to anybody. [`Switch::new`] makes one that will run `body`; [`Switch::switch`] runs it, or
/// goes on with it, until it switches back or ends. Only one of those that switch to each other runs at a time, in the order of
/// the switches. Whoever runs may block in between as any green thread; others run meanwhile, but none of these.
///
/// Handles are not `Send`: all parties are on one hub.
///
/// ```compile_fail
/// let party = green_core::greenlet::Switch::new(|n: u32| n);
/// green_core::spawn(move || party.switch(1)); // perhaps on another hub
/// ```
///
/// # Parents
///
/// The parent is the green thread that called `new`. When the body returns, its value goes to the parent, whose `switch` returns
/// it; when it panics, that `switch` panics. If the parent has ended, it is the parent's parent, and so on. If there is none
/// left, or it does not wait in a switch, it is whoever switched to the one that ends; but not one of its children, which stays
/// suspended. A party without a body ([`Switch::current`]) that was switched to and ends has no value: whoever it was finds
/// [`SwitchError::Killed`].
///
/// # Dropping
///
/// When the last handle of one that waits is dropped, it is killed: its destructors run. One that has not run never will.
///
/// # Examples
///
/// A generator:
///
/// ```
/// use green_core::greenlet::{Switch, switch};
///
/// green_core::run(|| {
///     let squares = Switch::new(|_: Option<u32>| {
///         for n in 1..=3_u32 {
///             switch(Some(n * n)).unwrap(); // to the parent
///         }
///         None
///     });
///     let mut all = Vec::new();
///     while let Some(square) = squares.switch(None).unwrap() {
///         all.push(square);
///     }
///     assert_eq!(all, [1, 4, 9]);
///     assert!(squares.dead());
/// });
/// ```
pub struct Switch<T: 'static> {
    party: Rc<Party<T>>,
}

/// Why nobody took what was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwitchError<P> {
    /// The party has ended; here is what was to be passed.
    Dead(P),
    /// The party runs, or waits for something else than a switch; here is what was to be passed.
    Running(P),
    /// The value was passed, and the party that had the turn after that was killed before it passed it on, or ended without a
    /// value.
    Killed,
}

impl<P> fmt::Display for SwitchError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead(_) => "switch to a party that has ended",
            Self::Running(_) => "switch to a party that does not wait for a switch",
            Self::Killed => "the party that had the turn was killed, or ended without a value",
        })
    }
}

impl<P: fmt::Debug> Error for SwitchError<P> {}

/// Passes `value` to the parent of the calling party, and waits for the next turn: what `yield` is to a generator.
///
/// The type of `value` must be that of the party: mind that a bare `1` is an `i32`.
///
/// # Errors
///
/// As [`Switch::switch`]; `Dead` if there is no parent left.
///
/// # Panics
///
/// As [`Switch::switch`]. If the values of the calling party are of another type.
pub fn switch<T: 'static>(value: T) -> Result<T, SwitchError<T>> {
    let me = Node::current();
    assert!(
        me.parent.is_some() || !is_child(),
        "a switch of `{}` to the parent, in a party for values of another type",
        type_name::<T>()
    );
    match me.heir() {
        Some(parent) => me.pass(&parent, value),
        None => Err(SwitchError::Dead(value)),
    }
}

impl<T: 'static> Switch<T> {
    /// A party that runs `body` with the first value that is switched to it. The caller is its parent.
    ///
    /// # Panics
    ///
    /// Outside a green thread: wrap `main` in [`run`](crate::run()).
    pub fn new(body: impl FnOnce(T) -> T + 'static) -> Self {
        Self::of(Node::new(
            State::New,
            Some(Self::current()),
            Some(Box::new(body)),
        ))
    }

    /// The calling green thread as a party: others can switch to it while it waits in a switch.
    ///
    /// # Panics
    ///
    /// As [`Switch::new`].
    pub fn current() -> Self {
        Self::of(Node::current())
    }

    /// Passes `value` to this party and waits until somebody passes one to the caller, which is returned. To the caller
    /// itself: returns the value.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. A caller that is interrupted has no turn: the other goes on. What was passed to
    /// it at the same moment is lost.
    ///
    /// # Errors
    ///
    /// [`SwitchError`]: the party cannot take it, or the turn came back without a value.
    ///
    /// # Panics
    ///
    /// If the turn comes back with a panic, of a child that ended by it, or from [`Switch::throw`]. Outside a green thread.
    #[track_caller]
    pub fn switch(&self, value: T) -> Result<T, SwitchError<T>> {
        let node = &self.party.0;
        let me = Node::current();
        if Rc::ptr_eq(node, &me) {
            return Ok(value);
        }
        if node.state.get() == State::New
            && let Some(body) = node.body.take()
        {
            node.begin(&me);
            let life = Life(Rc::clone(node));
            // The child cannot run before the caller waits.
            let greenlet = spawn_local(move || life.run(body, value));
            drop(node.greenlet.set(greenlet));
            return me.wait();
        }
        me.pass(node, value)
    }

    /// As [`Switch::switch`], but in the party a panic with `payload` comes out of its switch. One that has not run ends, and
    /// the panic goes to its parent.
    ///
    /// # Errors
    ///
    /// As [`Switch::switch`].
    ///
    /// # Panics
    ///
    /// As [`Switch::switch`]; with `payload` if that comes back to the caller.
    pub fn throw(&self, payload: Payload) -> Result<T, SwitchError<Payload>> {
        let me = Node::current();
        let mut target = Rc::clone(&self.party.0);
        if target.state.get() == State::New {
            target.end_new();
            match target.heir() {
                Some(parent) => target = parent,
                None => return Err(SwitchError::Dead(payload)),
            }
        }
        if Rc::ptr_eq(&target, &me) {
            interrupt::resume(payload);
        }
        match target.take(&me, Passed::Panic(payload)) {
            Ok(()) => me.wait().map_err(|_| SwitchError::Killed),
            Err((state, Passed::Panic(payload))) => Err(state.error(payload)),
            Err(_) => unreachable!("what was not taken comes back"),
        }
    }

    /// Kills it, and waits until it has ended. This is no switch: a party that waits passes nothing on. If it has the turn,
    /// and blocks in something, the turn goes to its parent, whose switch returns [`SwitchError::Killed`].
    ///
    /// # Blocking
    ///
    /// Parks the caller, unless the party has ended or has not run; a cancellation point.
    pub fn kill(&self) {
        let node = &self.party.0;
        if node.state.get() == State::New {
            node.end_new();
        } else if let Some(greenlet) = node.greenlet.get() {
            greenlet.kill();
        }
    }

    /// The party that gets the turn when this one ends; `None` for one that is not made by [`Switch::new`].
    pub fn parent(&self) -> Option<Self> {
        self.party.0.parent.clone()
    }

    /// Whether it has ended.
    pub fn dead(&self) -> bool {
        self.party.0.state.get() == State::Dead
    }

    /// Whether it has run, and has not ended.
    pub fn started(&self) -> bool {
        matches!(self.party.0.state.get(), State::Waiting | State::Running)
    }

    /// A handle of `node`.
    fn of(node: Rc<Node<T>>) -> Self {
        let mut handles = node.handles.borrow_mut();
        let party = handles.upgrade().unwrap_or_else(|| {
            let party = Rc::new(Party(Rc::clone(&node)));
            *handles = Rc::downgrade(&party);
            party
        });
        drop(handles);
        Self { party }
    }
}

impl<T> Clone for Switch<T> {
    fn clone(&self) -> Self {
        Self {
            party: Rc::clone(&self.party),
        }
    }
}

impl<T> PartialEq for Switch<T> {
    /// Whether it is the same party.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.party, &other.party)
    }
}

impl<T> Eq for Switch<T> {}

impl<T> fmt::Debug for Switch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch")
            .field("state", &self.party.0.state.get())
            .finish_non_exhaustive()
    }
}

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

/// What the handles of a party share: it goes with the last one.
struct Party<T: 'static>(Rc<Node<T>>);

impl<T> Drop for Party<T> {
    fn drop(&mut self) {
        let node = &self.0;
        match node.state.get() {
            State::New => node.end_new(),
            State::Waiting => node.kill_nowait(),
            State::Running | State::Dead => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Waiting,
    Running,
    Dead,
}

impl State {
    /// Why a party in this state takes nothing.
    fn error<P>(self, passed: P) -> SwitchError<P> {
        match self {
            Self::Dead => SwitchError::Dead(passed),
            _ => SwitchError::Running(passed),
        }
    }
}

/// What comes with the turn.
enum Passed<T> {
    Value(T),
    Panic(Payload),
    /// Whoever had the turn was killed.
    Killed,
}

type Body<T> = Box<dyn FnOnce(T) -> T>;

/// One party.
struct Node<T: 'static> {
    state: Cell<State>,
    /// See invariant 1.
    has_turn: Cell<bool>,
    /// Who gave it the turn last.
    from: RefCell<Weak<Self>>,
    /// What it is to run; until it does.
    body: Cell<Option<Body<T>>>,
    parent: Option<Switch<T>>,
    /// What was passed to it, and its wait for that.
    inbox: Monitor<(Option<Passed<T>>, WaitQueue)>,
    /// Its green thread, if it has a body that has begun to run.
    greenlet: OnceCell<Greenlet<()>>,
    /// Its handles, if there are any.
    handles: RefCell<Weak<Party<T>>>,
}

impl<T: 'static> Node<T> {
    fn new(state: State, parent: Option<Switch<T>>, body: Option<Body<T>>) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(state),
            has_turn: Cell::new(false),
            from: RefCell::default(),
            body: Cell::new(body),
            parent,
            inbox: Monitor::new((None, WaitQueue::new())),
            greenlet: OnceCell::new(),
            handles: RefCell::default(),
        })
    }

    /// The party that the calling green thread is.
    fn current() -> Rc<Self> {
        assert!(
            sched::current().is_some(),
            "a switch outside a green thread: wrap main in green::run"
        );
        let known = PARTIES.with_borrow(|parties| {
            let mut own = parties.iter().filter_map(|(_, party)| party.downcast_ref());
            own.next().map(|Own(node)| Rc::clone(node))
        });
        known.unwrap_or_else(|| {
            let node = Self::new(State::Running, None, None);
            node.is_of_caller();
            node
        })
    }

    /// The calling green thread is this party.
    fn is_of_caller(self: &Rc<Self>) {
        let own = Box::new(Own(Rc::clone(self)));
        PARTIES.with_borrow_mut(|parties| parties.push((self.parent.is_some(), own)));
    }

    /// Its parent, the parent of that, and so on.
    fn ancestors(&self) -> impl Iterator<Item = &Rc<Self>> {
        let first = self.parent.as_ref();
        let ancestors = iter::successors(first, |switch| switch.party.0.parent.as_ref());
        ancestors.map(|switch| &switch.party.0)
    }

    /// The nearest ancestor that has not ended.
    fn heir(&self) -> Option<Rc<Self>> {
        let mut ancestors = self.ancestors();
        ancestors
            .find(|ancestor| ancestor.state.get() != State::Dead)
            .cloned()
    }

    /// It has the turn, from `from`.
    fn begin(&self, from: &Rc<Self>) {
        self.state.set(State::Running);
        self.has_turn.set(true);
        self.from.replace(Rc::downgrade(from));
    }

    /// Gives it the turn, from `from`; returns what it does not take, and why.
    fn take(&self, from: &Rc<Self>, passed: Passed<T>) -> Result<(), (State, Passed<T>)> {
        if self.state.get() != State::Waiting {
            return Err((self.state.get(), passed));
        }
        self.begin(from);
        let mut inbox = self.inbox.lock();
        inbox.0 = Some(passed);
        let next = inbox.1.notify_one();
        drop(inbox);
        // It is not there any more if it was interrupted: then it finds what was passed, and that it has the turn.
        wake(next);
        Ok(())
    }

    /// Passes `value` to `target`, and waits. `self` is the caller.
    fn pass(self: &Rc<Self>, target: &Rc<Self>, value: T) -> Result<T, SwitchError<T>> {
        match target.take(self, Passed::Value(value)) {
            Ok(()) => self.wait(),
            Err((state, Passed::Value(value))) => Err(state.error(value)),
            Err(_) => unreachable!("what was not taken comes back"),
        }
    }

    /// Waits for the turn. `self` is the caller.
    fn wait(&self) -> Result<T, SwitchError<T>> {
        self.has_turn.set(false);
        self.state.set(State::Waiting);
        if self.handles.borrow().strong_count() == 0 {
            self.kill_nowait();
        }
        let wait = Wait::new(WaitFor::Switch, Deadline::Never);
        let passed = self
            .inbox
            .wait(wait, |(_, queue)| queue, |(passed, _)| passed.take());
        self.state.set(State::Running);
        if let Err(NotReady::Interrupted(_)) = passed {
            // What came at the same moment is lost, but the turn is not.
            let lost = self.inbox.lock().0.take();
            drop(lost);
        }
        match passed.unless_interrupted() {
            Passed::Value(value) => Ok(value),
            Passed::Panic(payload) => interrupt::resume(payload),
            Passed::Killed => Err(SwitchError::Killed),
        }
    }

    /// It ends before it has run.
    fn end_new(&self) {
        self.state.set(State::Dead);
        drop(self.body.take());
    }

    /// It ends: if it has the turn, it passes that on. Returns what nobody took.
    fn end(self: &Rc<Self>, mut passed: Passed<T>) -> Option<Passed<T>> {
        self.state.set(State::Dead);
        if !self.has_turn.get() {
            return Some(passed);
        }
        let from = self.from.borrow().upgrade();
        let from = from.filter(|from| !from.ancestors().any(|party| Rc::ptr_eq(party, self)));
        for next in [self.heir(), from].into_iter().flatten() {
            match next.take(self, passed) {
                Ok(()) => return None,
                Err((_, back)) => passed = back,
            }
        }
        Some(passed)
    }

    /// Asks it to die.
    fn kill_nowait(&self) {
        if let Some(greenlet) = self.greenlet.get() {
            greenlet.kill_nowait();
        }
    }
}

/// The one run of a party's body. Dropped without that, because its green thread was killed before, it ends the party.
struct Life<T: 'static>(Rc<Node<T>>);

impl<T> Life<T> {
    fn run(self, body: Body<T>, first: T) {
        let node = &self.0;
        node.is_of_caller();
        let result = catch_unwind(AssertUnwindSafe(|| body(first)));
        match result {
            Ok(value) => drop(node.end(Passed::Value(value))),
            Err(payload) if interrupt::of(&*payload).is_some() => {
                node.end(Passed::Killed);
                interrupt::resume(payload);
            }
            Err(payload) => {
                if let Some(Passed::Panic(payload)) = node.end(Passed::Panic(payload)) {
                    // Its own failure, which is reported.
                    interrupt::resume(payload);
                }
            }
        }
    }
}

impl<T> Drop for Life<T> {
    fn drop(&mut self) {
        if self.0.state.get() != State::Dead {
            self.0.end(Passed::Killed);
        }
    }
}

/// What a green thread holds of a party that it is.
struct Own<T: 'static>(Rc<Node<T>>);

impl<T> Drop for Own<T> {
    /// The green thread ends. If it ran the body of the party, that has ended before.
    fn drop(&mut self) {
        if self.0.state.get() != State::Dead {
            drop(self.0.end(Passed::Killed));
        }
    }
}

crate::local! {
    /// The parties that the green thread is, one for each type of value, and whether it runs the body of that party.
    static PARTIES: RefCell<Vec<(bool, Box<dyn Any>)>> = RefCell::default();
}

/// Whether the calling green thread runs the body of a party.
fn is_child() -> bool {
    PARTIES.with_borrow(|parties| parties.iter().any(|&(is_child, _)| is_child))
}

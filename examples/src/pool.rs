//! A pool of connections in the style of r2d2, for green threads.
//!
//! r2d2 itself waits with the locks of `parking_lot` and opens connections on OS threads of its own: a
//! green thread that waits in it stops its hub, and with it those that would give a connection back.
//!
//! # Invariants
//!
//! 1. A place is a right to hold a connection. `taken` places are held; at most `max_size` are.
//! 2. Somebody waits only while all places are taken. A place that is given back while somebody waits
//!    stays taken and goes to the one who has waited longest, so nobody is overtaken.
//! 3. The lock of the state is std's, and held for a few instructions, never across a call that waits.
//!    A green lock would be a point at which a kill or a timeout may strike, and destructors take this one
//!    to give places back: what interrupts them there loses the place.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use green::Elapsed;
use green::event::Event;

/// How connections are made and checked.
pub trait ManageConnection: Send + Sync + 'static {
    /// What the pool is full of.
    type Connection: Send + 'static;
    /// Why there is none.
    type Error;

    /// Makes a connection.
    ///
    /// # Errors
    ///
    /// It cannot.
    fn connect(&self) -> Result<Self::Connection, Self::Error>;

    /// Finds out whether a connection that lay idle still works; called before one is handed out again.
    ///
    /// # Errors
    ///
    /// It does not: another takes its place.
    fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Tells, without waiting, whether a connection that comes back is of no more use.
    fn has_broken(&self, connection: &mut Self::Connection) -> bool;
}

/// A pool of at most so many connections. Clones share it.
pub struct Pool<M: ManageConnection>(Arc<Shared<M>>);

impl<M: ManageConnection> Pool<M> {
    /// An empty pool for `max_size` connections, at least one. Connections are made when they are
    /// needed.
    pub fn new(manager: M, max_size: usize) -> Self {
        Self(Arc::new(Shared {
            manager,
            max_size: max_size.max(1),
            state: Mutex::new(State {
                idle: Vec::new(),
                taken: 0,
                waiting: VecDeque::new(),
            }),
        }))
    }

    /// Takes a connection: one that lay idle and still works, or a new one. It goes back when what is
    /// returned is dropped, also because its holder panics or is killed.
    ///
    /// # Blocking
    ///
    /// Waits, first come, first served, while all are taken; and while one is checked or made.
    ///
    /// # Errors
    ///
    /// What the manager's `connect` returns.
    pub fn get(&self) -> Result<Pooled<M>, M::Error> {
        let place = Shared::enter(&self.0);
        let connection = self.0.connection()?;
        Ok(Pooled {
            connection: Some(connection),
            place,
        })
    }

    /// As [`Pool::get`], in at most `limit` altogether, a new connection included.
    ///
    /// # Errors
    ///
    /// What the manager's `connect` returns, or that it took too long.
    pub fn get_timeout(&self, limit: Duration) -> Result<Pooled<M>, GetError<M::Error>> {
        green::timeout(limit, || self.get())
            .map_err(GetError::TimedOut)?
            .map_err(GetError::Connect)
    }

    /// How many connections lie idle.
    pub fn idle(&self) -> usize {
        self.0.state().idle.len()
    }

    /// How many are taken, or being made.
    pub fn taken(&self) -> usize {
        self.0.state().taken
    }
}

impl<M: ManageConnection> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: ManageConnection> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("Pool")
            .field("max_size", &self.0.max_size)
            .field("idle", &state.idle.len())
            .field("taken", &state.taken)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}

/// A connection that is taken from a [`Pool`]; dropped, it goes back.
pub struct Pooled<M: ManageConnection> {
    /// `None` only while it is dropped.
    connection: Option<M::Connection>,
    /// Given back after the connection.
    place: Place<M>,
}

impl<M: ManageConnection> Deref for Pooled<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.connection.as_ref().expect("it is not being dropped")
    }
}

impl<M: ManageConnection> DerefMut for Pooled<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.connection.as_mut().expect("it is not being dropped")
    }
}

impl<M: ManageConnection> Drop for Pooled<M> {
    fn drop(&mut self) {
        let shared = &self.place.shared;
        if let Some(mut connection) = self.connection.take()
            && !shared.manager.has_broken(&mut connection)
        {
            shared.state().idle.push(connection);
        }
    }
}

impl<M: ManageConnection> fmt::Debug for Pooled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").finish_non_exhaustive()
    }
}

/// Why [`Pool::get_timeout`] has no connection.
#[derive(Debug)]
pub enum GetError<E> {
    /// All were taken, or the new one was not ready in time.
    TimedOut(Elapsed),
    /// A new one could not be made.
    Connect(E),
}

impl<E: fmt::Display> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(elapsed) => write!(f, "no connection: {elapsed}"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
        }
    }
}

impl<E: Error> Error for GetError<E> {}

struct Shared<M: ManageConnection> {
    manager: M,
    /// The most places that may be taken.
    max_size: usize,
    state: Mutex<State<M::Connection>>,
}

struct State<C> {
    /// Connections that nobody holds, the one used last at the end.
    idle: Vec<C>,
    /// Places that are held, or on their way to a waiter.
    taken: usize,
    /// Who waits for a place, the longest first. One that is taken out of here and set has a place.
    waiting: VecDeque<Arc<Event>>,
}

impl<M: ManageConnection> Shared<M> {
    fn state(&self) -> MutexGuard<'_, State<M::Connection>> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// Waits for a place.
    fn enter(shared: &Arc<Self>) -> Place<M> {
        let mut state = shared.state();
        if state.taken < shared.max_size {
            state.taken += 1;
        } else {
            let turn = Arc::new(Event::new());
            state.waiting.push_back(Arc::clone(&turn));
            drop(state);
            let mut waiter = Waiter {
                shared,
                turn,
                served: false,
            };
            waiter.turn.wait();
            waiter.served = true;
        }
        Place {
            shared: Arc::clone(shared),
        }
    }

    /// A connection for someone who has a place.
    fn connection(&self) -> Result<M::Connection, M::Error> {
        loop {
            let idle = self.state().idle.pop();
            let Some(mut connection) = idle else {
                return self.manager.connect();
            };
            if self.manager.is_valid(&mut connection).is_ok() {
                return Ok(connection);
            }
        }
    }

    /// Gives a place back, or on.
    fn leave(&self) {
        let mut state = self.state();
        match state.waiting.pop_front() {
            Some(next) => next.set(),
            None => state.taken -= 1,
        }
    }
}

/// A right to hold a connection.
struct Place<M: ManageConnection> {
    shared: Arc<Shared<M>>,
}

impl<M: ManageConnection> Drop for Place<M> {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

/// Who waits for a place. Killed or out of time, it leaves the queue, or passes on what it just got.
struct Waiter<'a, M: ManageConnection> {
    shared: &'a Shared<M>,
    turn: Arc<Event>,
    /// It has its place.
    served: bool,
}

impl<M: ManageConnection> Drop for Waiter<'_, M> {
    fn drop(&mut self) {
        if self.served {
            return;
        }
        let mut state = self.shared.state();
        let at = state
            .waiting
            .iter()
            .position(|turn| Arc::ptr_eq(turn, &self.turn));
        if let Some(at) = at {
            state.waiting.remove(at);
        } else {
            drop(state);
            self.shared.leave();
        }
    }
}

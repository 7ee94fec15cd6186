//! A set of green threads that belong together.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::members::Members;
use super::{IMap, Member, NotTaken, Order, Slots, Start, Workers, inline};
use crate::error::Failure;
use crate::greenlet::{Greenlet, Home, Left, die_if_asked, getcurrent, spawn_prepared};
use crate::time::deadline::Deadline;

/// A set of green threads, of any result types, which leave it when they end. Clones are handles to the same one.
///
/// Dropping the group does not stop its members. It is also the part of a [`Pool`](super::Pool) that does not depend on
/// its limit: what waits "while the group is full" waits in a pool only.
///
/// # Examples
///
/// ```
/// use green_core::pool::Group;
///
/// let group = Group::new();
/// let number = group.spawn(|| 6 * 7);
/// let word = group.spawn(|| "forty-two");
/// group.join();
/// assert!(group.is_empty());
/// assert_eq!((number.get().unwrap(), word.get().unwrap()), (42, "forty-two"));
/// ```
#[derive(Clone)]
pub struct Group {
    /// Counts the members, and those that are being made.
    places: Arc<Places>,
}

/// The places of a group, and who is in them.
type Places = Slots<Members>;

impl Group {
    /// An empty group.
    pub fn new() -> Self {
        Self::with_size(None)
    }

    pub(super) fn with_size(size: Option<usize>) -> Self {
        Self {
            places: Arc::new(Slots::with_members(size, Members::default())),
        }
    }

    /// Runs `f` in a green thread of the group, waiting while the group is full.
    ///
    /// In a [closed](Group::close) group nothing runs: the green thread counts as killed before it started.
    ///
    /// # Blocking
    ///
    /// Parks the caller while the group is full; a cancellation point then. An interrupted `spawn` has taken no place.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        match self.start(site, f, Deadline::Never, |_| ()) {
            Ok(greenlet) => greenlet,
            Err(refused) => killed(site, refused.into_inner()),
        }
    }

    /// As [`Group::spawn`], if the group is not full.
    ///
    /// # Errors
    ///
    /// The group is full or closed; `f` comes back.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start_taken(Location::caller(), f, self.try_place(), |_| ())
    }

    /// As [`Group::spawn`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Group::try_spawn`].
    #[track_caller]
    pub fn spawn_timeout<F, T>(&self, timeout: Duration, f: F) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(Location::caller(), f, Deadline::after(timeout), |_| ())
    }

    /// Makes a green thread a member, waiting while the group is full. One that has ended leaves again at once.
    ///
    /// Does nothing if it is a member already.
    ///
    /// # Blocking
    ///
    /// As [`Group::spawn`].
    ///
    /// # Errors
    ///
    /// The group is closed.
    pub fn add<T: Send + 'static>(&self, greenlet: &Greenlet<T>) -> Result<(), Refused<()>> {
        self.add_until(greenlet, Deadline::Never)
    }

    /// As [`Group::add`], if the group is not full.
    ///
    /// # Errors
    ///
    /// The group is full or closed.
    pub fn try_add<T: Send + 'static>(&self, greenlet: &Greenlet<T>) -> Result<(), Refused<()>> {
        if self.contains(greenlet) {
            return Ok(());
        }
        self.add_taken(greenlet, self.try_place())
    }

    /// As [`Group::add`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Group::try_add`].
    pub fn add_timeout<T: Send + 'static>(
        &self,
        greenlet: &Greenlet<T>,
        timeout: Duration,
    ) -> Result<(), Refused<()>> {
        self.add_until(greenlet, Deadline::after(timeout))
    }

    /// Lets a green thread go, which lives on; true if it was a member.
    pub fn discard<T>(&self, greenlet: &Greenlet<T>) -> bool {
        self.places.remove(greenlet.id())
    }

    /// Whether the green thread is a member.
    pub fn contains<T>(&self, greenlet: &Greenlet<T>) -> bool {
        self.has(greenlet.id())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.places.taken()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in the order of their numbers: that in which they were made, as far as one hub made them.
    pub fn members(&self) -> Vec<Member> {
        self.places.lock().members.all()
    }

    /// Whether there is no room for another member.
    #[doc(alias = "full")]
    pub fn is_full(&self) -> bool {
        self.places.free() == Some(0)
    }

    /// Waits until there is room for another member, without taking it; how much room there is then.
    ///
    /// That is 1 if there is no limit, and may be 0: others were faster, or the group was closed.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn wait_available(&self) -> usize {
        self.places.wait_available(Deadline::Never)
    }

    /// As [`Group::wait_available`], waiting at most `timeout`; 0 if there was no room in time.
    pub fn wait_available_timeout(&self, timeout: Duration) -> usize {
        self.places.wait_available(Deadline::after(timeout))
    }

    /// Admits nobody any more. Who waits to get in is refused; the members live on.
    ///
    /// gevent has no such thing: there, who waits in `spawn` gets in while `kill` empties the pool.
    pub fn close(&self) {
        self.places.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.places.is_closed()
    }

    /// Waits until the group is empty, or was at some moment since the call: it may have new members already.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. A member that waits for its own group waits for itself.
    pub fn join(&self) {
        self.places.join(Deadline::Never);
    }

    /// As [`Group::join`], waiting at most `timeout`; true if the group was empty.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.places.join(Deadline::after(timeout))
    }

    /// As [`Group::join`]; then looks whether one of those failed that were members at the call. Being killed is not a
    /// failure.
    ///
    /// # Errors
    ///
    /// The failure of one of them.
    pub fn join_raise(&self) -> Result<(), Failure> {
        self.join_and_raise(Deadline::Never).map(|_| ())
    }

    /// As [`Group::join_raise`], waiting at most `timeout`; true if the group was empty.
    ///
    /// # Errors
    ///
    /// As [`Group::join_raise`], also if the group was not empty in time.
    pub fn join_raise_timeout(&self, timeout: Duration) -> Result<bool, Failure> {
        self.join_and_raise(Deadline::after(timeout))
    }

    /// Kills all members, also those that come until the group is empty, and waits for that.
    ///
    /// The group asks each member to die once in its life: one that catches that lives on, and is waited for. A member
    /// that kills its group dies here, too.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if a member has started.
    pub fn kill(&self) {
        self.kill_until(Deadline::Never);
    }

    /// As [`Group::kill`], waiting at most `timeout`; true if there is no member left.
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_until(Deadline::after(timeout))
    }

    /// Asks all members to die that the group has not asked yet, without waiting.
    ///
    /// # Panics
    ///
    /// As [`Group::kill`].
    pub fn kill_nowait(&self) {
        let asked = self.places.lock().members.ask_all();
        // First those that have not started, so that one that dies cannot let another start.
        let (started, unstarted): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(Member::is_started);
        for member in unstarted.iter().chain(&started) {
            member.kill_nowait();
        }
    }

    /// Kills one member and waits until it has ended. Does nothing if it is none, or the group has asked it before.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if it has started.
    pub fn killone<T>(&self, greenlet: &Greenlet<T>) {
        self.killone_until(greenlet, Deadline::Never);
    }

    /// As [`Group::killone`], waiting at most `timeout`; true if it has ended.
    pub fn killone_timeout<T>(&self, greenlet: &Greenlet<T>, timeout: Duration) -> bool {
        self.killone_until(greenlet, Deadline::after(timeout))
    }

    /// As [`Group::killone`], without waiting.
    ///
    /// # Panics
    ///
    /// As [`Group::killone`].
    pub fn killone_nowait<T>(&self, greenlet: &Greenlet<T>) {
        if let Some(member) = self.ask(greenlet.id()) {
            member.kill_nowait();
        }
    }

    /// Runs `f` in a member and returns its value; in the caller, if that is a member.
    ///
    /// # Blocking
    ///
    /// Parks the caller, also while the group is full; a cancellation point. An interrupted caller takes the member with
    /// it.
    ///
    /// # Errors
    ///
    /// `f` panicked, was killed, or the group is closed: that counts as killed.
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> Result<T, Failure>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        if getcurrent().is_some_and(|me| self.has(me.id())) {
            return inline(f);
        }
        let mut workers = Workers::new();
        workers.push(match self.start(site, f, Deadline::Never, |_| ()) {
            Ok(greenlet) => greenlet,
            Err(_) => return Err(Failure::Killed),
        });
        workers.next().unwrap_or(Err(Failure::Killed))
    }

    /// As [`Group::spawn`], without waiting: if the group is full, a green thread that is not a member waits instead.
    ///
    /// So [`Group::join`] does not wait for it until it gets in.
    #[track_caller]
    pub fn apply_async<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        match self.start_taken(site, f, self.try_place(), |_| ()) {
            Ok(greenlet) => greenlet,
            Err(Refused::Closed(f)) => killed(site, f),
            Err(Refused::Full(f)) => {
                let group = self.clone();
                let wait = move || group.apply(f).unwrap_or_else(Failure::resume);
                spawn_prepared(site, wait, |_| ())
            }
        }
    }

    /// Runs `f` on each item, each in a member of its own; returns the values in the order of the items.
    ///
    /// # Blocking
    ///
    /// Parks the caller, also while the group is full; a cancellation point. A caller that unwinds, by an interrupt or by
    /// a panic of `items`, takes the members with it.
    ///
    /// # Errors
    ///
    /// The first failure, in the order of the items, once all of them have got in; the others run on. If the group is
    /// closed meanwhile, that counts as killed.
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Result<Vec<T>, Failure>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Workers::map(Location::caller(), self, items, f)
    }

    /// [`Group::map`] in a green thread that is not a member. To kill it is to kill its members.
    #[track_caller]
    pub fn map_async<I, F, T>(&self, items: I, f: F) -> Greenlet<Result<Vec<T>, Failure>>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, group) = (Location::caller(), self.clone());
        spawn_prepared(site, move || Workers::map(site, &group, items, f), |_| ())
    }

    /// Runs `f` on each item, each in a member of its own; yields the results in the order of the items.
    ///
    /// It begins at once, and is not slowed down by who does not take the results: see [`Group::imap_maxsize`]. After a
    /// failure it goes on with the next item. If `items` panics, that failure is the last one. For several sequences of
    /// items, zip them.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::pool::Pool;
    ///
    /// let pool = Pool::new(2);
    /// let halves = pool.imap([10, 0, 30], |n| 60 / n);
    /// let halves: Vec<Option<i32>> = halves.map(Result::ok).collect();
    /// assert_eq!(halves, [Some(6), None, Some(2)]);
    /// ```
    #[track_caller]
    pub fn imap<I, F, T>(&self, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        IMap::new(
            Location::caller(),
            self.clone(),
            Order::Items,
            None,
            items,
            f,
        )
    }

    /// As [`Group::imap`]; items beyond `maxsize` wait until a result has been taken. Zero counts as one.
    #[track_caller]
    pub fn imap_maxsize<I, F, T>(&self, maxsize: usize, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        IMap::new(
            Location::caller(),
            self.clone(),
            Order::Items,
            Some(maxsize),
            items,
            f,
        )
    }

    /// As [`Group::imap`]; yields the results in the order in which they come.
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        IMap::new(
            Location::caller(),
            self.clone(),
            Order::Ends,
            None,
            items,
            f,
        )
    }

    /// As [`Group::imap_unordered`], with the limit of [`Group::imap_maxsize`].
    #[track_caller]
    pub fn imap_unordered_maxsize<I, F, T>(&self, maxsize: usize, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        IMap::new(
            Location::caller(),
            self.clone(),
            Order::Ends,
            Some(maxsize),
            items,
            f,
        )
    }
}

impl Group {
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn join_until(&self, deadline: Deadline) -> bool {
        self.places.join(deadline)
    }

    fn has(&self, id: NonZeroU64) -> bool {
        self.places.lock().members.contains(id)
    }

    /// Marks a member as asked to die; `None` if it is none, or has been asked.
    fn ask(&self, id: NonZeroU64) -> Option<Member> {
        self.places.lock().members.ask(id)
    }

    /// Takes a place for a member to come, waiting while the group is full.
    fn place(&self, deadline: Deadline) -> Result<Place<'_>, NotTaken> {
        let taken = self.places.take(deadline, Members::times_asked);
        taken.map(|times_asked| Place::new(&self.places, times_asked))
    }

    fn try_place(&self) -> Result<Place<'_>, NotTaken> {
        let taken = self.places.try_take(Members::times_asked);
        taken.map(|times_asked| Place::new(&self.places, times_asked))
    }

    /// As [`Group::start`], in a place, if there is one.
    fn start_taken<F, T>(
        &self,
        site: &'static Location<'static>,
        f: F,
        place: Result<Place<'_>, NotTaken>,
        prepare: impl FnOnce(&Greenlet<T>),
    ) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let place = match place {
            Ok(place) => place,
            Err(NotTaken::Full) => return Err(Refused::Full(f)),
            Err(NotTaken::Closed) => return Err(Refused::Closed(f)),
        };
        Ok(spawn_prepared(site, f, |greenlet| {
            self.insert(greenlet, place);
            prepare(greenlet);
        }))
    }

    fn add_until<T: Send + 'static>(
        &self,
        greenlet: &Greenlet<T>,
        deadline: Deadline,
    ) -> Result<(), Refused<()>> {
        if self.contains(greenlet) {
            return Ok(());
        }
        self.add_taken(greenlet, self.place(deadline))
    }

    fn add_taken<T: Send + 'static>(
        &self,
        greenlet: &Greenlet<T>,
        place: Result<Place<'_>, NotTaken>,
    ) -> Result<(), Refused<()>> {
        match place {
            Ok(place) => self.insert(greenlet, place),
            Err(NotTaken::Full) => return Err(Refused::Full(())),
            Err(NotTaken::Closed) => return Err(Refused::Closed(())),
        }
        Ok(())
    }

    /// Gives `greenlet` the place, until it ends; unless it has one.
    fn insert<T: Send + 'static>(&self, greenlet: &Greenlet<T>, place: Place<'_>) {
        let member = Member::new(greenlet.erase());
        // Which one is refused is not dropped under the lock.
        let inserted = self.places.lock().members.insert(member, place.times_asked);
        let Ok(missed_to_die) = inserted else {
            return;
        };
        place.keep();
        let home: Weak<Places> = Arc::downgrade(&self.places);
        if !greenlet.add_home(home) {
            // It had ended before.
            self.places.remove(greenlet.id());
        }
        if missed_to_die {
            greenlet.kill_nowait();
        }
    }

    fn join_and_raise(&self, deadline: Deadline) -> Result<bool, Failure> {
        let members = self.members();
        let joined = self.places.join(deadline);
        match members.iter().find_map(Member::exception) {
            Some(failure) => Err(failure),
            None => Ok(joined),
        }
    }

    fn kill_until(&self, deadline: Deadline) -> bool {
        let at_call = self.places.times_empty();
        loop {
            // Who gets in after the group was empty is not meant.
            if self.places.times_empty() != at_call {
                return true;
            }
            self.kill_nowait();
            let members = self.members();
            if members.is_empty() {
                return true;
            }
            if !members.iter().all(|member| self.see_end(member, deadline)) {
                return false;
            }
        }
    }

    fn killone_until<T>(&self, greenlet: &Greenlet<T>, deadline: Deadline) -> bool {
        let Some(member) = self.ask(greenlet.id()) else {
            return greenlet.ready();
        };
        member.kill_nowait();
        self.see_end(&member, deadline)
    }

    /// Waits until a member that was asked to die has ended; true if it has.
    fn see_end(&self, member: &Member, deadline: Deadline) -> bool {
        if getcurrent().is_some_and(|me| me.id() == member.id()) {
            // Nobody waits for itself.
            die_if_asked();
            return false;
        }
        member.wait_until(deadline)
    }
}

impl Start for Group {
    fn start<F, T>(
        &self,
        site: &'static Location<'static>,
        f: F,
        deadline: Deadline,
        prepare: impl FnOnce(&Greenlet<T>),
    ) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start_taken(site, f, self.place(deadline), prepare)
    }
}

impl Places {
    /// Takes a member out; true if it was there.
    fn remove(&self, id: NonZeroU64) -> bool {
        let mut state = self.lock();
        let Some(member) = state.members.remove(id) else {
            return false;
        };
        let left = state.give_back();
        drop(state);
        drop(member);
        self.wake(left);
        true
    }
}

/// A member ends.
impl Home for Places {
    fn leave(&self, id: NonZeroU64) -> Left {
        let mut state = self.lock_inside();
        // Dropped under locks: it is not the last handle, the caller has another.
        match state.members.remove(id) {
            Some(_) => state.give_back(),
            None => Left::default(),
        }
    }

    fn wake(&self, left: Left) {
        self.wake(left);
    }
}

/// A place that was taken for a member to come; given back when it is dropped.
struct Place<'a> {
    places: Option<&'a Places>,
    /// How often all members had been asked to die when it was taken: who comes into it missed the later times.
    times_asked: u64,
}

impl<'a> Place<'a> {
    fn new(places: &'a Places, times_asked: u64) -> Self {
        Self {
            places: Some(places),
            times_asked,
        }
    }

    /// Leaves it to a member.
    fn keep(mut self) {
        self.places = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.places {
            places.give_back();
        }
    }
}

/// A green thread that was to run `f`, and was killed before it did.
pub(crate) fn killed<F, T>(site: &'static Location<'static>, f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_prepared(site, f, Greenlet::kill_nowait)
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

/// A group of these green threads.
impl<T: Send + 'static> FromIterator<Greenlet<T>> for Group {
    fn from_iter<I: IntoIterator<Item = Greenlet<T>>>(greenlets: I) -> Self {
        let group = Self::new();
        for greenlet in greenlets {
            let added = group.add(&greenlet);
            debug_assert!(added.is_ok(), "a new group is open");
        }
        group
    }
}

/// The members, as [`Group::members`] orders them.
impl IntoIterator for &Group {
    type Item = Member;
    type IntoIter = std::vec::IntoIter<Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.members().into_iter()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Why nothing was started or added; what was to be run is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
#[doc(alias = "PoolFull")]
pub enum Refused<F> {
    /// There was no room, or none in time.
    Full(F),
    /// The pool is closed.
    Closed(F),
}

impl<F> Refused<F> {
    /// What was to be run.
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(f) | Self::Closed(f) => f,
        }
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the pool is full",
            Self::Closed(_) => "the pool is closed",
        })
    }
}

impl<F> Error for Refused<F> {}

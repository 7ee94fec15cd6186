//! A queue without a buffer.
//!
//! # Protocol
//!
//! A putter that finds a getter waiting chooses it and leaves the item for it in `handed`. Else it makes an *offer*,
//! with itself waiting beside it. A getter takes the first offer whose putter it can still choose: one that has timed
//! out or was interrupted takes its offer back.
//!
//! # Invariants
//!
//! 1. An offer is gone exactly if its putter was chosen, or took it back itself.
//! 2. `handed` holds an item for each of the `chosen` getters on their way; more only if one of them unwound, and
//!    there was nobody to take its item then.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::{GetError, PutError};
use crate::interrupt::OrRaise;
use crate::park::Green;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Notified, Turn, Wait, WaitQueue, wake};

/// A queue without room: `put` waits until the item is handed to a getter, and that one goes on first. Clones are
/// handles to the same one.
///
/// Putters and getters are served first in, first out, and nobody overtakes them.
///
/// # Examples
///
/// ```
/// use green_core::queue::Channel;
///
/// let channel = Channel::new();
/// let theirs = channel.clone();
/// green_core::spawn(move || (0..3).for_each(|n| theirs.put(n).unwrap()));
/// assert_eq!([(); 3].map(|()| channel.get().unwrap()), [0, 1, 2]);
/// ```
pub struct Channel<T> {
    shared: Arc<Monitor<State<T>>>,
}

struct State<T> {
    /// What getters may take, in the order of their numbers.
    offers: VecDeque<Offer<T>>,
    /// The number of the next offer.
    next_offer: u64,
    /// What getters were chosen for. See invariant 2.
    handed: VecDeque<T>,
    /// How many getters were chosen and have not taken their item yet.
    chosen: usize,
    getters: WaitQueue,
    /// Where nobody waits: the place of a putter whose offer is gone.
    nobody: WaitQueue,
    closed: bool,
}

/// The item of a putter that waits for a getter.
struct Offer<T> {
    number: u64,
    item: T,
    /// The putter, once it waits.
    putter: WaitQueue,
}

impl<T> Channel<T> {
    /// A channel.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Monitor::new(State {
                offers: VecDeque::new(),
                next_offer: 0,
                handed: VecDeque::new(),
                chosen: 0,
                getters: WaitQueue::new(),
                nobody: WaitQueue::new(),
                closed: false,
            })),
        }
    }

    /// Hands an item to a getter, waiting for one.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. An interrupted `put` has put nothing. On the hub of the caller the getter
    /// runs before `put` returns.
    ///
    /// # Errors
    ///
    /// The channel is closed; the item comes back.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::Never)
    }

    /// Hands an item to a getter if one waits.
    ///
    /// # Errors
    ///
    /// None waits ([`PutError::Full`]), or the channel is closed; the item comes back.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let put = self.shared.lock().hand(&mut item);
        after_put(put, item)
    }

    /// As [`Channel::put`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Channel::try_put`].
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::after(timeout))
    }

    /// As [`Channel::put`], waiting until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// As [`Channel::try_put`].
    pub fn put_deadline(&self, item: T, deadline: Instant) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::At(deadline))
    }

    /// As [`Channel::put`], awaited on any executor. Dropped before a getter has the item, it has put nothing. The getter goes on
    /// when its turn comes, not before the caller does.
    ///
    /// # Errors
    ///
    /// As [`Channel::put`].
    #[cfg(feature = "async")]
    pub async fn put_async(&self, item: T) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let offered = Offered::new(self);
        let put = self.shared.wait_in_turn_async(
            |state| state.place_of(offered.number.get()),
            |state, turn| state.put(turn, &mut item, &offered.number),
            |_| None,
        );
        let put = put.await;
        after_put(put, item)
    }

    /// Takes an item from a putter, waiting for one.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. An interrupted `get` has taken nothing.
    ///
    /// # Errors
    ///
    /// The channel is closed.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_until(Deadline::Never)
    }

    /// Takes an item from a putter if one waits.
    ///
    /// # Errors
    ///
    /// None waits ([`GetError::Empty`]), or the channel is closed.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, GetError> {
        let got = self.shared.lock().take(Turn::Running);
        after_get(got)
    }

    /// As [`Channel::get`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Channel::try_get`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_until(Deadline::after(timeout))
    }

    /// As [`Channel::get`], waiting until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// As [`Channel::try_get`].
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.get_until(Deadline::At(deadline))
    }

    /// As [`Channel::get`], awaited on any executor. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    ///
    /// As [`Channel::get`].
    #[cfg(feature = "async")]
    pub async fn get_async(&self) -> Result<T, GetError> {
        let got =
            self.shared
                .wait_in_turn_async(|state| &mut state.getters, State::take, State::pass_on);
        after_get(Some(got.await))
    }

    /// How many putters wait, less how many getters do.
    pub fn balance(&self) -> isize {
        let mut state = self.shared.lock();
        let (putters, getters) = (state.offers.len(), state.getters.count());
        putters.cast_signed() - getters.cast_signed()
    }

    /// Zero: it holds no items.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        0
    }

    /// True: it holds no items.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// True: it has no room.
    pub fn is_full(&self) -> bool {
        true
    }

    /// Ends the channel: those who wait, and those who come, find it closed.
    pub fn close(&self) {
        let mut putters = Vec::new();
        self.shared.notify_all(
            |state| &mut state.getters,
            |state| {
                state.closed = true;
                let offers = state.offers.iter_mut();
                putters.extend(offers.filter_map(|offer| offer.putter.notify_one()));
            },
        );
        putters.into_iter().for_each(Notified::wake);
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// The items, as they come, until the channel is closed.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.get().ok())
    }

    fn put_until(&self, item: T, deadline: Deadline) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let offered = Offered::new(self);
        let put = self.shared.wait_in_turn(
            Wait::new(WaitFor::QueuePut, deadline),
            |state| state.place_of(offered.number.get()),
            |state, turn| state.put(turn, &mut item, &offered.number),
            // The getter that chose it has its item.
            |_| None,
        );
        let put = put.or_raise().unwrap_or_else(|| {
            item = self.shared.lock().take_back(&offered.number);
            Put::Full
        });
        let is_handed = matches!(put, Put::Done(Some(_)));
        let result = after_put(put, item);
        if is_handed && let Some(green) = Green::current() {
            green.let_others_run();
        }
        result
    }

    fn get_until(&self, deadline: Deadline) -> Result<T, GetError> {
        let got = self.shared.wait_in_turn(
            Wait::new(WaitFor::QueueGet, deadline),
            |state| &mut state.getters,
            State::take,
            State::pass_on,
        );
        after_get(got.or_raise())
    }
}

impl<T> State<T> {
    /// Puts the item, or offers it; what became of it, once that is known.
    fn put(&mut self, turn: Turn, item: &mut Option<T>, number: &Number) -> Option<Put> {
        if turn == Turn::Chosen {
            // Gone, if it was chosen by a getter, and not by `close`.
            *item = self.take_back(number);
            return Some(match item {
                Some(_) => Put::Closed,
                None => Put::Done(None),
            });
        }
        // Twice, if it is no green thread.
        if let Some(back) = self.take_back(number) {
            *item = Some(back);
        }
        match self.hand(item) {
            Put::Full => {
                number.set(self.offer(item.take()));
                None
            }
            put => Some(put),
        }
    }

    /// Hands the item to the getter that has waited longest.
    fn hand(&mut self, item: &mut Option<T>) -> Put {
        if self.closed {
            return Put::Closed;
        }
        let Some(getter) = self.getters.notify_one() else {
            return Put::Full;
        };
        self.chosen += 1;
        self.handed.extend(item.take());
        Put::Done(Some(getter))
    }

    /// Makes an offer; its number.
    fn offer(&mut self, item: Option<T>) -> Option<u64> {
        let number = self.next_offer;
        self.next_offer += 1;
        self.offers.push_back(Offer {
            number,
            item: item?,
            putter: WaitQueue::new(),
        });
        Some(number)
    }

    fn position_of(&self, number: Option<u64>) -> Option<usize> {
        let found = self
            .offers
            .binary_search_by_key(&number?, |offer| offer.number);
        found.ok()
    }

    /// Where the putter waits whose offer this is, if it is still there.
    fn place_of(&mut self, number: Option<u64>) -> &mut WaitQueue {
        match self.position_of(number) {
            Some(position) => &mut self.offers[position].putter,
            None => &mut self.nobody,
        }
    }

    /// Takes an offer back, if it is still there.
    fn take_back(&mut self, number: &Number) -> Option<T> {
        let position = self.position_of(number.take())?;
        self.offers.remove(position).map(|offer| offer.item)
    }

    /// Takes an item; `None` if there is none and more may come.
    fn take(&mut self, turn: Turn) -> Option<Result<(T, Option<Notified>), GetError>> {
        if turn == Turn::Chosen {
            if let Some(item) = self.handed.pop_front() {
                self.chosen = self.chosen.saturating_sub(1);
                return Some(Ok((item, None)));
            }
        } else if self.handed.len() > self.chosen
            && let Some(item) = self.handed.pop_front()
        {
            return Some(Ok((item, None)));
        }
        if self.closed {
            return Some(Err(GetError::Closed));
        }
        let offers = self.offers.iter_mut().enumerate();
        let (position, putter) = offers
            .filter_map(|(position, offer)| Some((position, offer.putter.notify_one()?)))
            .next()?;
        let offer = self.offers.remove(position)?;
        Some(Ok((offer.item, Some(putter))))
    }

    /// A getter that was chosen unwinds: chooses another one for its item.
    fn pass_on(&mut self) -> Option<Notified> {
        let next = self.getters.notify_one();
        if next.is_none() {
            self.chosen = self.chosen.saturating_sub(1);
        }
        next
    }
}

/// An offer of the caller, if it has made one; taken back when this is dropped.
struct Offered<'a, T> {
    channel: &'a Channel<T>,
    number: Number,
}

impl<'a, T> Offered<'a, T> {
    fn new(channel: &'a Channel<T>) -> Self {
        let number = Number(AtomicU64::new(NO_NUMBER));
        Self { channel, number }
    }
}

/// The number of an offer, if there is one. Only the putter reaches it; an atomic, because a future that puts may travel.
struct Number(AtomicU64);

/// Of no offer.
const NO_NUMBER: u64 = u64::MAX;

impl Number {
    fn get(&self) -> Option<u64> {
        let number = self.0.load(Ordering::Relaxed);
        (number != NO_NUMBER).then_some(number)
    }

    fn set(&self, number: Option<u64>) {
        self.0.store(number.unwrap_or(NO_NUMBER), Ordering::Relaxed);
    }

    fn take(&self) -> Option<u64> {
        let number = self.get();
        self.set(None);
        number
    }
}

impl<T> Drop for Offered<'_, T> {
    fn drop(&mut self) {
        if self.number.get().is_some() {
            let item = self.channel.shared.lock().take_back(&self.number);
            // Its destructor runs without the lock.
            drop(item);
        }
    }
}

/// What became of a put.
enum Put {
    /// A getter has the item; it is to be woken, or it was running.
    Done(Option<Notified>),
    /// No getter waits.
    Full,
    /// The channel is closed.
    Closed,
}

fn after_put<T>(put: Put, item: Option<T>) -> Result<(), PutError<T>> {
    match (put, item) {
        (Put::Done(getter), _) => {
            wake(getter);
            Ok(())
        }
        (Put::Full, Some(item)) => Err(PutError::Full(item)),
        (Put::Closed, Some(item)) => Err(PutError::Closed(item)),
        (Put::Full | Put::Closed, None) => {
            unreachable!("an item that was not put is still here")
        }
    }
}

fn after_get<T>(got: Option<Result<(T, Option<Notified>), GetError>>) -> Result<T, GetError> {
    let (item, putter) = got.unwrap_or(Err(GetError::Empty))?;
    wake(putter);
    Ok(item)
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("balance", &self.balance())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

//! What the two ends of a channel share: the messages that nobody has received, and who waits.
//!
//! # Protocol
//!
//! A sender puts its message into the buffer if there is room. The receiver, when it has nothing at hand,
//! swaps the whole buffer with its own empty batch, and takes from that without a lock: once a batch, both
//! ends meet.
//!
//! A sender that finds no room makes an *offer*: its message stands in the channel with the sender waiting
//! beside it. Whoever makes room moves the first offer into the buffer and wakes its sender. A sender that
//! gives up takes its offer back; if it is gone, the message was sent.
//!
//! With a bound of zero there is never room. A sender hands its message to a receiver that waits, which is
//! certain to take it (waitq invariant 3); else the receiver takes it from the offer. (A coroutine of `may`
//! that is cancelled just then, and a future that is dropped, leave the message in the buffer, for whoever receives
//! next.)
//!
//! # Invariants
//!
//! 1. The messages in batch and buffer are never more than the bound, except those handed over with a bound
//!    of zero: as many as receivers were chosen.
//! 2. Offers stand behind everything in the buffer, in the order of their numbers, and there are none while
//!    there is room; except that the receiver may have made one place for which it has not yet admitted.
//! 3. Whoever removes an offer unlinks its sender, or is its sender: so a sender whose offer is gone is in no
//!    queue.
//!
//! # Memory ordering
//!
//! All is under the lock, except that the receiver counts what it takes from a batch in `held`, and then
//! looks at `has_offers`; a sender sets that, and then reads `held` again. All four are `SeqCst`: so one of
//! the two sees the other, and no offer is left behind while there is room.

use std::cell::RefCell;
use std::collections::VecDeque;
#[cfg(feature = "async")]
use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvError, SendError, TrySendError};
#[cfg(feature = "async")]
use std::task::Poll;

use super::sender::SendTimeoutError;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Notified, Wait, WaitQueue, wake};

/// See the module documentation.
pub(super) struct Channel<T> {
    state: Monitor<State<T>>,
    /// How many messages it holds; `None` for any number.
    bound: Option<usize>,
    /// How many messages there are in the receiver's batch. Grows under the lock only. Not used without a
    /// bound.
    held: AtomicUsize,
    /// Whether there are offers. Changes under the lock only.
    has_offers: AtomicBool,
    /// How many senders there are.
    senders: AtomicUsize,
}

struct State<T> {
    /// What was sent and is not in the receiver's batch.
    buffer: VecDeque<T>,
    /// What shall be sent as soon as there is room. See invariant 2.
    offers: VecDeque<Offer<T>>,
    /// The number of the next offer.
    next_offer: u64,
    /// Several green threads of a hub may share a receiver.
    receivers: WaitQueue,
    /// Where nobody waits: the place of a sender whose offer is gone.
    nobody: WaitQueue,
    senders_are_gone: bool,
    receiver_is_gone: bool,
}

/// The message of a sender that waits for room.
struct Offer<T> {
    number: u64,
    message: T,
    /// The sender, once it waits.
    sender: WaitQueue,
}

impl<T> Channel<T> {
    /// A channel with one sender and one receiver.
    pub(super) fn new(bound: Option<usize>) -> Self {
        Self {
            state: Monitor::new(State {
                buffer: VecDeque::new(),
                offers: VecDeque::new(),
                next_offer: 0,
                receivers: WaitQueue::new(),
                nobody: WaitQueue::new(),
                senders_are_gone: false,
                receiver_is_gone: false,
            }),
            bound,
            held: AtomicUsize::new(0),
            has_offers: AtomicBool::new(false),
            senders: AtomicUsize::new(1),
        }
    }

    /// Sends through a channel without a bound.
    #[inline]
    pub(super) fn send_unbounded(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.state.lock();
        if state.receiver_is_gone {
            return Err(SendError(message));
        }
        state.buffer.push_back(message);
        let receiver = state.receivers.notify_one();
        drop(state);
        wake(receiver);
        Ok(())
    }

    /// Sends if there is room.
    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let receiver = self.push(&mut self.state.lock(), message)?;
        wake(receiver);
        Ok(())
    }

    /// Sends, waiting for room until `deadline`.
    #[inline]
    pub(super) fn send_until(
        &self,
        message: T,
        deadline: Deadline,
    ) -> Result<(), SendTimeoutError<T>> {
        match self.push_or_offer(message)? {
            None => Ok(()),
            Some(number) => self.wait_for_room(number, deadline),
        }
    }

    /// Sends, awaiting room.
    #[cfg(feature = "async")]
    pub(super) async fn send_async(&self, message: T) -> Result<(), SendError<T>> {
        let Some(number) = self.push_or_offer(message)? else {
            return Ok(());
        };
        let offered = Offered {
            channel: self,
            number: Some(number),
        };
        let taken = self.state.wait_async(
            move |state| state.place_of(number),
            |state| self.look_after(state, number),
        );
        let ended = taken.await;
        offered.forget();
        ended.map_err(SendError)
    }

    /// Sends if there is room; else makes an offer, and tells its number.
    #[inline]
    fn push_or_offer(&self, message: T) -> Result<Option<u64>, SendError<T>> {
        let mut state = self.state.lock();
        match self.push(&mut state, message) {
            Ok(receiver) => {
                drop(state);
                wake(receiver);
                Ok(None)
            }
            Err(TrySendError::Disconnected(message)) => Err(SendError(message)),
            Err(TrySendError::Full(message)) => {
                let (number, chosen) = self.offer(&mut state, message);
                drop(state);
                chosen.wake();
                Ok(Some(number))
            }
        }
    }

    /// Puts a message into the buffer, if there is room, or hands it to a receiver that waits, if there is
    /// never room; whom to wake.
    #[inline]
    fn push(&self, state: &mut State<T>, message: T) -> Result<Option<Notified>, TrySendError<T>> {
        if state.receiver_is_gone {
            return Err(TrySendError::Disconnected(message));
        }
        if self.bound == Some(0) {
            return match state.receivers.notify_one() {
                Some(receiver) => {
                    state.buffer.push_back(message);
                    Ok(Some(receiver))
                }
                None => Err(TrySendError::Full(message)),
            };
        }
        if state.offers.is_empty() && self.has_room(state) {
            state.buffer.push_back(message);
            return Ok(state.receivers.notify_one());
        }
        Err(TrySendError::Full(message))
    }

    #[inline]
    fn has_room(&self, state: &State<T>) -> bool {
        self.bound
            .is_none_or(|bound| state.buffer.len() + self.held.load(Ordering::SeqCst) < bound)
    }

    /// Makes an offer; its number, and whom to wake.
    #[cold]
    fn offer(&self, state: &mut State<T>, message: T) -> (u64, Chosen) {
        let number = state.next_offer;
        state.next_offer += 1;
        state.offers.push_back(Offer {
            number,
            message,
            sender: WaitQueue::new(),
        });
        self.has_offers.store(true, Ordering::SeqCst);
        // The receiver may have made room before it could see that.
        (number, self.admit(state))
    }

    /// Moves the first offer into the buffer if there is room; whom to wake. By invariant 2 there is no room for
    /// another one.
    fn admit(&self, state: &mut State<T>) -> Chosen {
        if state.offers.is_empty() || !self.has_room(state) {
            return Chosen::default();
        }
        let (message, sender) = self.take_offer(state).unzip();
        state.buffer.extend(message);
        Chosen {
            sender: sender.flatten(),
            receiver: state.receivers.notify_one(),
        }
    }

    /// Takes the first offer; its message, and its sender to wake.
    fn take_offer(&self, state: &mut State<T>) -> Option<(T, Option<Notified>)> {
        let mut offer = state.offers.pop_front()?;
        self.note_offers(state);
        Some((offer.message, offer.sender.notify_one()))
    }

    fn note_offers(&self, state: &State<T>) {
        if state.offers.is_empty() {
            self.has_offers.store(false, Ordering::SeqCst);
        }
    }

    /// Waits until an offer is taken, at the latest until `deadline`.
    #[cold]
    fn wait_for_room(&self, number: u64, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        let mut offered = Offered {
            channel: self,
            number: Some(number),
        };
        let ended = self.state.wait(
            Wait::new(WaitFor::Send, deadline),
            move |state| state.place_of(number),
            |state| self.look_after(state, number),
        );
        let Some(ended) = ended.or_raise() else {
            let taken_back = offered.take_back().map(SendTimeoutError::Timeout);
            return taken_back.map_or(Ok(()), Err);
        };
        offered.forget();
        ended.map_err(SendTimeoutError::Disconnected)
    }

    /// What became of an offer; `None` if it may still be taken.
    fn look_after(&self, state: &mut State<T>, number: u64) -> Option<Result<(), T>> {
        match state.position_of(number) {
            Err(_) => Some(Ok(())),
            Ok(position) if state.receiver_is_gone => self.remove_offer(state, position).map(Err),
            Ok(_) => None,
        }
    }

    fn remove_offer(&self, state: &mut State<T>, position: usize) -> Option<T> {
        let offer = state.offers.remove(position);
        self.note_offers(state);
        offer.map(|offer| offer.message)
    }

    /// Takes a message from the batch.
    #[inline]
    pub(super) fn take(&self, batch: &Batch<T>) -> Option<T> {
        let message = batch.borrow_mut().pop_front()?;
        if self.bound.is_some() {
            self.held.fetch_sub(1, Ordering::SeqCst);
            if self.has_offers.load(Ordering::SeqCst) {
                self.make_room();
            }
        }
        Some(message)
    }

    /// The receiver has taken a message and seen that there are offers.
    #[cold]
    fn make_room(&self) {
        let chosen = self.admit(&mut self.state.lock());
        chosen.wake();
    }

    /// Takes a message from the batch, or else from what was sent since.
    pub(super) fn try_recv(&self, batch: &Batch<T>) -> Option<Result<T, RecvError>> {
        if let Some(message) = self.take(batch) {
            return Some(Ok(message));
        }
        let mut chosen = Chosen::default();
        let found = self.refill(&mut self.state.lock(), batch, &mut chosen);
        chosen.wake();
        found
    }

    /// The same, waiting until `deadline`.
    #[inline]
    pub(super) fn recv_until(
        &self,
        batch: &Batch<T>,
        deadline: Deadline,
    ) -> Option<Result<T, RecvError>> {
        if let Some(message) = self.take(batch) {
            return Some(Ok(message));
        }
        let mut chosen = Chosen::default();
        let found = self.state.wait(
            Wait::new(WaitFor::Receive, deadline),
            |state| &mut state.receivers,
            |state| self.refill(state, batch, &mut chosen),
        );
        chosen.wake();
        found.or_raise()
    }

    /// The same, awaiting a message.
    #[cfg(feature = "async")]
    pub(super) async fn recv_async(&self, batch: &mut Batch<T>) -> Result<T, RecvError> {
        let mut wait = self.state.polled_wait(
            |state| &mut state.receivers,
            |state| state.receivers.notify_one(),
        );
        poll_fn(|context| {
            // The future has the batch for itself: so it may change OS threads.
            let batch = &mut *batch;
            if let Some(message) = self.take(batch) {
                return Poll::Ready(Ok(message));
            }
            let mut chosen = Chosen::default();
            let found = wait.poll(context, |state, _| self.refill(state, batch, &mut chosen));
            chosen.wake();
            found
        })
        .await
    }

    /// Swaps buffer and batch if the batch is empty, and takes the first message; `None` if there is none and
    /// more may come. Adds to `chosen` whom to wake.
    #[inline]
    fn refill(
        &self,
        state: &mut State<T>,
        batch: &Batch<T>,
        chosen: &mut Chosen,
    ) -> Option<Result<T, RecvError>> {
        let mut batch = batch.borrow_mut();
        // Whoever shares the receiver may have filled it while the caller waited.
        let message = if batch.is_empty() && state.buffer.len() == 1 {
            // The usual case, and cheaper.
            state.buffer.pop_front()
        } else {
            if batch.is_empty() {
                mem::swap(&mut *batch, &mut state.buffer);
            }
            batch.pop_front()
        };
        if let Some(message) = message {
            if self.bound.is_some() {
                self.held.store(batch.len(), Ordering::SeqCst);
                *chosen = self.admit(state);
            }
            return Some(Ok(message));
        }
        self.refill_slow(state, &mut batch, chosen)
    }

    /// The rest of [`Channel::refill`], if there is nothing.
    #[cold]
    fn refill_slow(
        &self,
        state: &mut State<T>,
        batch: &mut VecDeque<T>,
        chosen: &mut Chosen,
    ) -> Option<Result<T, RecvError>> {
        if let Some((message, sender)) = self.take_offer(state) {
            chosen.sender = sender;
            return Some(Ok(message));
        }
        if batch.capacity().saturating_mul(size_of::<T>()) > KEPT {
            *batch = VecDeque::new();
        }
        state.senders_are_gone.then_some(Err(RecvError))
    }

    /// One more sender.
    pub(super) fn add_sender(&self) {
        // Each holds the channel too, and that count does not overflow.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// One sender less.
    pub(super) fn remove_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.state.notify_all(
                |state| &mut state.receivers,
                |state| state.senders_are_gone = true,
            );
        }
    }

    /// The receiver goes; its batch and what is in the buffer are dropped, offers go back to their senders.
    pub(super) fn remove_receiver(&self, batch: &Batch<T>) {
        let mut state = self.state.lock();
        state.receiver_is_gone = true;
        let buffer = mem::take(&mut state.buffer);
        let senders: Vec<Notified> = state
            .offers
            .iter_mut()
            .filter_map(|offer| offer.sender.notify_one())
            .collect();
        drop(state);
        senders.into_iter().for_each(Notified::wake);
        // Destructors of messages, which may do anything: nothing is held or borrowed.
        drop(batch.take());
        drop(buffer);
    }
}

impl<T> State<T> {
    fn position_of(&self, number: u64) -> Result<usize, usize> {
        self.offers
            .binary_search_by_key(&number, |offer| offer.number)
    }

    /// Where the sender waits whose offer this is, if it is still there.
    fn place_of(&mut self, number: u64) -> &mut WaitQueue {
        match self.position_of(number) {
            Ok(position) => &mut self.offers[position].sender,
            Err(_) => &mut self.nobody,
        }
    }
}

/// An offer of the caller; taken back when this is dropped.
struct Offered<'a, T> {
    channel: &'a Channel<T>,
    /// Which one; `None` once it is known to be gone.
    number: Option<u64>,
}

impl<T> Offered<'_, T> {
    /// It was taken.
    fn forget(mut self) {
        self.number = None;
    }

    /// Takes it back; `None` if it was taken.
    fn take_back(&mut self) -> Option<T> {
        let number = self.number.take()?;
        let mut state = self.channel.state.lock();
        let position = state.position_of(number).ok()?;
        self.channel.remove_offer(&mut state, position)
    }
}

impl<T> Drop for Offered<'_, T> {
    fn drop(&mut self) {
        // The destructor of the message runs when the lock is released.
        drop(self.take_back());
    }
}

/// Whom to wake when there is room, after the lock is released.
#[derive(Default)]
struct Chosen {
    /// Whose offer was taken.
    sender: Option<Notified>,
    /// Who shall receive it.
    receiver: Option<Notified>,
}

impl Chosen {
    #[inline]
    fn wake(self) {
        wake(self.sender);
        wake(self.receiver);
    }
}

/// What the receiver has taken over and has not yet given to anybody. Several green threads of a hub may share
/// the receiver; none is suspended while it borrows the batch.
pub(super) type Batch<T> = RefCell<VecDeque<T>>;

/// How many bytes of memory an empty batch keeps.
const KEPT: usize = 64 << 10;

//! `sync::mpsc`, beyond what std's tests ask.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
#[expect(dead_code, reason = "only its random numbers are used")]
mod hammer;
mod support;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant};

use green_core::sync::mpsc::{
    Receiver, RecvTimeoutError, SendError, SendTimeoutError, Sender, SyncSender, TryRecvError,
    TrySendError, channel, sync_channel,
};
use green_core::{Config, joinall, run, sleep, spawn, spawn_local, timeout, yield_now};
use hammer::Rng;

/// A body of its own green thread, on one hub.
fn alone(body: impl FnOnce() + Send + 'static) {
    Config::new().hubs(1).apply().ok();
    run(body);
}

/// Counts how many of it were dropped.
#[derive(Clone, Debug, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn message(&self) -> Counted {
        Counted(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Counted(Drops);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn waiting_senders_are_served_in_order() {
    for bound in 0..4 {
        // Each has a process of its own but for this loop: the first call decides.
        alone(move || {
            let (sender, receiver) = sync_channel(bound);
            let senders: Vec<_> = (0..10)
                .map(|n| {
                    let sender = sender.clone();
                    spawn(move || sender.send(n).unwrap())
                })
                .collect();
            yield_now();
            assert_eq!(sender.try_send(10), Err(TrySendError::Full(10)));
            drop(sender);
            assert!(receiver.iter().eq(0..10));
            joinall(&senders);
        });
    }
}

#[test]
fn nobody_sends_ahead_of_a_waiting_sender() {
    alone(|| {
        let (sender, receiver) = sync_channel(2);
        let waiting = sender.clone();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let waiting = spawn(move || waiting.send(3).unwrap());
        yield_now();
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(sender.try_send(4), Err(TrySendError::Full(4)));
        waiting.join();
        assert_eq!(sender.try_send(4), Err(TrySendError::Full(4)));
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(sender.try_send(4), Ok(()));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [3, 4]);
    });
}

#[test]
fn what_the_receiver_has_at_hand_counts() {
    alone(|| {
        let (sender, receiver) = sync_channel(4);
        (0..4).for_each(|n| sender.send(n).unwrap());
        assert_eq!(receiver.recv(), Ok(0));
        assert_eq!(sender.try_send(4), Ok(()));
        assert_eq!(sender.try_send(5), Err(TrySendError::Full(5)));
        let waiting = spawn(move || sender.send(5).unwrap());
        yield_now();
        assert!(!waiting.ready());
        assert_eq!(receiver.recv(), Ok(1));
        assert!(waiting.join_timeout(Duration::from_secs(5)));
        assert!(receiver.iter().eq(2..6));
    });
}

#[test]
fn room_that_is_made_while_a_sender_comes_is_seen() {
    let (sender, receiver) = sync_channel(2);
    let (go, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (theirs, their_go, their_sent) = (sender.clone(), Arc::clone(&go), Arc::clone(&sent));
    let sending = thread::spawn(move || {
        for round in 1.. {
            let mut looks = 0;
            while their_go.load(Ordering::SeqCst) < round {
                looks += 1;
                if looks % 1_000 == 0 {
                    thread::yield_now();
                }
            }
            if theirs.send(3).is_err() {
                return;
            }
            their_sent.store(round, Ordering::SeqCst);
        }
    });
    let (mut rng, start) = (Rng::new(3), Instant::now());
    // They meet often; less so on a machine that has other things to do.
    for round in 1..=10_000 {
        if start.elapsed() > Duration::from_secs(1) {
            break;
        }
        // One at hand and one in the channel: it is full.
        sender.send(0).unwrap();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(0));
        sender.send(2).unwrap();
        go.store(round, Ordering::SeqCst);
        for _ in 0..rng.below(100) {
            std::hint::spin_loop();
        }
        assert_eq!(receiver.recv(), Ok(1));
        let end = Instant::now() + Duration::from_secs(5);
        while sent.load(Ordering::SeqCst) < round {
            assert!(Instant::now() < end, "there is room, and the sender waits");
            thread::yield_now();
        }
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(2), Ok(3)));
    }
    drop(receiver);
    go.store(usize::MAX, Ordering::SeqCst);
    sending.join().unwrap();
}

#[test]
fn a_rendezvous_ends_when_the_message_is_taken() {
    alone(|| {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
        let sending = spawn(move || sender.send(1).unwrap());
        yield_now();
        yield_now();
        assert!(!sending.ready());
        assert_eq!(receiver.try_recv(), Ok(1));
        assert!(sending.join_timeout(Duration::from_secs(5)));

        let (sender, receiver) = sync_channel(0);
        let receiving = spawn(move || receiver.recv());
        yield_now();
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(receiving.get().unwrap(), Ok(2));
    });
}

#[test]
fn a_receiver_that_is_killed_first_has_received_nothing() {
    for bound in [None, Some(0), Some(1)] {
        alone(move || {
            let (sender, receiver) = any_channel(bound);
            let receiver = Rc::new(receiver);
            let theirs = Rc::clone(&receiver);
            let victim = spawn_local(move || theirs.recv().is_ok());
            yield_now();
            victim.kill_nowait();
            // With no bound or room, the message stays; nobody is there for a rendezvous.
            let sent = sender.try_send(7);
            assert_eq!(sent.is_ok(), bound != Some(0));
            victim.join();
            assert_eq!(receiver.try_recv().is_ok(), sent.is_ok());
        });
    }
}

#[test]
fn a_receiver_that_was_chosen_before_its_kill_has_the_message() {
    for bound in [None, Some(0), Some(1)] {
        alone(move || {
            let (sender, receiver) = any_channel(bound);
            let received = Rc::new(Cell::new(None));
            let theirs = Rc::clone(&received);
            let victim = spawn_local(move || {
                theirs.set(receiver.recv().ok());
                sleep(Duration::MAX);
            });
            yield_now();
            assert_eq!(sender.try_send(7), Ok(()));
            victim.kill_nowait();
            victim.join();
            assert_eq!(received.get(), Some(7));
            assert_eq!(sender.try_send(8), Err(TrySendError::Disconnected(8)));
        });
    }
}

#[test]
fn a_killed_sender_takes_its_message_back() {
    for bound in [0, 1] {
        alone(move || {
            let (sender, receiver) = sync_channel(bound);
            let drops = Drops::default();
            let fill = Drops::default();
            (0..bound).for_each(|_| sender.send(fill.message()).unwrap());
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (sender, message) = (sender.clone(), drops.message());
                    spawn(move || sender.send(message).unwrap())
                })
                .collect();
            yield_now();
            senders[1].kill();
            assert_eq!(drops.count(), 1);
            senders[0].kill();
            assert_eq!(drops.count(), 2);
            drop(sender);
            assert_eq!(receiver.iter().count(), bound + 1);
            assert_eq!(drops.count(), 3);
            assert!(senders[2].join_timeout(Duration::from_secs(5)));
        });
    }
}

#[test]
fn a_message_that_is_taken_before_its_killed_sender_runs_is_received() {
    for is_killed_first in [true, false] {
        alone(move || {
            let (sender, receiver) = sync_channel(0);
            let drops = Drops::default();
            let message = drops.message();
            let victim = spawn(move || {
                sender.send(message).unwrap();
                sleep(Duration::MAX);
            });
            yield_now();
            if is_killed_first {
                victim.kill_nowait();
            }
            let message = receiver.try_recv();
            victim.kill_nowait();
            victim.join();
            assert_eq!(drops.count(), 0);
            assert!(message.is_ok() && receiver.recv().is_err());
        });
    }
}

#[test]
fn time_limits_lose_nothing() {
    alone(|| {
        let soon = Duration::from_millis(2);
        let (sender, receiver) = sync_channel(1);
        assert!(timeout(soon, || receiver.recv()).is_err());
        assert_eq!(receiver.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
        assert_eq!(
            receiver.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        );
        let start = Instant::now();
        assert_eq!(
            receiver.recv_deadline(start + soon),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(start.elapsed() >= soon);
        sender.send(1).unwrap();
        assert!(timeout(soon, || sender.send(2)).is_err());
        assert_eq!(
            sender.send_timeout(3, soon),
            Err(SendTimeoutError::Timeout(3))
        );
        assert_eq!(
            sender.send_timeout(4, Duration::ZERO),
            Err(SendTimeoutError::Timeout(4))
        );
        assert_eq!(
            sender.send_deadline(5, Instant::now()),
            Err(SendTimeoutError::Timeout(5))
        );
        assert_eq!(receiver.recv_deadline(Instant::now()), Ok(1));
        assert_eq!(sender.send_timeout(6, Duration::ZERO), Ok(()));
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(6));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        drop(receiver);
        assert_eq!(
            sender.send_timeout(7, soon),
            Err(SendTimeoutError::Disconnected(7))
        );
    });
}

#[test]
fn ends_may_go_in_any_order() {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for bound in [None, Some(10)] {
        for order in ORDERS {
            let drops = Drops::default();
            let (sender, receiver) = any_channel(bound);
            (0..3).for_each(|_| sender.try_send(drops.message()).unwrap());
            // Some in the batch, some not.
            drop(receiver.recv());
            (0..2).for_each(|_| sender.try_send(drops.message()).unwrap());
            let mut ends = [
                Some(End::Sender(sender.clone())),
                Some(End::Sender(sender)),
                Some(End::Receiver(receiver)),
            ];
            for index in order {
                match ends[index].take() {
                    Some(End::Receiver(receiver)) => {
                        assert_eq!(drops.count(), 1);
                        drop(receiver);
                        assert_eq!(drops.count(), 5, "at once");
                    }
                    Some(End::Sender(sender)) => {
                        let sent = sender.try_send(Drops::default().message());
                        assert_eq!(sent.is_ok(), ends[2].is_some());
                        drop(sender);
                    }
                    None => unreachable!("each end goes once"),
                }
            }
        }
    }
}

/// One end of a channel.
enum End {
    Sender(AnySender<Counted>),
    Receiver(Receiver<Counted>),
}

#[test]
fn waiting_senders_have_their_messages_back_when_the_receiver_goes() {
    for bound in [0, 1, 3] {
        alone(move || {
            let (sender, receiver) = sync_channel(bound);
            let senders: Vec<_> = (0..bound + 40)
                .map(|n| {
                    let sender = sender.clone();
                    spawn(move || sender.send(n))
                })
                .collect();
            yield_now();
            drop(receiver);
            for (n, sending) in senders.iter().enumerate() {
                let expected = if n < bound { Ok(()) } else { Err(SendError(n)) };
                assert_eq!(sending.get().unwrap(), expected);
            }
        });
    }
}

#[test]
fn a_waiting_receiver_learns_that_the_senders_are_gone() {
    alone(|| {
        let (sender, receiver) = channel::<i32>();
        let receiver = Rc::new(receiver);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = Rc::clone(&receiver);
                spawn_local(move || assert!(receiver.recv().is_err()))
            })
            .collect();
        yield_now();
        drop(sender);
        assert_eq!(joinall(&receivers).len(), 3);
    });
}

#[test]
fn green_threads_share_a_receiver_in_order() {
    for bound in [None, Some(0), Some(1), Some(100)] {
        alone(move || {
            let (sender, receiver) = any_channel(bound);
            let (receiver, received) = (Rc::new(receiver), Rc::new(RefCell::new(Vec::new())));
            let receivers: Vec<_> = (0..10)
                .map(|n| {
                    let (receiver, received) = (Rc::clone(&receiver), Rc::clone(&received));
                    spawn_local(move || {
                        let message = receiver.recv().unwrap();
                        received.borrow_mut().push((n, message));
                    })
                })
                .collect();
            yield_now();
            for n in 0..10 {
                sender.send(n).unwrap();
            }
            joinall(&receivers);
            assert!(received.borrow().iter().copied().eq((0..10).zip(0..10)));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        });
    }
}

/// Sends, when it is dropped, what remains of it.
struct Resends(Option<(Sender<Self>, usize)>, Drops);

impl Drop for Resends {
    fn drop(&mut self) {
        self.1.0.fetch_add(1, Ordering::SeqCst);
        if let Some((sender, left)) = self.0.take()
            && left > 0
        {
            let next = Self(Some((sender.clone(), left - 1)), self.1.clone());
            drop(sender.send(next));
        }
    }
}

#[test]
fn a_destructor_may_use_the_channel() {
    let drops = Drops::default();
    let (sender, receiver) = channel();
    for _ in 0..2 {
        let message = Resends(Some((sender.clone(), 3)), drops.clone());
        sender.send(message).ok();
    }
    drop(receiver.recv());
    assert_eq!(drops.count(), 1);
    drop(receiver);
    // One that may resend itself three times, and one that had done so once: in vain.
    assert_eq!(drops.count(), 1 + 4 + 3);
    drop(sender);
}

#[test]
fn a_channel_may_hold_its_own_ends() {
    let drops = Drops::default();
    let ends = |ends: Box<dyn std::any::Any>| (ends, drops.message());
    let (sender, receiver) = sync_channel(2);
    sender.send(ends(Box::new(sender.clone()))).ok();
    drop(receiver);
    assert_eq!(drops.count(), 1);

    let (sender, receiver) = sync_channel(2);
    let (another, others) = sync_channel(2);
    another.send(ends(Box::new(receiver))).ok();
    sender.send(ends(Box::new(()))).ok();
    drop(others);
    assert_eq!(drops.count(), 3);
    assert!(sender.try_send(ends(Box::new(()))).is_err());
}

#[test]
fn a_destructor_that_waits_or_panics_does_not_keep_others() {
    struct Waits(bool);
    impl Drop for Waits {
        fn drop(&mut self) {
            sleep(Duration::from_millis(2));
            assert!(!self.0, "expected");
        }
    }
    alone(|| {
        for panics in [false, true] {
            let (sender, receiver) = sync_channel(1);
            sender.send(Waits(panics)).ok();
            let waiting = sender.clone();
            let waiting = spawn(move || {
                let sent = waiting.send(Waits(false));
                assert!(sent.is_err());
            });
            yield_now();
            let dropping = spawn(move || drop(receiver));
            yield_now();
            assert!(!dropping.ready());
            assert!(matches!(
                sender.try_send(Waits(false)),
                Err(TrySendError::Disconnected(_))
            ));
            assert!(waiting.join_timeout(Duration::from_secs(5)));
            assert_eq!(dropping.into_result().is_err(), panics);
        }
    });
}

#[test]
fn a_panic_between_calls_leaves_the_channel_usable() {
    let (sender, receiver) = sync_channel(1);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        sender.send(1).unwrap();
        let _message = receiver.recv();
        panic!("expected");
    }));
    assert!(caught.is_err());
    sender.send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

#[test]
fn a_cancelled_coroutine_withdraws() {
    let mut rng = Rng::new(2);
    for _ in 0..50 {
        let drops = Drops::default();
        let (sender, receiver) = sync_channel(0);
        let (theirs, message) = (sender.clone(), drops.message());
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        let sending = unsafe { may::coroutine::spawn(move || theirs.send(message).is_ok()) };
        sleep(rng.limit());
        // SAFETY: what it holds may be dropped at any time.
        unsafe { sending.coroutine().cancel() };
        assert!(sending.join().is_err());
        assert_eq!(drops.count(), 1);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));

        // SAFETY: as above.
        let receiving = unsafe { may::coroutine::spawn(move || receiver.recv().is_ok()) };
        sleep(rng.limit());
        // SAFETY: as above.
        unsafe { receiving.coroutine().cancel() };
        assert!(receiving.join().is_err());
        assert!(sender.send(drops.message()).is_err());
        assert_eq!(drops.count(), 2);
    }
}

/// Who sends or receives.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Green,
    Os,
    May,
}

const KINDS: [Kind; 3] = [Kind::Green, Kind::Os, Kind::May];

/// Runs `f` as such a caller; tells through the channel when it is done.
fn start<T: Send + 'static>(
    kind: Kind,
    f: impl FnOnce() -> T + Send + 'static,
) -> std_mpsc::Receiver<T> {
    let (done, is_done) = std_mpsc::channel();
    let body = move || drop(done.send(f()));
    match kind {
        Kind::Green => drop(spawn(body)),
        Kind::Os => drop(thread::spawn(body)),
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        Kind::May => drop(unsafe { may::coroutine::spawn(body) }),
    }
    is_done
}

#[test]
fn callers_of_every_kind_meet() {
    const COUNT: usize = 200;
    for bound in [None, Some(0), Some(3)] {
        for receiver_kind in KINDS {
            let (sender, receiver) = any_channel(bound);
            let sending: Vec<_> = KINDS
                .iter()
                .enumerate()
                .map(|(number, &kind)| {
                    let sender = sender.clone();
                    start(kind, move || {
                        (0..COUNT).for_each(|n| sender.send((number, n)).unwrap());
                    })
                })
                .collect();
            drop(sender);
            let received = start(receiver_kind, move || {
                let mut next = [0; 3];
                for (number, n) in receiver {
                    assert_eq!(n, next[number], "in the order of each sender");
                    next[number] += 1;
                }
                next
            });
            let limit = Duration::from_secs(20);
            assert_eq!(received.recv_timeout(limit), Ok([COUNT; 3]));
            for sent in sending {
                assert_eq!(sent.recv_timeout(limit), Ok(()));
            }
        }
    }
}

/// The two kinds of sender.
#[derive(Debug)]
enum AnySender<T> {
    Unbounded(Sender<T>),
    Bounded(SyncSender<T>),
}

fn any_channel<T>(bound: Option<usize>) -> (AnySender<T>, Receiver<T>) {
    match bound {
        None => {
            let (sender, receiver) = channel();
            (AnySender::Unbounded(sender), receiver)
        }
        Some(bound) => {
            let (sender, receiver) = sync_channel(bound);
            (AnySender::Bounded(sender), receiver)
        }
    }
}

impl<T> AnySender<T> {
    fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self {
            Self::Unbounded(sender) => sender.send(message),
            Self::Bounded(sender) => sender.send(message),
        }
    }

    fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self {
            Self::Unbounded(sender) => sender.send(message).map_err(Into::into),
            Self::Bounded(sender) => sender.try_send(message),
        }
    }
}

impl<T> Clone for AnySender<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Unbounded(sender) => Self::Unbounded(sender.clone()),
            Self::Bounded(sender) => Self::Bounded(sender.clone()),
        }
    }
}

//! A hammer on `sync::mpsc`: sends, time limits and kills race, from everywhere at once; no message is lost.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use green_core::sync::mpsc::{
    Receiver, RecvTimeoutError, SendError, SendTimeoutError, Sender, SyncSender, TrySendError,
    channel, sync_channel,
};
use green_core::{Builder, spawn_local, timeout};
use hammer::Rng;

const MESSAGES: u64 = 2_000;

/// What became of the messages. Each is counted where it ends: there is no blocking call between.
#[derive(Debug, Default)]
struct Books {
    made: AtomicU64,
    /// A send reported success.
    sent: AtomicU64,
    /// A send gave it back.
    returned: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
}

impl Books {
    fn count(number: &AtomicU64) {
        number.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says where it came from, and counts its end.
struct Message {
    sender: u64,
    number: u64,
    books: Arc<Books>,
}

impl Drop for Message {
    fn drop(&mut self) {
        Books::count(&self.books.dropped);
    }
}

/// The two kinds of sender.
enum AnySender {
    Unbounded(Sender<Message>),
    Bounded(SyncSender<Message>),
}

impl Clone for AnySender {
    fn clone(&self) -> Self {
        match self {
            Self::Unbounded(sender) => Self::Unbounded(sender.clone()),
            Self::Bounded(sender) => Self::Bounded(sender.clone()),
        }
    }
}

impl AnySender {
    /// Sends in one of the ways; the message if it came back.
    fn send(&self, message: Message, rng: &mut Rng) -> Result<(), SendTimeoutError<Message>> {
        match self {
            Self::Unbounded(sender) => Ok(sender.send(message)?),
            Self::Bounded(sender) => match rng.below(4) {
                0 => sender.try_send(message).map_err(|error| match error {
                    TrySendError::Full(message) => SendTimeoutError::Timeout(message),
                    TrySendError::Disconnected(message) => SendError(message).into(),
                }),
                1 => sender.send_timeout(message, rng.limit()),
                _ => Ok(sender.send(message)?),
            },
        }
    }

    /// Sends so many; stops when the receiver is gone.
    fn send_some(&self, books: &Arc<Books>, sender: u64, count: u64) {
        let mut rng = Rng::new(sender);
        for number in 0..count {
            Books::count(&books.made);
            let books = Arc::clone(books);
            let message = Message {
                sender,
                number,
                books: Arc::clone(&books),
            };
            match self.send(message, &mut rng) {
                Ok(()) => Books::count(&books.sent),
                Err(error) => {
                    Books::count(&books.returned);
                    if let SendTimeoutError::Disconnected(_) = error {
                        return;
                    }
                }
            }
            if rng.below(64) == 0 {
                green_core::yield_now();
            }
        }
    }
}

/// Receives until the senders are gone, or so many.
fn receive(receiver: &Receiver<Message>, books: &Books, count: u64, rng: &mut Rng) {
    // The number that comes next at the earliest, by sender.
    let mut next = [0; 1_000];
    for _ in 0..count {
        let message = match rng.below(3) {
            0 => match receiver.recv_timeout(rng.limit()) {
                Err(RecvTimeoutError::Timeout) => continue,
                other => other.ok(),
            },
            1 => receiver.try_recv().ok().or_else(|| receiver.recv().ok()),
            _ => receiver.recv().ok(),
        };
        let Some(message) = message else { return };
        Books::count(&books.received);
        let next = &mut next[usize::try_from(message.sender).expect("a small number")];
        assert!(message.number >= *next, "in the order of each sender");
        *next = message.number + 1;
    }
}

/// How the receiving goes.
#[derive(Clone, Copy)]
enum Receiving {
    /// By one green thread, to the end.
    ByOne,
    /// By green threads that share the receiver, some of which are killed, and with time limits.
    Shared,
    /// By one green thread, which leaves early.
    LeavesEarly,
    /// By one coroutine of `may`.
    ByMay,
}

fn hammer(bound: Option<usize>, receiving: Receiving) {
    let before = hammer::start();
    let books = Arc::new(Books::default());
    let (sender, receiver) = match bound {
        None => {
            let (sender, receiver) = channel();
            (AnySender::Unbounded(sender), receiver)
        }
        Some(bound) => {
            let (sender, receiver) = sync_channel(bound);
            (AnySender::Bounded(sender), receiver)
        }
    };
    let sends = |first: u64, count: u64| {
        let (books, sender) = (Arc::clone(&books), sender.clone());
        move |seed: u64| {
            let (books, sender) = (Arc::clone(&books), sender.clone());
            move || sender.send_some(&books, first + seed, count)
        }
    };
    let senders = hammer::on_all_hubs(8, sends(100, MESSAGES));
    let killed = hammer::on_all_hubs(12, sends(200, MESSAGES * 10));
    let limited = hammer::on_all_hubs(6, |seed| {
        let (books, sender) = (Arc::clone(&books), sender.clone());
        move || {
            let mut rng = Rng::new(300 + seed);
            for turn in 0..30 {
                timeout(rng.limit(), || {
                    sender.send_some(&books, 400 + seed * 30 + turn, MESSAGES);
                })
                .ok();
            }
        }
    });
    let os_sender = thread::spawn(sends(600, MESSAGES)(0));
    // SAFETY: the coroutine uses no thread-local of its own and little stack.
    let may_sender = unsafe { may::coroutine::spawn(sends(700, MESSAGES)(0)) };
    drop(sender);

    let theirs = Arc::clone(&books);
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let body = move || {
        let mut rng = Rng::new(1);
        match receiving {
            Receiving::ByOne | Receiving::ByMay => receive(&receiver, &theirs, u64::MAX, &mut rng),
            Receiving::LeavesEarly => receive(&receiver, &theirs, 10_000, &mut rng),
            Receiving::Shared => receive_shared(receiver, &theirs),
        }
        drop(done);
    };
    let receivers = match receiving {
        Receiving::ByMay => {
            // SAFETY: as above.
            drop(unsafe { may::coroutine::spawn(body) });
            Vec::new()
        }
        _ => vec![Builder::new().hub(0).spawn(body).expect("room")],
    };
    hammer::kill_in_random_order(&killed, &mut Rng::new(2));
    killed.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("killed senders", &killed);
    hammer::all_end("senders", &senders);
    hammer::all_end("limited senders", &limited);
    os_sender.join().expect("nothing panics");
    may_sender.join().expect("nothing panics");
    hammer::all_end("receivers", &receivers);
    assert!(is_done.recv().is_err());

    let [made, sent, returned, received, dropped] = [
        &books.made,
        &books.sent,
        &books.returned,
        &books.received,
        &books.dropped,
    ]
    .map(|number| number.load(Ordering::Relaxed));
    assert_eq!(made, dropped, "each ends once: {books:?}");
    // The rest of them were in the hands of senders that were interrupted.
    assert!(sent + returned <= made, "{books:?}");
    match receiving {
        // What is received was sent, though its sender may have been interrupted before it could say so.
        Receiving::ByOne | Receiving::Shared | Receiving::ByMay => {
            assert!(sent <= received, "{books:?}");
            assert!(received + returned <= made, "{books:?}");
        }
        Receiving::LeavesEarly => assert!(received <= 10_000, "{books:?}"),
    }
    hammer::settled(&before);
}

/// Eight green threads of this hub receive. Some are killed, some limited; others replace them.
fn receive_shared(receiver: Receiver<Message>, books: &Arc<Books>) {
    let receiver = Rc::new(receiver);
    let start = |seed: u64| {
        let (receiver, books) = (Rc::clone(&receiver), Arc::clone(books));
        spawn_local(move || {
            let mut rng = Rng::new(seed);
            receive_each(&receiver, &books, u64::MAX, &mut rng);
        })
    };
    let lasting: Vec<_> = (0..4).map(start).collect();
    let mut rng = Rng::new(3);
    for turn in 0..40 {
        let victims: Vec<_> = (0..4).map(|n| start(100 + turn * 4 + n)).collect();
        timeout(rng.limit(), || {
            receive_each(&receiver, books, u64::MAX, &mut Rng::new(turn));
        })
        .ok();
        victims.iter().for_each(|victim| victim.kill_nowait());
        hammer::all_end("receivers that were killed", &victims);
    }
    hammer::all_end("receivers that share", &lasting);
}

/// As [`receive`], without looking at the order, of which each sees a part only.
fn receive_each(receiver: &Receiver<Message>, books: &Books, count: u64, rng: &mut Rng) {
    for _ in 0..count {
        let received = if rng.below(2) == 0 {
            receiver.recv_timeout(rng.limit())
        } else {
            receiver.recv().map_err(Into::into)
        };
        match received {
            Ok(_) => Books::count(&books.received),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One test for each way to receive and each bound.
macro_rules! hammers {
    ($($name:ident: $bound:expr, $receiving:ident;)*) => {
        $(
            #[test]
            fn $name() {
                hammer($bound, Receiving::$receiving);
            }
        )*
    };
}

hammers! {
    unbounded: None, ByOne;
    unbounded_shared: None, Shared;
    unbounded_leaves_early: None, LeavesEarly;
    unbounded_by_may: None, ByMay;
    rendezvous: Some(0), ByOne;
    rendezvous_shared: Some(0), Shared;
    rendezvous_leaves_early: Some(0), LeavesEarly;
    rendezvous_by_may: Some(0), ByMay;
    bounded_by_one: Some(1), ByOne;
    bounded_by_one_shared: Some(1), Shared;
    bounded_by_one_leaves_early: Some(1), LeavesEarly;
    bounded_by_seven: Some(7), ByOne;
    bounded_by_seven_shared: Some(7), Shared;
    bounded_by_seven_leaves_early: Some(7), LeavesEarly;
    bounded_by_seven_by_may: Some(7), ByMay;
}

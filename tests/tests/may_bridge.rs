//! Everything that blocks works inside `may` coroutines too, those of `green_core::may::spawn` and `may`'s own.

#![expect(
    unsafe_code,
    reason = "may's spawn and cancel are unsafe, and so is an allocator that counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, Once};
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::{GetError, PutError, Queue};
use green_core::sync::{Condvar, Mutex};
use green_core::{
    Failure, Greenlet, blocking, joinall, joinall_timeout, sleep, spawn, wait, yield_now,
};
use green_net::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use green_net::{TcpListener, TcpStream, UdpSocket};
use green_tests::{Held, PATIENCE, Random, alone, eventually};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Long enough for a coroutine to have parked.
const MOMENT: Duration = Duration::from_millis(20);

/// How many workers `may` has here.
const WORKERS: usize = 2;

/// What runs a closure.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pinned,
    Migrating,
    Plain,
    Os,
}

const MIGRATE: [Kind; 2] = [Kind::Migrating, Kind::Plain];
const ALL: [Kind; 4] = [Kind::Pinned, Kind::Migrating, Kind::Plain, Kind::Os];

/// A closure that runs.
enum Job<T> {
    Green(Greenlet<T>),
    Plain(may::coroutine::JoinHandle<T>),
    Os(thread::JoinHandle<T>),
}

fn start<T: Send + 'static>(kind: Kind, f: impl FnOnce() -> T + Send + 'static) -> Job<T> {
    match kind {
        Kind::Pinned => Job::Green(spawn(f)),
        Kind::Migrating => Job::Green(migrating(f)),
        Kind::Plain => Job::Plain(plain(f)),
        Kind::Os => Job::Os(thread::spawn(f)),
    }
}

impl<T> Job<T> {
    #[track_caller]
    fn join(self) -> T {
        match self {
            Self::Green(greenlet) => greenlet.into_result().unwrap(),
            Self::Plain(coroutine) => coroutine.join().unwrap(),
            Self::Os(thread) => thread.join().unwrap(),
        }
    }
}

fn migrating<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    // SAFETY: the tests keep nothing of an OS thread across their blocking calls, and are shallow.
    unsafe { green_core::may::spawn(f) }
}

fn plain<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> may::coroutine::JoinHandle<T> {
    // SAFETY: as above.
    unsafe { may::coroutine::spawn(f) }
}

fn cancel<T>(coroutine: &may::coroutine::JoinHandle<T>) {
    // SAFETY: what the cancelled coroutines hold may be dropped at any of their blocking calls.
    unsafe { coroutine.coroutine().cancel() }
}

/// Runs `f` in a coroutine of each kind, one after the other, then in all at once.
#[track_caller]
fn in_coroutines(f: impl Fn() + Send + Sync + 'static) {
    let f = Arc::new(f);
    for kind in MIGRATE {
        let f = Arc::clone(&f);
        start(kind, move || f()).join();
    }
    let jobs = MIGRATE.map(|kind| {
        let f = Arc::clone(&f);
        start(kind, move || f())
    });
    for job in jobs {
        job.join();
    }
}

/// Keeps the other tests out; `may` runs when it returns.
fn setup() -> (MutexGuard<'static, ()>, Held) {
    static MAY: Once = Once::new();
    let alone = alone();
    MAY.call_once(|| {
        // In words: a panic of a debug build goes deep.
        may::config()
            .set_workers(WORKERS)
            .set_stack_size(256 * 1024 / size_of::<usize>());
        plain(|| sleep(Duration::from_millis(1))).join().unwrap();
    });
    (alone, Held::now())
}

/// The two ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

#[test]
fn sleeps_last_at_least_as_long_as_asked_and_end() {
    let (_alone, held) = setup();
    in_coroutines(|| {
        for micros in [1, 50, 300, 999, 1_000, 1_001, 2_500, 20_000] {
            let length = Duration::from_micros(micros);
            let start = Instant::now();
            sleep(length);
            let slept = start.elapsed();
            assert!(length <= slept && slept < PATIENCE, "{length:?}: {slept:?}");
        }
        sleep(Duration::ZERO);
        green_core::sleep_until(Instant::now() + Duration::from_millis(2));
        yield_now();
    });
    held.check();
}

#[test]
fn a_mutex_excludes_every_kind_of_caller() {
    const ROUNDS: usize = 500;
    let (_alone, held) = setup();
    let total = Arc::new(Mutex::new(0));
    let jobs: Vec<_> = ALL
        .into_iter()
        .chain(ALL)
        .map(|kind| {
            let total = Arc::clone(&total);
            start(kind, move || {
                for round in 0..ROUNDS {
                    let mut total = total.lock().unwrap();
                    let seen = *total;
                    hint::black_box(&mut total);
                    *total = seen + 1;
                    drop(total);
                    if round.is_multiple_of(16) {
                        yield_now();
                    }
                }
            })
        })
        .collect();
    for job in jobs {
        job.join();
    }
    assert_eq!(*total.lock().unwrap(), 2 * ALL.len() * ROUNDS);
    held.check();
}

#[test]
fn a_condvar_is_heard_and_times_out() {
    let (_alone, held) = setup();
    for teller in ALL {
        for hearer in MIGRATE {
            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let theirs = Arc::clone(&pair);
            let hears = start(hearer, move || {
                let (told, condvar) = &*theirs;
                let told = told.lock().unwrap();
                let told = condvar.wait_while(told, |told| !*told).unwrap();
                assert!(*told);
                let limit = Duration::from_micros(700);
                let (_told, result) = condvar.wait_timeout(told, limit).unwrap();
                assert!(result.timed_out());
            });
            start(teller, move || {
                sleep(Duration::from_millis(3));
                *pair.0.lock().unwrap() = true;
                pair.1.notify_all();
            })
            .join();
            hears.join();
        }
    }
    held.check();
}

#[test]
fn semaphores_events_and_queues_wait_and_time_out() {
    let (_alone, held) = setup();
    in_coroutines(|| {
        let short = Duration::from_micros(600);
        let semaphore = Arc::new(Semaphore::new(0));
        assert!(semaphore.acquire_timeout(short).is_none());
        assert!(semaphore.try_acquire().is_none());
        let theirs = Arc::clone(&semaphore);
        let releases = spawn(move || {
            sleep(Duration::from_millis(2));
            theirs.release();
        });
        semaphore.acquire().forget();
        releases.join();

        let event = Arc::new(Event::new());
        assert!(!event.wait_timeout(short));
        let theirs = Arc::clone(&event);
        let sets = migrating(move || {
            sleep(Duration::from_millis(2));
            theirs.set();
        });
        event.wait();
        assert!(event.wait_timeout(short));
        sets.join();

        let queue = Queue::bounded(1);
        assert_eq!(queue.get_timeout(short), Err(GetError::Empty));
        queue.put(1).unwrap();
        assert_eq!(queue.put_timeout(2, short), Err(PutError::Full(2)));
        let theirs = queue.clone();
        let gets = spawn(move || theirs.iter().sum::<u64>());
        for item in 2..=100 {
            queue.put(item).unwrap();
        }
        queue.close();
        assert_eq!(queue.put(101), Err(PutError::Closed(101)));
        assert_eq!(gets.get().unwrap(), 5050);
    });
    held.check();
}

#[test]
fn coroutines_wait_for_green_threads_and_the_other_way_round() {
    let (_alone, held) = setup();
    in_coroutines(|| {
        let pinned = spawn(|| {
            sleep(Duration::from_millis(2));
            6
        });
        let moving = migrating(|| {
            sleep(Duration::from_millis(1));
            7
        });
        let never = spawn(|| {
            sleep(LONG);
            0
        });
        assert!(!never.join_timeout(Duration::from_micros(800)));
        assert!(matches!(
            never.get_timeout(Duration::from_micros(800)),
            Err(Failure::TimedOut(_))
        ));
        assert_eq!(pinned.get().unwrap() * moving.get().unwrap(), 42);
        let both = [pinned, moving];
        let ended = joinall(&both).len();
        assert_eq!(ended, 2);
        let ended = joinall_timeout([&both[0], &never], Duration::from_millis(2)).len();
        assert_eq!(ended, 1);
        never.kill();
        assert!(matches!(never.get(), Err(Failure::Killed)));
    });
    let moving = migrating(|| {
        sleep(Duration::from_millis(5));
        String::from("moved")
    });
    let waits = spawn({
        let moving = moving.clone();
        move || moving.get().unwrap()
    });
    assert_eq!(waits.into_result().unwrap(), "moved");
    assert_eq!(moving.clone().into_result().unwrap(), "moved");
    assert!(matches!(moving.into_result(), Err(Failure::Taken)));
    held.check();
}

#[test]
fn green_local_values_belong_to_the_coroutine() {
    green_core::local! {
        static NUMBER: Cell<u32> = {
            yield_now();
            Cell::new(1)
        };
    }
    let (_alone, held) = setup();
    let jobs: Vec<_> = (0..20)
        .map(|n| {
            start(ALL[n % ALL.len()], move || {
                let n = u32::try_from(n).unwrap();
                assert_eq!(NUMBER.replace(n), 1);
                for _ in 0..5 {
                    sleep(Duration::from_micros(200));
                    assert_eq!(NUMBER.get(), n);
                }
            })
        })
        .collect();
    for job in jobs {
        job.join();
    }
    held.check();
}

#[test]
fn blocking_work_leaves_the_workers_free() {
    let (_alone, held) = setup();
    let start_all = Instant::now();
    let jobs: Vec<_> = (0..8)
        .map(|number| {
            start(MIGRATE[number % 2], move || {
                blocking(move || {
                    thread::sleep(Duration::from_millis(50));
                    number
                })
            })
        })
        .collect();
    let sum: usize = jobs.into_iter().map(Job::join).sum();
    assert_eq!(sum, 28);
    // On the two workers alone it would take four times as long.
    let took = start_all.elapsed();
    assert!(took < Duration::from_millis(190), "{took:?}");
    let panics = migrating(|| blocking(|| panic!("in the pool")));
    let Err(Failure::Panicked(panic)) = panics.into_result() else {
        panic!("not a panic");
    };
    assert_eq!(panic.message(), "in the pool");
    held.check();
}

#[test]
fn datagrams_echo_and_time_out() {
    let (_alone, held) = setup();
    for server in ALL {
        for client in MIGRATE {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let serves = start(server, move || {
                let mut buffer = [0; 64];
                let (read, from) = socket.recv_from(&mut buffer).unwrap();
                socket.send_to(&buffer[..read], from).unwrap();
            });
            start(client, move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(address).unwrap();
                let limit = Duration::from_millis(3);
                socket.set_read_timeout(Some(limit)).unwrap();
                let begin = Instant::now();
                let error = socket.recv(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(begin.elapsed() >= limit);
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut buffer = [0; 64];
                socket.send(b"datagram").unwrap();
                assert_eq!(socket.recv(&mut buffer).unwrap(), 8);
                assert_eq!(&buffer[..8], b"datagram");
            })
            .join();
            serves.join();
        }
    }
    held.check();
}

#[test]
fn sockets_echo_and_time_out() {
    let (_alone, held) = setup();
    for server in ALL {
        for client in MIGRATE {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let serves = start(server, move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = vec![0; 10_000];
                loop {
                    let read = stream.read(&mut buffer).unwrap();
                    if read == 0 {
                        return;
                    }
                    stream.write_all(&buffer[..read]).unwrap();
                }
            });
            start(client, move || {
                let stream = TcpStream::connect(address).unwrap();
                let limit = Duration::from_millis(3);
                stream.set_read_timeout(Some(limit)).unwrap();
                let begin = Instant::now();
                let error = (&stream).read(&mut [0]).unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock),
                    "{error}"
                );
                assert!(begin.elapsed() >= limit);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                for len in [1, 1_000, 100_000] {
                    let sent = Random::new(7).bytes(len);
                    let mut got = vec![0; len];
                    (&stream).write_all(&sent).unwrap();
                    (&stream).read_exact(&mut got).unwrap();
                    assert!(sent == got);
                }
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
            })
            .join();
            serves.join();
        }
    }
    held.check();
}

#[test]
fn unix_sockets_echo_and_wait_for_room() {
    let (_alone, held) = setup();
    for server in ALL {
        for client in MIGRATE {
            let unnamed = SocketAddr::from_pathname("").unwrap();
            let listener = UnixListener::bind_addr(&unnamed).unwrap();
            // Room for two.
            rustix::net::listen(&listener, 1).unwrap();
            let address = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let address = address.clone();
                    start(client, move || {
                        let mut stream = UnixStream::connect_addr(&address).unwrap();
                        stream.write_all(b"stream").unwrap();
                        stream.read_exact(&mut [0; 6]).unwrap();
                    })
                })
                .collect();
            start(server, move || {
                for stream in listener.incoming().take(8) {
                    let mut stream = stream.unwrap();
                    let mut buffer = [0; 6];
                    stream.read_exact(&mut buffer).unwrap();
                    stream.write_all(&buffer).unwrap();
                }
            })
            .join();
            for client in clients {
                client.join();
            }
            let receiver = UnixDatagram::bind_addr(&unnamed).unwrap();
            let address = receiver.local_addr().unwrap();
            let sender = start(client, move || {
                let sender = UnixDatagram::unbound().unwrap();
                let limit = Duration::from_millis(3);
                sender.set_read_timeout(Some(limit)).unwrap();
                let error = sender.recv(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                // More than the queue of a socket holds.
                for number in 0..1_000_u32 {
                    sender
                        .send_to_addr(&number.to_le_bytes(), &address)
                        .unwrap();
                }
            });
            start(server, move || {
                for number in 0..1_000_u32 {
                    let mut buffer = [0; 4];
                    assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
                    assert_eq!(u32::from_le_bytes(buffer), number);
                }
            })
            .join();
            sender.join();
        }
    }
    held.check();
}

#[test]
fn one_socket_serves_every_kind_of_caller_at_once() {
    const WRITES: usize = 100;
    const LEN: usize = 777;
    let (_alone, held) = setup();
    let users: Vec<Kind> = ALL.into_iter().chain(ALL).collect();
    let (near, far) = connection();
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for stream in [Arc::new(near), Arc::new(far)] {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let still_writing = Arc::new(AtomicUsize::new(users.len()));
        for (user, &kind) in users.iter().enumerate() {
            let theirs = Arc::clone(&stream);
            let still_writing = Arc::clone(&still_writing);
            writers.push(start(kind, move || {
                for _ in 0..WRITES {
                    (&*theirs).write_all(&[user as u8; LEN]).unwrap();
                }
                if still_writing.fetch_sub(1, Ordering::AcqRel) == 1 {
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
            }));
            let theirs = Arc::clone(&stream);
            readers.push(start(kind, move || {
                let mut seen = [0; 2 * ALL.len()];
                let mut buffer = [0; 500];
                loop {
                    let read = (&*theirs).read(&mut buffer).unwrap();
                    if read == 0 {
                        return seen;
                    }
                    for &byte in &buffer[..read] {
                        seen[usize::from(byte)] += 1;
                    }
                }
            }));
        }
    }
    for writer in writers {
        writer.join();
    }
    let mut total = [0; 2 * ALL.len()];
    for reader in readers {
        for (total, seen) in total.iter_mut().zip(reader.join()) {
            *total += seen;
        }
    }
    assert_eq!(total, [2 * WRITES * LEN; 2 * ALL.len()]);
    held.check();
}

#[test]
fn one_listener_serves_every_kind_of_caller_at_once() {
    const CLIENTS: usize = 200;
    let (_alone, held) = setup();
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let acceptors: Vec<_> = ALL
        .into_iter()
        .chain(ALL)
        .map(|kind| {
            let listener = Arc::clone(&listener);
            start(kind, move || {
                let mut served = 0;
                loop {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    if byte == *b"q" {
                        return served;
                    }
                    stream.write_all(&byte).unwrap();
                    served += 1;
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            start(ALL[number % ALL.len()], move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(b"x").unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"x");
            })
        })
        .collect();
    for client in clients {
        client.join();
    }
    for _ in &acceptors {
        TcpStream::connect(address)
            .unwrap()
            .write_all(b"q")
            .unwrap();
    }
    let served: usize = acceptors.into_iter().map(Job::join).sum();
    assert_eq!(served, CLIENTS);
    drop(listener);
    held.check();
}

/// Kills a migrating green thread that runs `f`, from every kind of caller, at once and when it waits.
#[track_caller]
fn is_killed(f: impl Fn() + Clone + Send + 'static) {
    for killer in ALL {
        for wait in [Duration::ZERO, Duration::from_millis(5)] {
            let alive = Arc::new(());
            let held = Arc::clone(&alive);
            let f = f.clone();
            let entered = Arc::new(Event::new());
            let begins = Arc::clone(&entered);
            let victim = migrating(move || {
                let _held = held;
                begins.set();
                f();
            });
            entered.wait();
            thread::sleep(wait);
            let theirs = victim.clone();
            let dead = start(killer, move || theirs.kill_timeout(PATIENCE)).join();
            assert!(dead, "killed by {killer:?} after {wait:?}");
            assert!(matches!(victim.get(), Err(Failure::Killed)));
            assert!(victim.ready() && victim.successful());
            assert_eq!(Arc::strong_count(&alive), 1, "its destructors have run");
        }
    }
}

#[test]
fn a_kill_reaches_every_wait() {
    let (_alone, held) = setup();
    is_killed(|| sleep(LONG));
    is_killed(|| {
        loop {
            yield_now();
        }
    });
    is_killed(|| {
        loop {
            sleep(Duration::from_micros(100));
        }
    });
    let queue = Queue::<()>::unbounded();
    is_killed(move || queue.get().unwrap());
    let event = Arc::new(Event::new());
    is_killed(move || event.wait());
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&semaphore);
    is_killed(move || theirs.acquire().forget());
    semaphore.release();
    assert_eq!(semaphore.available(), 1, "no wake-up went to the dead");

    let mutex = Arc::new(Mutex::new(0));
    let locked = mutex.lock().unwrap();
    let theirs = Arc::clone(&mutex);
    is_killed(move || *theirs.lock().unwrap() += 1);
    drop(locked);
    assert_eq!(*mutex.lock().unwrap(), 0);

    let (near, far) = connection();
    let near = Arc::new(near);
    let theirs = Arc::clone(&near);
    is_killed(move || {
        let _: usize = (&*theirs).read(&mut [0]).unwrap();
    });
    (&far).write_all(b"x").unwrap();
    let mut byte = [0];
    (&*near).read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x", "the dead have read nothing");
    let never = spawn(|| sleep(LONG));
    let theirs = never.clone();
    is_killed(move || theirs.join());
    never.kill();
    drop((near, far));
    held.check();
}

#[test]
fn who_is_killed_before_it_runs_never_runs() {
    let (_alone, held) = setup();
    let (busy, go_on) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (busy, go_on) = (Arc::clone(&busy), Arc::clone(&go_on));
            plain(move || {
                busy.fetch_add(1, Ordering::AcqRel);
                while !go_on.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
            })
        })
        .collect();
    eventually("every worker is busy", || {
        busy.load(Ordering::Acquire) == WORKERS
    });
    let captured = Arc::new(());
    let theirs = Arc::clone(&captured);
    let victim = migrating(move || unreachable!("{theirs:?}"));
    assert!(!victim.ready());
    victim.kill();
    assert!(victim.ready());
    let result: Result<(), _> = victim.into_result();
    assert!(matches!(result, Err(Failure::Killed)));
    go_on.store(true, Ordering::Release);
    for worker in workers {
        worker.join().unwrap();
    }
    eventually("its closure is dropped", || {
        Arc::strong_count(&captured) == 1
    });
    held.check();
}

#[test]
fn a_kill_after_the_end_changes_nothing() {
    let (_alone, held) = setup();
    let done = migrating(|| 42);
    done.join();
    done.kill();
    done.kill_nowait();
    assert!(done.kill_timeout(Duration::from_millis(1)));
    assert_eq!(done.get().unwrap(), 42);
    let caught = migrating(|| {
        // The kill arrives, is swallowed, and is not delivered again.
        let caught = std::panic::catch_unwind(|| sleep(LONG));
        assert!(caught.is_err());
        sleep(Duration::from_millis(1));
        43
    });
    thread::sleep(MOMENT);
    caught.kill();
    assert_eq!(caught.get().unwrap(), 43);
    held.check();
}

#[test]
fn panics_are_the_result() {
    let (_alone, held) = setup();
    let panics = migrating(|| {
        sleep(Duration::from_millis(1));
        panic!("number {}", 7);
    });
    let result: Result<(), _> = panics.get();
    let Err(Failure::Panicked(panic)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(panic.message(), "number 7");
    assert!(panics.ready() && !panics.successful());
    // The worker is as good as new.
    in_coroutines(|| sleep(Duration::from_micros(10)));
    held.check();
}

#[test]
fn time_limits_and_masks_say_that_they_do_not_work() {
    const SENTENCE: &str = "timeout and mask_kill do not work in a may coroutine";
    let (_alone, held) = setup();
    let limited = migrating(|| green_core::timeout(LONG, || ()).is_ok());
    let masked = migrating(|| green_core::mask_kill(|| true));
    for panics in [limited, masked] {
        let Err(Failure::Panicked(panic)) = panics.into_result() else {
            panic!("not a panic");
        };
        assert_eq!(panic.message(), SENTENCE);
    }
    let payload = plain(|| green_core::timeout(LONG, || ()))
        .join()
        .unwrap_err();
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
    assert_eq!(message, Some(SENTENCE));
    held.check();
}

/// `may`'s cancel of a waiter races with `give`, which is enough for one waiter: a second one must get
/// it if the first did not.
///
/// `take` returns once it has got something.
#[track_caller]
fn cancel_passes_on(take: impl Fn() + Clone + Send + 'static, give: impl Fn()) {
    cancel_passes_on_to(take.clone(), take, give);
}

/// The same, where the second one takes it by `take_second`.
#[track_caller]
fn cancel_passes_on_to(
    take: impl Fn() + Clone + Send + 'static,
    take_second: impl Fn() + Clone + Send + 'static,
    give: impl Fn(),
) {
    let mut random = Random::new(3);
    let mut cancelled = 0;
    for round in 0..150_u32 {
        let got = Arc::new(AtomicBool::new(false));
        let (theirs, first_takes) = (Arc::clone(&got), take.clone());
        let first = plain(move || {
            first_takes();
            theirs.store(true, Ordering::Release);
        });
        if !round.is_multiple_of(4) {
            // Else it is cancelled as it begins to wait.
            thread::sleep(Duration::from_millis(1));
        }
        let second = spawn(take_second.clone());
        thread::sleep(Duration::from_micros(200));
        thread::scope(|scope| {
            let spins = random.below(2_000);
            let first = &first;
            scope.spawn(move || {
                for _ in 0..spins {
                    hint::spin_loop();
                }
                cancel(first);
            });
            for _ in 0..random.below(20_000) {
                hint::spin_loop();
            }
            give();
        });
        first.join().ok();
        if got.load(Ordering::Acquire) {
            give();
        } else {
            cancelled += 1;
        }
        assert!(second.join_timeout(PATIENCE), "lost in round {round}");
    }
    assert_ne!(cancelled, 0, "nothing was tested");
}

#[test]
fn cancel_passes_a_permit_on() {
    let (_alone, held) = setup();
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&semaphore);
    cancel_passes_on(move || theirs.acquire().forget(), || semaphore.release());
    assert_eq!(semaphore.available(), 0);
    held.check();
}

#[test]
fn cancel_passes_an_item_on() {
    let (_alone, held) = setup();
    let queue = Queue::unbounded();
    let theirs = queue.clone();
    cancel_passes_on(move || theirs.get().unwrap(), || queue.put(()).unwrap());
    assert!(queue.is_empty());
    held.check();
}

#[test]
fn cancel_of_one_ahead_is_seen_by_who_waits_for_several_things() {
    let (_alone, held) = setup();
    let semaphore = Arc::new(Semaphore::new(0));
    let (theirs, watched) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
    let take = move || theirs.acquire().forget();
    let see = move || {
        assert_eq!(wait(&[&watched]), [0]);
        watched.acquire().forget();
    };
    cancel_passes_on_to(take, see, || semaphore.release());
    assert_eq!(semaphore.available(), 0);
    let queue = Queue::unbounded();
    let (theirs, watched) = (queue.clone(), queue.clone());
    let see = move || {
        assert_eq!(wait(&[&watched]), [0]);
        watched.get().unwrap();
    };
    let take = move || theirs.get().unwrap();
    cancel_passes_on_to(take, see, || queue.put(()).unwrap());
    assert!(queue.is_empty());
    held.check();
}

#[test]
fn cancel_passes_a_lock_on() {
    let (_alone, held) = setup();
    let mutex = Arc::new(Mutex::new(0));
    let mut cancelled = 0;
    for round in 0..150_u32 {
        let locked = mutex.lock().unwrap();
        let before = *locked;
        let theirs = Arc::clone(&mutex);
        let first = plain(move || *theirs.lock().unwrap() += 1);
        thread::sleep(Duration::from_millis(1));
        let theirs = Arc::clone(&mutex);
        let second = spawn(move || *theirs.lock().unwrap() += 1);
        thread::sleep(Duration::from_micros(200));
        thread::scope(|scope| {
            scope.spawn(|| cancel(&first));
            if round.is_multiple_of(2) {
                thread::yield_now();
            }
            drop(locked);
        });
        let got = first.join().is_ok();
        cancelled += usize::from(!got);
        assert!(second.join_timeout(PATIENCE), "lost in round {round}");
        assert!(!mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap(), before + 1 + i32::from(got));
    }
    assert_ne!(cancelled, 0, "nothing was tested");
    held.check();
}

#[test]
fn cancel_ends_every_wait() {
    let (_alone, held) = setup();
    let (near, far) = connection();
    let near = Arc::new(near);
    let theirs = Arc::clone(&near);
    let never = spawn(|| sleep(LONG));
    let joined = never.clone();
    let waits: [Box<dyn FnOnce() + Send>; 4] = [
        Box::new(|| sleep(LONG)),
        Box::new(|| Event::new().wait()),
        Box::new(move || drop((&*theirs).read(&mut [0]))),
        Box::new(move || joined.join()),
    ];
    let waits = waits.map(plain);
    thread::sleep(MOMENT);
    for wait in waits {
        cancel(&wait);
        wait.join().unwrap_err();
    }
    never.kill();
    (&far).write_all(b"x").unwrap();
    let mut byte = [0];
    (&*near).read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x");
    drop((near, far));
    held.check();
}

/// Parks when it is dropped.
struct SleepsInDrop;

impl Drop for SleepsInDrop {
    fn drop(&mut self) {
        for _ in 0..20 {
            sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_destructor_that_waits_while_it_unwinds_leaves_the_workers_intact() {
    let (_alone, held) = setup();
    let dying: Vec<_> = (0..8)
        .map(|_| {
            migrating(|| {
                let _sleeps = SleepsInDrop;
                sleep(LONG);
            })
        })
        .collect();
    thread::sleep(MOMENT);
    assert!(green_core::killall_timeout(&dying, PATIENCE));
    // What the workers' own panic counts say, looked at on every worker.
    let looks: Vec<_> = (0..200)
        .map(|_| {
            migrating(|| {
                thread::sleep(Duration::from_micros(200));
                thread::panicking()
            })
        })
        .collect();
    let panicking = looks.into_iter().filter(|look| look.get().unwrap()).count();
    assert_eq!(panicking, 0, "coroutines that do not unwind");
    held.check();
}

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn migrating_green_threads_leave_nothing_allocated() {
    const COUNT: usize = 2_000;
    let (_alone, held) = setup();
    let churn = |count: usize| {
        for round in 0..count {
            let g = migrating(yield_now);
            assert!(g.join_timeout(PATIENCE), "round {round} never ends");
        }
        held.check();
        ALLOCATED.load(Ordering::Relaxed)
    };
    let before = churn(COUNT);
    let grown = churn(COUNT) - before;
    assert!(
        grown < (COUNT / 4) as isize,
        "{grown} allocations of {COUNT} green threads are left"
    );
}

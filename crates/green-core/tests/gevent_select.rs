//! gevent's `select` and `poll`: SEL-01, SEL-02, SEL-04.

mod support;

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use green_core::select::{Events, Poll, Ready, select};
use green_core::{
    Config, Failure, getcurrent, may, run, sleep, spawn, spawn_local, stats, timeout, yield_now,
};
use support::eventually;

const NONE: [BorrowedFd<'static>; 0] = [];
const LONG: Option<Duration> = Some(Duration::from_secs(600));

/// Runs `body` in a green thread, and on the OS thread of the test.
fn everywhere(body: fn()) {
    run(body);
    body();
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("room for a pipe")
}

/// Does `f` while others wait.
fn soon(f: impl FnOnce() + Send + 'static) {
    spawn(move || {
        sleep(Duration::from_millis(10));
        f();
    });
}

#[test]
fn sel01_returns_at_once_what_is_ready() {
    everywhere(|| {
        let (reader, mut writer) = pipe();
        let (quiet, other) = pipe();
        writer.write_all(b"x").unwrap();
        let ready = select(&[&quiet, &reader], &[&other], &NONE, None).unwrap();
        assert_eq!(
            ready,
            Ready {
                read: vec![1],
                write: vec![0],
                except: vec![]
            }
        );
    });
}

#[test]
fn sel01_waits_for_whichever_comes() {
    everywhere(|| {
        for which in [0, 1, 2] {
            let pipes = [pipe(), pipe(), pipe()];
            let mut writer = pipes[which].1.try_clone().unwrap();
            soon(move || writer.write_all(b"x").unwrap());
            let readers = [&pipes[0].0, &pipes[1].0, &pipes[2].0];
            let ready = select(&readers, &NONE, &NONE, LONG).unwrap();
            assert_eq!(ready.read, [which]);
        }
    });
}

#[test]
fn sel01_waits_for_room() {
    everywhere(|| {
        let (mut reader, mut writer) = pipe();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while writer.write(&[0; 4_096]).is_ok() {}
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        soon(move || {
            theirs.store(true, Ordering::SeqCst);
            reader.read_exact(&mut vec![0; 65_536]).unwrap();
            // It stays open until the other end has looked.
            sleep(Duration::from_millis(50));
        });
        let ready = select(&NONE, &[&writer], &NONE, LONG).unwrap();
        assert!(done.load(Ordering::SeqCst));
        assert_eq!(ready.write, [0]);
    });
}

#[test]
fn sel01_times_out() {
    everywhere(|| {
        let (reader, _writer) = pipe();
        for limit in [Duration::ZERO, Duration::from_millis(15)] {
            let begun = Instant::now();
            let ready = select(&[&reader], &NONE, &NONE, Some(limit)).unwrap();
            assert!(ready.is_empty());
            assert!(begun.elapsed() >= limit);
        }
    });
}

#[test]
fn sel01_of_nothing_sleeps() {
    everywhere(|| {
        let begun = Instant::now();
        let ready = select(&NONE, &NONE, &NONE, Some(Duration::from_millis(15))).unwrap();
        assert!(ready.is_empty());
        assert!(begun.elapsed() >= Duration::from_millis(15));
    });
}

#[test]
fn sel01_lets_others_run_once() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let (reader, mut writer) = pipe();
        for is_ready in [false, true] {
            if is_ready {
                writer.write_all(b"x").unwrap();
            }
            let ran = Rc::new(Cell::new(false));
            let theirs = Rc::clone(&ran);
            spawn_local(move || theirs.set(true));
            select(&[&reader], &NONE, &NONE, Some(Duration::ZERO)).unwrap();
            assert!(ran.get());
        }
    });
}

#[test]
fn sel01_others_run_while_it_waits() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let (reader, mut writer) = pipe();
        let waiter = spawn(move || select(&[&reader], &NONE, &NONE, None).map(|ready| ready.read));
        let turns = spawn(|| (0..100).for_each(|_| yield_now()));
        turns.join();
        assert!(!waiter.ready());
        writer.write_all(b"x").unwrap();
        assert_eq!(waiter.into_result().unwrap().unwrap(), [0]);
    });
}

#[test]
fn sel01_sees_ends() {
    everywhere(|| {
        let (reader, writer) = pipe();
        soon(move || drop(writer));
        assert_eq!(select(&[&reader], &NONE, &NONE, LONG).unwrap().read, [0]);

        let (reader, mut writer) = pipe();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while writer.write(&[0; 4_096]).is_ok() {}
        soon(move || drop(reader));
        assert_eq!(select(&NONE, &[&writer], &NONE, LONG).unwrap().write, [0]);

        let (a, b) = UnixStream::pair().unwrap();
        soon(move || b.shutdown(std::net::Shutdown::Write).unwrap());
        assert_eq!(select(&[&a], &NONE, &NONE, LONG).unwrap().read, [0]);
    });
}

#[test]
fn sel01_one_descriptor_in_several_sets() {
    everywhere(|| {
        let (a, mut b) = UnixStream::pair().unwrap();
        let first = select(&[&a, &a], &[&a], &[&a], LONG).unwrap();
        assert_eq!((first.read, first.write), (vec![], vec![0]));
        b.write_all(b"x").unwrap();
        let second = select(&[&a, &a], &[&a], &[&a], LONG).unwrap();
        assert_eq!((second.read, second.write), (vec![0, 1], vec![0]));
        assert!(second.except.is_empty());
    });
}

#[test]
fn sel01_sees_urgent_data() {
    everywhere(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        soon(move || {
            rustix::net::send(&sender, b"!", rustix::net::SendFlags::OOB).unwrap();
            sleep(Duration::from_millis(50));
        });
        let ready = select(&NONE, &NONE, &[&receiver], LONG).unwrap();
        assert_eq!(ready.except, [0]);
    });
}

#[test]
fn sel01_a_regular_file_is_ready() {
    everywhere(|| {
        let file = File::open("/proc/self/exe").unwrap();
        let ready = select(&[&file], &[&file], &[&file], None).unwrap();
        assert_eq!((ready.read, ready.write), (vec![0], vec![0]));
        // It never has urgent data.
        let none = select(&NONE, &NONE, &[&file], Some(Duration::from_millis(5))).unwrap();
        assert!(none.is_empty());
    });
}

/// A descriptor of a number that nobody has.
fn closed() -> BorrowedFd<'static> {
    #[expect(unsafe_code, reason = "what the kernel says of it is the question")]
    // SAFETY: none: it is not open. It is only given to the kernel, which says so.
    unsafe {
        BorrowedFd::borrow_raw(1_000_000)
    }
}

#[test]
fn sel01_a_closed_descriptor_is_an_error() {
    everywhere(|| {
        let (reader, _writer) = pipe();
        let error = select(&[reader.as_fd(), closed()], &NONE, &NONE, LONG).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9), "EBADF");
    });
}

#[test]
fn sel01_killed_or_timed_out_it_leaves_nothing() {
    let before = run(|| stats().sources);
    let (reader, _writer) = pipe();
    let reader = Arc::new(reader);
    let theirs = Arc::clone(&reader);
    let waiter = spawn(move || select(&[&*theirs], &NONE, &NONE, None).map(|_| ()));
    eventually("it waits", || stats().sources > before);
    waiter.kill();
    assert!(matches!(waiter.get_unit(), Err(Failure::Killed)));
    run(move || {
        let elapsed = timeout(Duration::from_millis(5), || {
            select(&[&*reader], &NONE, &NONE, None).map(|_| ())
        });
        assert!(elapsed.is_err());
    });
    eventually("nothing is watched", || stats().sources == before);
}

/// The failure of what cannot be cloned.
trait GetUnit {
    fn get_unit(self) -> Result<(), Failure>;
}

impl<T> GetUnit for green_core::Greenlet<T> {
    fn get_unit(self) -> Result<(), Failure> {
        self.into_result().map(|_| ())
    }
}

#[test]
fn sel01_works_in_a_coroutine_of_may() {
    let (reader, mut writer) = pipe();
    #[expect(unsafe_code, reason = "may's spawn is unsafe")]
    // SAFETY: it uses no thread-locals, and little of its stack.
    let waiter = unsafe {
        may::spawn(move || {
            assert!(getcurrent().is_none());
            select(&[&reader], &NONE, &NONE, LONG).map(|ready| ready.read)
        })
    };
    sleep(Duration::from_millis(10));
    writer.write_all(b"x").unwrap();
    assert_eq!(waiter.into_result().unwrap().unwrap(), [0]);
}

#[test]
fn sel02_tells_what_is_ready_by_number() {
    everywhere(|| {
        let (a, b) = UnixStream::pair().unwrap();
        let (quiet, _writer) = pipe();
        let mut poll = Poll::new();
        assert!(
            poll.register(quiet.as_fd(), Events::IN | Events::PRI)
                .is_none()
        );
        poll.register(a.as_fd(), Events::IN | Events::OUT);
        assert_eq!(poll.len(), 2);
        assert_eq!(poll.poll(None).unwrap(), [(a.as_raw_fd(), Events::OUT)]);
        (&b).write_all(b"x").unwrap();
        let both = Events::IN | Events::OUT;
        assert_eq!(poll.poll(LONG).unwrap(), [(a.as_raw_fd(), both)]);
        poll.modify(a.as_raw_fd(), Events::IN).unwrap();
        assert_eq!(poll.poll(LONG).unwrap(), [(a.as_raw_fd(), Events::IN)]);
        // It is told again, until it is read.
        assert_eq!(poll.poll(LONG).unwrap(), [(a.as_raw_fd(), Events::IN)]);
        (&a).read_exact(&mut [0]).unwrap();
        assert_eq!(poll.poll(Some(Duration::from_millis(5))).unwrap(), []);
    });
}

#[test]
fn sel02_waits() {
    everywhere(|| {
        let pipes: Vec<_> = (0..20).map(|_| pipe()).collect();
        let mut poll = Poll::new();
        for (reader, _) in &pipes {
            poll.register(reader, Events::IN);
        }
        for which in [3, 0, 19] {
            let mut writer = pipes[which].1.try_clone().unwrap();
            soon(move || writer.write_all(b"x").unwrap());
            let fd = pipes[which].0.as_raw_fd();
            assert_eq!(poll.poll(None).unwrap(), [(fd, Events::IN)]);
            (&pipes[which].0).read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn sel02_hang_ups_are_told_unasked() {
    everywhere(|| {
        let (reader, writer) = pipe();
        let mut poll = Poll::new();
        poll.register(&reader, Events::NONE);
        soon(move || drop(writer));
        assert_eq!(
            poll.poll(LONG).unwrap(),
            [(reader.as_raw_fd(), Events::HUP)]
        );
    });
}

#[test]
fn sel02_what_is_not_in_it_is_not_found() {
    let (reader, writer) = pipe();
    let (fd, other) = (reader.as_raw_fd(), writer.as_raw_fd());
    let mut poll = Poll::new();
    poll.register(reader.as_fd(), Events::IN);
    assert!(
        poll.register(reader.as_fd(), Events::OUT).is_some(),
        "in place of the first"
    );
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(poll.modify(other, Events::IN)), ErrorKind::NotFound);
    assert_eq!(
        kind(poll.unregister(other).map(|_| ())),
        ErrorKind::NotFound
    );
    assert_eq!(poll.unregister(fd).unwrap().as_raw_fd(), fd);
    assert!(poll.is_empty());
}

#[test]
fn sel02_a_closed_descriptor_is_told() {
    everywhere(|| {
        let mut poll = Poll::new();
        poll.register(closed(), Events::IN);
        assert_eq!(poll.poll(LONG).unwrap(), [(1_000_000, Events::NVAL)]);
    });
}

#[test]
fn sel04_several_wait_in_one() {
    let (reader, mut writer) = pipe();
    let mut poll = Poll::new();
    poll.register(reader, Events::IN);
    let poll = Arc::new(poll);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let poll = Arc::clone(&poll);
            spawn(move || poll.poll(None).map(|found| found.len()))
        })
        .collect();
    eventually("they wait", || stats().sources >= 4);
    writer.write_all(b"x").unwrap();
    for waiter in waiters {
        assert_eq!(waiter.into_result().unwrap().unwrap(), 1);
    }
}

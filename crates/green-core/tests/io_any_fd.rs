//! Any file descriptor.

mod support;

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::io::{Io, wait_readable, wait_writable};
use green_core::{Config, Failure, run, sleep, spawn, stats, timeout, yield_now};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

fn nonblocking(fd: impl AsFd) {
    let flags = fcntl_getfl(&fd).expect("it is open");
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).expect("any descriptor takes it");
}

fn pipe() -> (Io<PipeReader>, Io<PipeWriter>) {
    let (reader, writer) = std::io::pipe().expect("room for a pipe");
    nonblocking(&reader);
    nonblocking(&writer);
    (Io::new(reader), Io::new(writer))
}

fn pair() -> (Io<UnixStream>, Io<UnixStream>) {
    let (a, b) = UnixStream::pair().expect("room for a pair");
    nonblocking(&a);
    nonblocking(&b);
    (Io::new(a), Io::new(b))
}

/// Moves much more than the pipe holds; returns the sum of what came out.
fn pump(reader: Io<PipeReader>, writer: Io<PipeWriter>) -> u64 {
    let filler = spawn(move || {
        let chunk = [1_u8; 1_000];
        for _ in 0..500 {
            let mut sent = 0;
            while sent < chunk.len() {
                sent += writer
                    .write_with(|| None, |mut w| w.write(&chunk[sent..]))
                    .expect("it is open");
            }
        }
    });
    let mut sum = 0;
    let mut buffer = [0_u8; 4_096];
    loop {
        let n = reader
            .read_with(|| None, |mut r| r.read(&mut buffer))
            .expect("it is open");
        if n == 0 {
            break;
        }
        sum += buffer[..n].iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
    filler.join();
    sum
}

#[test]
fn pipes_between_green_threads_and_an_os_thread() {
    let (reader, writer) = pipe();
    assert_eq!(run(move || pump(reader, writer)), 500_000);
    let (reader, writer) = pipe();
    assert_eq!(pump(reader, writer), 500_000);
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn a_pair_plays_ping_pong() {
    let (a, b) = pair();
    let echo = spawn(move || {
        let mut byte = [0];
        while b.read_with(|| None, |mut b| b.read(&mut byte)).unwrap() == 1 {
            b.write_with(|| None, |mut b| b.write(&byte)).unwrap();
        }
    });
    let player = spawn(move || {
        for n in 0..200_u8 {
            a.write_with(|| None, |mut a| a.write(&[n])).unwrap();
            let mut byte = [0];
            assert_eq!(a.read_with(|| None, |mut a| a.read(&mut byte)).unwrap(), 1);
            assert_eq!(byte, [n]);
        }
    });
    player.join();
    assert!(player.successful());
    echo.join();
    assert!(echo.successful());
}

#[test]
fn many_callers_share_one() {
    let (a, b) = pair();
    let a = Arc::new(a);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let a = Arc::clone(&a);
            spawn(move || a.read_with(|| None, |mut a| a.read(&mut [0])).unwrap())
        })
        .collect();
    for _ in 0..10 {
        b.write_with(|| None, |mut b| b.write(b"x")).unwrap();
        sleep(Duration::from_micros(100));
    }
    assert!(
        readers
            .iter()
            .all(|g| g.get_timeout(Duration::from_secs(10)).unwrap() == 1)
    );
}

#[test]
fn the_end_wakes_all_readers() {
    let (a, b) = pair();
    let a = Arc::new(a);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let a = Arc::clone(&a);
            spawn(move || a.read_with(|| None, |mut a| a.read(&mut [0])).unwrap())
        })
        .collect();
    support::eventually("they wait", || stats().sources == 1);
    drop(b);
    assert!(
        readers
            .iter()
            .all(|g| g.get_timeout(Duration::from_secs(10)).unwrap() == 0)
    );
}

#[test]
fn deadlines_kills_and_limits_end_a_wait() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (a, _b) = pair();
        let a = Arc::new(a);
        let begun = Instant::now();
        let soon = begun + Duration::from_millis(5);
        let read = |deadline| a.read_with(|| deadline, |mut a| a.read(&mut [0]));
        assert_eq!(read(Some(soon)).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= soon);
        assert_eq!(read(Some(begun)).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(timeout(Duration::from_millis(5), || read(None)).is_err());
        let theirs = Arc::clone(&a);
        let victim = spawn(move || theirs.read_with(|| None, |mut a| a.read(&mut [0])).is_ok());
        yield_now();
        victim.kill();
        assert!(matches!(victim.get(), Err(Failure::Killed)));
        a.set_nonblocking(true);
        assert_eq!(read(None).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(a);
    });
}

#[test]
fn a_killed_reader_loses_no_readiness() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (a, b) = pair();
        let a = Arc::new(a);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let a = Arc::clone(&a);
                spawn(move || a.read_with(|| None, |mut a| a.read(&mut [0])).unwrap())
            })
            .collect();
        yield_now();
        b.write_with(|| None, |mut b| b.write(b"x")).unwrap();
        readers[0].kill_nowait();
        assert_eq!(readers[1].get_timeout(Duration::from_secs(5)).unwrap(), 1);
    });
}

#[test]
fn wait_readable_and_writable() {
    let check = || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(5));
        assert!(!wait_readable(reader.as_fd(), soon).unwrap());
        assert!(!wait_readable(reader.as_fd(), Some(Instant::now())).unwrap());
        assert!(wait_writable(writer.as_fd(), None).unwrap());
        writer.write_all(b"x").unwrap();
        assert!(wait_readable(reader.as_fd(), None).unwrap());
        drop(writer);
        assert!(wait_readable(reader.as_fd(), None).unwrap());
    };
    check();
    run(check);
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn two_wait_for_one_descriptor_and_a_kill_takes_its_registration_back() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = Arc::new(reader);
    let wait = || {
        let reader = Arc::clone(&reader);
        spawn(move || wait_readable(reader.as_fd(), None).unwrap())
    };
    let (stays, victim) = (wait(), wait());
    support::eventually("both wait", || stats().sources == 2);
    victim.kill();
    support::eventually("one waits", || stats().sources == 1);
    writer.write_all(b"x").unwrap();
    assert!(stays.get_timeout(Duration::from_secs(10)).unwrap());
    support::eventually("nobody waits", || stats().sources == 0);
}

#[test]
fn a_regular_file_is_always_ready_and_cannot_be_watched() {
    run(|| {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        assert!(wait_readable(file.as_fd(), None).unwrap());
        let file = Io::new(file);
        assert_eq!(
            file.read_with(|| None, |mut file| file.read(&mut [0; 4]))
                .unwrap(),
            4
        );
        let refused = file.read_with(|| None, |_| Err::<(), _>(ErrorKind::WouldBlock.into()));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    });
    assert_eq!(stats().sources, 0);
}

#[test]
fn into_inner_gives_it_back_unwatched() {
    run(|| {
        let (a, b) = pair();
        let soon = Some(Instant::now() + Duration::from_millis(1));
        a.read_with(|| soon, |mut a| a.read(&mut [0])).unwrap_err();
        assert_eq!(stats().sources, 1);
        let mut a = a.into_inner();
        assert_eq!(stats().sources, 0);
        b.write_with(|| None, |mut b| b.write(b"x")).unwrap();
        assert_eq!(a.read(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn one_that_never_blocks_lets_others_run() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (a, b) = pair();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let other = spawn(move || theirs.store(true, std::sync::atomic::Ordering::Relaxed));
        for _ in 0..1_000_000 {
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            a.write_with(|| None, |mut a| a.write(b"x")).unwrap();
            b.read_with(|| None, |mut b| b.read(&mut [0])).unwrap();
        }
        assert!(other.ready());
    });
}

#[test]
fn a_fifo_that_has_a_writer_again_is_waited_for() {
    let path = std::env::temp_dir().join(format!("green-fifo-{}", std::process::id()));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    run(move || {
        let open = |options: &mut std::fs::OpenOptions| {
            let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
            options.custom_flags(nonblock).open(&path).unwrap()
        };
        let reader = Arc::new(Io::new(open(std::fs::OpenOptions::new().read(true))));
        let theirs = Arc::clone(&reader);
        let read = move |limit: u64| {
            let deadline = Instant::now() + Duration::from_millis(limit);
            let mut buffer = [0; 8];
            theirs.read_with(|| Some(deadline), |mut file| file.read(&mut buffer))
        };
        let mut writer = open(std::fs::OpenOptions::new().write(true));
        assert_eq!(read(5).unwrap_err().kind(), ErrorKind::TimedOut);
        writer.write_all(b"x").unwrap();
        assert_eq!(read(10_000).unwrap(), 1);
        // One that waits already learns of the end from the poller.
        let waits = green_core::spawn_local({
            let read = read.clone();
            move || read(10_000).unwrap()
        });
        yield_now();
        drop(writer);
        assert_eq!(waits.get().unwrap(), 0, "the end");

        let mut writer = open(std::fs::OpenOptions::new().write(true));
        assert_eq!(read(5).unwrap_err().kind(), ErrorKind::TimedOut);
        writer.write_all(b"xy").unwrap();
        assert_eq!(read(10_000).unwrap(), 2);
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn what_no_poller_tells_of_is_tried_again() {
    let body = || {
        let (a, _b) = pair();
        let mut left = 10;
        let repeated = a.repeat_with(
            || None,
            |_| {
                left -= 1;
                if left > 0 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok("done")
            },
        );
        assert_eq!((repeated.unwrap(), left), ("done", 0));
        let never = |_: &UnixStream| Err::<(), _>(ErrorKind::WouldBlock.into());
        let begin = Instant::now();
        let soon = begin + Duration::from_millis(20);
        let late = a.repeat_with(|| Some(soon), never).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= soon);
        assert!(timeout(Duration::from_millis(5), || a.repeat_with(|| None, never)).is_err());
        a.set_nonblocking(true);
        let at_once = a.repeat_with(|| panic!("it does not wait"), never);
        assert_eq!(at_once.unwrap_err().kind(), ErrorKind::WouldBlock);
    };
    body();
    run(body);
}

//! Files that are waited for: FIFOs, terminals, pipes, sockets and the like.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/dir.rs"]
mod dir;
#[path = "support/refusal.rs"]
mod refusal;
mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use dir::Dir;
use green_core::fs::{self, File};
use green_core::{Config, Greenlet, run, sleep, spawn, stats, timeout, yield_now};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, mknodat};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use support::eventually;

fn one_hub_and_one_os_thread(body: impl FnOnce() + Send + 'static) {
    Config::new()
        .hubs(1)
        .blocking_threads(1)
        .apply()
        .expect("each test has a process of its own");
    run(body);
}

fn fifo(dir: &Dir, name: &str) -> PathBuf {
    let path = dir.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("the name is free");
    path
}

/// Both ends of a FIFO.
fn both_ends(path: &Path) -> (File, File) {
    let theirs = path.to_owned();
    let reader = spawn(move || File::open(theirs).unwrap());
    let writer = File::options().write(true).open(path).unwrap();
    (reader.into_result().unwrap(), writer)
}

/// Shows that the hub goes on.
struct Ticker {
    ticks: Arc<AtomicUsize>,
    green: Greenlet<()>,
}

impl Ticker {
    fn new() -> Self {
        let ticks = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ticks);
        let green = spawn(move || {
            loop {
                sleep(Duration::from_millis(1));
                theirs.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { ticks, green }
    }

    /// Lets it tick a few times.
    fn goes_on(&self) {
        let before = self.ticks.load(Ordering::Relaxed);
        eventually("the hub goes on", || {
            self.ticks.load(Ordering::Relaxed) > before + 3
        });
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.green.kill();
    }
}

/// Whether the open file is in blocking mode, as we found it.
fn is_blocking(file: &File) -> bool {
    !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn opening_a_fifo_waits_for_the_other_end() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let ticker = Ticker::new();
        for reader_first in [true, false] {
            let path = fifo(&dir, &format!("{reader_first}"));
            let open = |is_reader: bool| {
                let path = path.clone();
                spawn(move || {
                    File::options()
                        .read(is_reader)
                        .write(!is_reader)
                        .open(path)
                        .unwrap()
                })
            };
            let first = open(reader_first);
            ticker.goes_on();
            assert!(!first.ready());
            let second = open(!reader_first);
            let (first, second) = (first.into_result().unwrap(), second.into_result().unwrap());
            let (mut reader, mut writer) = if reader_first {
                (first, second)
            } else {
                (second, first)
            };
            writer.write_all(b"hello").unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
    });
}

#[test]
fn openers_of_fifos_do_not_hold_up_the_pool() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let paths: Vec<_> = (0..100).map(|n| fifo(&dir, &n.to_string())).collect();
        let readers: Vec<_> = paths
            .iter()
            .map(|path| {
                let path = path.clone();
                spawn(move || fs::read_to_string(path).unwrap())
            })
            .collect();
        for n in 0..10 {
            fs::write(dir.join("file"), n.to_string()).unwrap();
        }
        let writers: Vec<_> = paths
            .into_iter()
            .map(|path| spawn(move || fs::write(path, "text").unwrap()))
            .collect();
        assert!(writers.iter().all(|writer| writer.get().is_ok()));
        assert!(readers.iter().all(|reader| reader.get().unwrap() == "text"));
        assert!(stats().blocking_threads <= 1);
    });
}

#[test]
fn a_killed_opener_leaves_at_once() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let path = fifo(&dir, "fifo");
        let theirs = path.clone();
        let opener = spawn(move || File::open(theirs).is_ok());
        yield_now();
        opener.kill();
        assert!(opener.ready());
        // If its OS thread waits already, it opens the FIFO all the same and closes it; that does no harm to others.
        let (mut reader, mut writer) = both_ends(&path);
        writer.write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0; 2]).unwrap(), 1);
    });
}

#[test]
fn much_goes_through_a_fifo_between_green_threads() {
    one_hub_and_one_os_thread(|| {
        const LEN: usize = 300_000;
        let dir = Dir::new();
        let ticker = Ticker::new();
        let (mut reader, mut writer) = both_ends(&fifo(&dir, "fifo"));
        let sender = spawn(move || {
            assert_eq!(
                writer.write(&vec![7; LEN]).unwrap(),
                4096,
                "as the page says"
            );
            writer.write_all(&vec![7; LEN - 4096]).unwrap();
        });
        ticker.goes_on();
        assert!(!sender.ready(), "a FIFO does not hold that much");
        let mut all = Vec::new();
        assert_eq!(reader.read_to_end(&mut all).unwrap(), LEN);
        assert!(all.iter().all(|&byte| byte == 7));
        assert!(is_blocking(&reader));
    });
}

#[test]
fn a_reader_of_a_fifo_waits_without_an_os_thread_and_its_kill_loses_nothing() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let ticker = Ticker::new();
        let (reader, mut writer) = both_ends(&fifo(&dir, "fifo"));
        let reader = Arc::new(reader);
        let read = || {
            let reader = Arc::clone(&reader);
            spawn(move || {
                let mut byte = [0];
                (&*reader).read_exact(&mut byte).unwrap();
                byte[0]
            })
        };
        let (victim, timed_out) = (read(), Arc::clone(&reader));
        let others: Vec<_> = (0..20).map(|_| read()).collect();
        ticker.goes_on();
        victim.kill();
        assert!(victim.ready());
        assert!(
            timeout(Duration::from_millis(5), || (&*timed_out)
                .read(&mut [0; 8])
                .is_ok())
            .is_err()
        );
        let sent: Vec<u8> = (0..20).collect();
        writer.write_all(&sent).unwrap();
        let mut got: Vec<_> = others.iter().map(|other| other.get().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, sent);
    });
}

#[test]
fn an_os_thread_and_a_green_thread_talk_through_fifos() {
    let dir = Dir::new();
    let (there, back) = (fifo(&dir, "there"), fifo(&dir, "back"));
    let theirs = (there.clone(), back.clone());
    let echo = thread::spawn(move || {
        let mut from = File::open(theirs.0).unwrap();
        let mut to = std::fs::File::options().write(true).open(theirs.1).unwrap();
        let mut buf = [0; 100];
        loop {
            let n = from.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            to.write_all(&buf[..n]).unwrap();
        }
    });
    run(move || {
        let mut to = File::options().write(true).open(there).unwrap();
        let mut from = File::open(back).unwrap();
        for n in 0..100_u8 {
            to.write_all(&[n; 10]).unwrap();
            let mut buf = [0; 10];
            from.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [n; 10]);
        }
        drop(to);
        assert_eq!(from.read(&mut [0]).unwrap(), 0, "the end");
    });
    echo.join().unwrap();
}

#[test]
fn the_wrong_direction_and_no_bytes_do_not_wait() {
    let dir = Dir::new();
    let path = fifo(&dir, "fifo");
    let check = move || {
        let (mut reader, mut writer) = both_ends(&path);
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        assert_eq!(writer.write(&[]).unwrap(), 0);
        assert_eq!(
            writer.read(&mut [0]).unwrap_err().raw_os_error(),
            Some(9),
            "EBADF"
        );
        assert_eq!(
            reader.write(b"x").unwrap_err().raw_os_error(),
            Some(9),
            "EBADF"
        );
        drop(reader);
        assert_eq!(
            writer.write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    };
    check();
    run(check);
}

#[test]
fn who_asked_for_non_blocking_mode_has_it() {
    let dir = Dir::new();
    let path = fifo(&dir, "fifo");
    let check = move || {
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let mut options = File::options();
        let mut reader = options
            .read(true)
            .custom_flags(nonblock)
            .open(&path)
            .unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "no writer");
        let mut writer = File::options().write(true).open(&path).unwrap();
        assert_eq!(
            reader.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        writer.write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 1);
    };
    check();
    run(check);
}

#[test]
fn a_terminal_is_waited_for() {
    one_hub_and_one_os_thread(|| {
        let ticker = Ticker::new();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let mut master = File::from(master);
        let noctty = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let mut options = File::options();
        let options = options.read(true).write(true).custom_flags(noctty);
        let mut terminal = options.open(path.to_str().unwrap()).unwrap();
        assert!(terminal.is_terminal());
        let mut output = terminal.try_clone().unwrap();
        let line = spawn(move || {
            let mut buf = [0; 100];
            let n = terminal.read(&mut buf).unwrap();
            assert!(is_blocking(&terminal));
            String::from_utf8_lossy(&buf[..n]).into_owned()
        });
        ticker.goes_on();
        master.write_all(b"half a li").unwrap();
        ticker.goes_on();
        assert!(!line.ready(), "a terminal gives whole lines");
        master.write_all(b"ne\n").unwrap();
        assert_eq!(line.get().unwrap(), "half a line\n");

        let echoed = "half a line\r\n";
        let reader = spawn(move || {
            let mut text = vec![0; echoed.len() + 4];
            master.read_exact(&mut text).unwrap();
            assert!(is_blocking(&master));
            String::from_utf8(text).unwrap()
        });
        output
            .write_all(b"out\n")
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reader.get().unwrap()[..echoed.len()], *echoed);
    });
}

#[test]
fn pipes_sockets_and_counters_are_files_too() {
    one_hub_and_one_os_thread(|| {
        let ticker = Ticker::new();
        let (a, b) = std::io::pipe().unwrap();
        let (c, d) = UnixStream::pair().unwrap();
        let counter = eventfd(0, EventfdFlags::empty()).unwrap();
        let counter = File::from(counter);
        let pairs = [
            (File::from(OwnedFd::from(a)), File::from(OwnedFd::from(b))),
            (File::from(OwnedFd::from(c)), File::from(OwnedFd::from(d))),
            (counter.try_clone().unwrap(), counter),
        ];
        for (mut reader, mut writer) in pairs {
            let eight = spawn(move || {
                let mut eight = [0; 8];
                reader.read_exact(&mut eight).unwrap();
                eight
            });
            ticker.goes_on();
            assert!(!eight.ready());
            writer.write_all(&7_u64.to_ne_bytes()).unwrap();
            assert_eq!(eight.get().unwrap(), 7_u64.to_ne_bytes());
        }
    });
}

#[test]
fn devices_that_nobody_waits_for() {
    let check = || {
        let mut null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        assert_eq!(null.read(&mut [0]).unwrap(), 0);
        assert_eq!(null.write(&vec![0; 100_000]).unwrap(), 100_000);
        let mut zeros = vec![1; 100_000];
        File::open("/dev/zero")
            .unwrap()
            .read_exact(&mut zeros)
            .unwrap();
        assert!(zeros.iter().all(|&zero| zero == 0));
        let mut random = [0; 64];
        File::open("/dev/urandom")
            .unwrap()
            .read_exact(&mut random)
            .unwrap();
        assert_ne!(random, [0; 64]);
        assert_eq!(fs::read("/dev/null").unwrap(), b"");
    };
    check();
    run(check);
    assert_eq!(stats().sources, 0);
}

#[test]
fn no_poller_watches_what_was_closed_or_given_away() {
    let dir = Dir::new();
    let path = fifo(&dir, "fifo");
    run(move || {
        let (mut reader, writer) = both_ends(&path);
        assert!(timeout(Duration::from_millis(5), || reader.read(&mut [0]).is_ok()).is_err());
        assert_eq!(stats().sources, 1);
        let mut reader = std::fs::File::from(reader);
        assert_eq!(stats().sources, 0);
        std::fs::File::from(writer).write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn without_an_os_thread_there_is_an_error_and_nothing_happens_later() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let dir = Dir::new();
        let late = dir.join("late");
        refusal::without_os_threads(|| {
            let error = fs::write(&late, "late").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        });
        assert!(!fs::exists(&late).unwrap());
        // One that waits for ever takes nobody else's work.
        let (a, b) = (fifo(&dir, "a"), fifo(&dir, "b"));
        let theirs = a.clone();
        let waits = spawn(move || drop(File::open(theirs).unwrap()));
        eventually("it waits", || refusal::os_threads("green-apart") == 1);
        refusal::without_os_threads(|| {
            let error = File::open(&b).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        });
        assert!(!waits.ready());
        drop(File::options().write(true).open(&a).unwrap());
        waits.join();
    });
}

//! Reads of what is in memory: without an OS thread where the file system can tell, and as std's wherever.

#[path = "support/dir.rs"]
mod dir;

use std::io::{ErrorKind, IoSliceMut, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dir::Dir;
use green_core::event::Event;
use green_core::fs::File;
use green_core::{Config, Greenlet, blocking, no_park, run, spawn, timeout, yield_now};
use rustix::fs::{Advice, OFlags, fadvise, fdatasync};
use rustix::io::{ReadWriteFlags, preadv2};

/// How long the file is that the tests read.
const LEN: usize = 10_000;

/// More reads than there is time for.
const MANY: usize = 1_000_000;

/// Longer than any read here takes.
const LONG: Duration = Duration::from_secs(5);

fn one_hub_and_one_os_thread(body: impl FnOnce() + Send + 'static) {
    Config::new()
        .hubs(1)
        .blocking_threads(1)
        .apply()
        .expect("each test has a process of its own");
    run(body);
}

fn bytes() -> Vec<u8> {
    (0..LEN).map(|n| (n * 7 + n / 256) as u8).collect()
}

/// A file of [`LEN`] bytes, which are in memory: they have just been written.
fn file_of_bytes(dir: &Dir) -> PathBuf {
    let path = dir.join("file");
    std::fs::write(&path, bytes()).expect("there is room");
    path
}

/// Whether the file system can tell what is in memory.
fn tells(path: &PathBuf) -> bool {
    let file = std::fs::File::open(path).expect("it is there");
    let mut buf = [0; 16];
    preadv2(
        &file,
        &mut [IoSliceMut::new(&mut buf)],
        0,
        ReadWriteFlags::NOWAIT,
    )
    .is_ok()
}

/// Keeps the only OS thread of the pool busy until the event is set.
fn keep_pool_busy() -> (Arc<Event>, Greenlet<()>) {
    let (begun, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&begun), Arc::clone(&go_on));
    let job = spawn(move || {
        blocking(move || {
            theirs.0.set();
            theirs.1.wait();
        });
    });
    begun.wait();
    (go_on, job)
}

#[test]
fn what_is_in_memory_needs_no_os_thread() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let path = file_of_bytes(&dir);
        if !tells(&path) {
            return;
        }
        let mut file = File::open(&path).unwrap();
        let (go_on, job) = keep_pool_busy();
        let read = timeout(LONG, || {
            let mut buf = [0; 4096];
            let mut all = Vec::new();
            let mut sizes = Vec::new();
            loop {
                let n = file.read(&mut buf).unwrap();
                all.extend_from_slice(&buf[..n]);
                sizes.push(n);
                if n == 0 {
                    break;
                }
            }
            let mut some = [0; 100];
            let at = [
                file.read_at(&mut some, 5_000).unwrap(),
                file.read_at(&mut some, 9_990).unwrap(),
                file.read_at(&mut some, 20_000).unwrap(),
            ];
            (all, sizes, at)
        });
        go_on.set();
        job.join();
        let (all, sizes, at) = read.expect("no OS thread is needed");
        assert_eq!(sizes, [4096, 4096, LEN - 2 * 4096, 0]);
        assert_eq!(at, [100, 10, 0]);
        assert_eq!(all, bytes());
    });
}

#[test]
fn a_clone_may_move_the_offset_so_the_pool_reads() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let mut file = File::open(file_of_bytes(&dir)).unwrap();
        let clone = file.try_clone().unwrap();
        let (go_on, job) = keep_pool_busy();
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || file.read(&mut [0; 16])).is_err());
        assert!(timeout(limit, || (&clone).read(&mut [0; 16])).is_err());
        go_on.set();
        job.join();
        // The pool serves first in, first out: both reads are done, and have moved the offset.
        blocking(|| ());
        drop(clone);
        let mut buf = [0; 4];
        file.read_exact(&mut buf).unwrap();
        assert_eq!(buf, bytes()[32..36]);
    });
}

#[test]
fn an_interrupted_read_is_over_before_the_next_one_begins() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let mut file = File::open(file_of_bytes(&dir)).unwrap();
        let (go_on, job) = keep_pool_busy();
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || (&file).read(&mut [0; 16])).is_err());
        let mut buf = [0; 4];
        assert!(timeout(limit, || file.read(&mut buf)).is_err(), "it waits");
        go_on.set();
        job.join();
        blocking(|| ());
        file.read_exact(&mut buf).unwrap();
        assert_eq!(buf, bytes()[20..24]);
    });
}

#[test]
fn a_read_is_as_long_as_stds_whatever_is_in_memory() {
    let check = || {
        let dir = Dir::new();
        let path = dir.join("file");
        let content: Vec<u8> = bytes().into_iter().cycle().take(300_000).collect();
        std::fs::write(&path, &content).unwrap();
        let stds = std::fs::File::open(&path).unwrap();
        for size in [1_000_usize, 4_096, 10_000, 70_000, 400_000] {
            let mut file = File::open(&path).unwrap();
            let mut at = 0;
            loop {
                // Only what is on the disk can be forgotten; some of it at least, so that reads find a part.
                fdatasync(&stds).unwrap();
                fadvise(&stds, (at as u64 + 4_096) & !4_095, None, Advice::DontNeed).unwrap();
                let mut buf = vec![0; size];
                let n = file.read(&mut buf).unwrap();
                assert_eq!(n, size.min(content.len() - at));
                assert!(buf[..n] == content[at..at + n]);
                fadvise(&stds, (at as u64 + 4_096) & !4_095, None, Advice::DontNeed).unwrap();
                let m = file.read_at(&mut buf, at as u64).unwrap();
                assert_eq!(m, n);
                assert!(buf[..n] == content[at..at + n]);
                at += n;
                if n == 0 {
                    break;
                }
            }
        }
    };
    check();
    run(check);
}

#[test]
fn a_loop_over_a_cached_file_gives_way_and_can_be_ended() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let path = file_of_bytes(&dir);
        let endless = |path: PathBuf| {
            let file = File::open(path).unwrap();
            move || {
                for _ in 0..MANY {
                    assert_eq!(file.read_at(&mut [0; 64], 0).unwrap(), 64);
                }
                panic!("nobody has ended it");
            }
        };
        let reader = spawn(endless(path.clone()));
        for _ in 0..10 {
            yield_now();
        }
        reader.kill();
        assert!(reader.ready());
        let ended: Result<(), _> = timeout(Duration::from_millis(20), endless(path));
        assert!(ended.is_err());
    });
}

#[test]
fn a_file_that_grows_is_read_on() {
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let mut file = File::options();
        file.read(true).append(true).create_new(true);
        let mut file = file.open(&path).unwrap();
        let mut buf = [0; 8];
        assert_eq!(file.read(&mut buf).unwrap(), 0);
        // Appending leaves the offset at the end.
        file.write_all(b"abc").unwrap();
        assert_eq!(file.read(&mut buf).unwrap(), 0);
        file.rewind().unwrap();
        assert_eq!(file.read(&mut buf).unwrap(), 3);
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"de")
            .unwrap();
        assert_eq!(file.read(&mut buf).unwrap(), 2);
        assert_eq!(buf[..2], *b"de");
        file.set_len(1).unwrap();
        assert_eq!(
            file.read(&mut buf).unwrap(),
            0,
            "the offset is past the end"
        );
    });
}

#[test]
fn errors_are_stds() {
    let check = || {
        let dir = Dir::new();
        let path = file_of_bytes(&dir);
        let mut buf = [0; 16];
        for offset in [u64::MAX, 1 << 63] {
            let ours = File::open(&path).unwrap().read_at(&mut buf, offset);
            let stds = std::fs::File::open(&path)
                .unwrap()
                .read_at(&mut buf, offset);
            assert_eq!(ours.unwrap_err().kind(), stds.unwrap_err().kind());
        }
        let mut writer = File::options().write(true).open(&path).unwrap();
        let code = |error: std::io::Error| error.raw_os_error();
        let mut stds = std::fs::File::options().write(true).open(&path).unwrap();
        for _ in 0..2 {
            let error = writer.read(&mut buf).unwrap_err();
            assert_eq!(code(error), code(stds.read(&mut buf).unwrap_err()));
            let error = writer.read_at(&mut buf, 0).unwrap_err();
            assert_eq!(code(error), code(stds.read_at(&mut buf, 0).unwrap_err()));
        }
        let mut directory = File::open(&*dir).unwrap();
        assert_eq!(
            directory.read(&mut buf).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            directory.read_at(&mut buf, 0).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
    };
    check();
    run(check);
}

#[test]
fn files_that_cannot_tell_are_read_all_the_same() {
    run(|| {
        let dir = Dir::new();
        let path = file_of_bytes(&dir);
        // A file without a size, and one that has the kernel wait for the disk.
        let mut text = String::new();
        let mut status = File::open("/proc/self/status").unwrap();
        let mut buf = [0; 64];
        loop {
            let n = status.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
        assert!(text.contains("\nThreads:"));
        let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap();
        let opened = File::options().read(true).custom_flags(direct).open(path);
        // Not every file system has it.
        if let Ok(file) = opened {
            let mut room = vec![0; 3 * 4_096];
            let from = room.as_ptr().align_offset(4_096);
            let aligned = &mut room[from..from + 4_096];
            if let Ok(n) = file.read_at(aligned, 4_096) {
                assert!(aligned[..n] == bytes()[4_096..4_096 + n]);
            }
        }
    });
}

#[test]
fn no_park_is_told_of_a_cached_file_too() {
    run(|| {
        let dir = Dir::new();
        let mut file = File::open(file_of_bytes(&dir)).unwrap();
        let mut buf = [0; 16];
        let read = AssertUnwindSafe(|| no_park(|| file.read(&mut buf).is_ok()));
        assert!(catch_unwind(read).is_err());
    });
}

//! Files in green threads: interrupts, errors, large ones, directories.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/dir.rs"]
mod dir;

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use dir::Dir;
use green_core::event::Event;
use green_core::fs::{self, File};
use green_core::{Config, Greenlet, blocking, run, spawn, timeout, yield_now};

/// A pool of one OS thread, which is busy until it is told.
struct BusyPool {
    go_on: Arc<Event>,
    job: Greenlet<()>,
}

impl BusyPool {
    fn new() -> Self {
        let (begun, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let theirs = (Arc::clone(&begun), Arc::clone(&go_on));
        let job = spawn(move || {
            blocking(move || {
                theirs.0.set();
                theirs.1.wait();
            });
        });
        begun.wait();
        Self { go_on, job }
    }

    fn release(self) {
        self.go_on.set();
        self.job.join();
        // The pool serves first in, first out.
        blocking(|| ());
    }
}

fn one_hub_and_one_os_thread(body: impl FnOnce() + Send + 'static) {
    Config::new()
        .hubs(1)
        .blocking_threads(1)
        .apply()
        .expect("each test has a process of its own");
    run(body);
}

#[test]
fn a_killed_read_may_have_moved_the_offset() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        fs::write(dir.join("ten"), "0123456789").unwrap();
        let file = Arc::new(File::open(dir.join("ten")).unwrap());
        let busy = BusyPool::new();
        let theirs = Arc::clone(&file);
        let reader = spawn(move || (&*theirs).read(&mut [0; 4]).unwrap());
        yield_now();
        reader.kill();
        assert!(reader.ready());
        busy.release();
        let mut rest = String::new();
        (&*file).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "456789");
    });
}

#[test]
fn a_killed_write_is_done_to_the_file_it_was_meant_for() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let mut file = File::create(dir.join("meant")).unwrap();
        let descriptor = file.as_raw_fd();
        let busy = BusyPool::new();
        let writer = spawn(move || {
            let mut text = *b"hello";
            let written = file.write(&text);
            text.fill(0);
            written
        });
        yield_now();
        writer.kill();
        assert!(writer.ready());
        // Its file is dropped, but the job has a share: the number is not free.
        let other = std::fs::File::create(dir.join("other")).unwrap();
        assert_ne!(other.as_raw_fd(), descriptor);
        busy.release();
        assert_eq!(fs::read(dir.join("meant")).unwrap(), b"hello");
        assert_eq!(fs::read(dir.join("other")).unwrap(), b"");
    });
}

#[test]
fn a_descriptor_that_a_job_uses_is_given_away_as_a_duplicate() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        fs::write(dir.join("ten"), "0123456789").unwrap();
        let file = File::open(dir.join("ten")).unwrap();
        let descriptor = file.as_raw_fd();
        let file = Arc::new(file);
        let busy = BusyPool::new();
        let theirs = Arc::clone(&file);
        let reader = spawn(move || (&*theirs).read(&mut [0; 4]).unwrap());
        yield_now();
        reader.kill();
        let file = Arc::into_inner(file).expect("the reader is gone");
        let mut given = std::fs::File::from(file);
        assert_ne!(given.as_raw_fd(), descriptor);
        busy.release();
        let mut rest = String::new();
        given.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "456789", "it is the same open file");
        // Nothing is under way: it is the descriptor itself.
        let file = File::from(given);
        let descriptor = file.as_raw_fd();
        (&file).rewind().unwrap();
        assert_eq!(std::os::fd::OwnedFd::from(file).into_raw_fd(), descriptor);
    });
}

#[test]
fn a_timed_out_caller_goes_on_with_the_same_file() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let mut file = File::create_new(dir.join("file")).unwrap();
        let busy = BusyPool::new();
        assert!(timeout(Duration::from_millis(5), || file.write(b"ab")).is_err());
        busy.release();
        file.write_all(b"cd").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcd");
    });
}

#[test]
fn a_directory_is_read_to_its_end_after_a_timeout() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        fill(&dir, 300);
        let mut entries = fs::read_dir(&*dir).unwrap();
        let mut seen: Vec<_> = entries.by_ref().take(128).map(Result::unwrap).collect();
        let busy = BusyPool::new();
        for _ in 0..2 {
            assert!(timeout(Duration::from_millis(5), || entries.next().is_some()).is_err());
        }
        busy.release();
        seen.extend(entries.by_ref().map(Result::unwrap));
        assert!(entries.next().is_none());
        let names: BTreeSet<_> = seen.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!((seen.len(), names.len()), (300, 300));
    });
}

#[test]
fn a_hub_goes_on_while_files_are_used() {
    one_hub_and_one_os_thread(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let busy = BusyPool::new();
        let theirs = path.clone();
        let user = spawn(move || {
            fs::write(&theirs, "text").unwrap();
            assert_eq!(fs::read_to_string(&theirs).unwrap(), "text");
        });
        for _ in 0..10 {
            yield_now();
        }
        assert!(!user.ready());
        busy.release();
        user.join();
        assert!(user.successful());
    });
}

/// Makes so many files, named by numbers.
fn fill(dir: &Dir, count: usize) {
    for n in 0..count {
        std::fs::File::create(dir.join(n.to_string())).expect("there is room");
    }
}

/// Bytes without a pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut noise = Vec::with_capacity(len + 8);
    while noise.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(len);
    noise
}

#[test]
fn large_files_are_right_whichever_way_they_go() {
    const LEN: usize = 5_000_001;
    let check = || {
        let dir = Dir::new();
        let bytes = noise(LEN);
        let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
        fs::write(&a, &bytes).unwrap();
        assert_eq!(fs::read(&a).unwrap(), bytes);
        assert_eq!(fs::copy(&a, &b).unwrap(), LEN as u64);
        let mut piecewise = Vec::new();
        let mut file = File::open(&b).unwrap();
        let mut buf = vec![0; 300_000];
        loop {
            let n = file.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            piecewise.extend_from_slice(&buf[..n]);
        }
        assert!(piecewise == bytes);
        let mut file = File::create_new(&c).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (first, second) = rest.split_at(rest.len() / 3);
            let n = file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]);
            rest = &rest[n.unwrap()..];
        }
        let mut whole = vec![0; LEN];
        file.read_exact_at(&mut whole, 0).unwrap();
        assert!(whole == bytes);
        file.write_all_at(&bytes[..LEN / 2], LEN as u64).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (LEN + LEN / 2) as u64);
        file.rewind().unwrap();
        whole.clear();
        assert_eq!(file.read_to_end(&mut whole).unwrap(), LEN + LEN / 2);
        assert!(whole[LEN..] == bytes[..LEN / 2]);
    };
    check();
    run(check);
}

#[test]
fn a_full_disk_is_an_error() {
    let check = || {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(full.write(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        let written = fs::write("/dev/full", "x");
        assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
        let written = fs::write("/dev/full", vec![b'x'; 2 << 20]);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
    };
    check();
    run(check);
}

#[test]
fn errors_are_those_of_std() {
    let check = || {
        let dir = Dir::new();
        let path = dir.join("file");
        fs::write(&path, "text").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut stds = std::fs::File::open(&path).unwrap();
        let same = |ours: std::io::Error, stds: std::io::Error| {
            assert_eq!(ours.kind(), stds.kind());
            assert_eq!(ours.to_string(), stds.to_string());
        };
        same(
            reader.write(b"x").unwrap_err(),
            stds.write(b"x").unwrap_err(),
        );
        same(reader.set_len(1).unwrap_err(), stds.set_len(1).unwrap_err());
        let mut writer = File::options().write(true).open(&path).unwrap();
        let mut stds = std::fs::File::options().write(true).open(&path).unwrap();
        same(
            writer.read(&mut [0]).unwrap_err(),
            stds.read(&mut [0]).unwrap_err(),
        );
        let (mut a, mut b) = (Vec::new(), Vec::new());
        same(
            writer.read_to_end(&mut a).unwrap_err(),
            stds.read_to_end(&mut b).unwrap_err(),
        );
        let nul = "a\0b";
        same(
            fs::metadata(nul).unwrap_err(),
            std::fs::metadata(nul).unwrap_err(),
        );
        same(
            fs::copy(&*dir, &path).unwrap_err(),
            std::fs::copy(&*dir, &path).unwrap_err(),
        );
        fs::write(&path, [0xff]).unwrap();
        let mut text = String::from("before");
        let mut file = File::open(&path).unwrap();
        assert_eq!(
            file.read_to_string(&mut text).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        assert_eq!(text, "before");
    };
    check();
    run(check);
}

#[test]
fn coroutines_of_may_use_files() {
    let dir = Dir::new();
    let path = dir.join("file");
    let theirs = path.clone();
    // SAFETY: the closure keeps nothing of an OS thread across its blocking calls, and is shallow.
    let coroutine = unsafe {
        green_core::may::spawn(move || {
            let mut file = File::create_new(&theirs)?;
            file.write_all(b"by a coroutine")?;
            file.lock()?;
            file.rewind()?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            assert_eq!(
                fs::read_dir(theirs.parent().expect("it has one"))?.count(),
                1
            );
            Ok::<_, std::io::Error>(text)
        })
    };
    assert_eq!(coroutine.into_result().unwrap().unwrap(), "by a coroutine");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "by a coroutine");
}

#[test]
fn several_callers_share_a_file() {
    let dir = Dir::new();
    let file = File::create_new(dir.join("file")).unwrap();
    let file = Arc::new(file);
    let writers: Vec<_> = (0..20_u8)
        .map(|n| {
            let file = Arc::clone(&file);
            let write = move || {
                for round in 0..10 {
                    let at = u64::from(n) * 1_000 + round * 100;
                    file.write_all_at(&[n; 100], at).unwrap();
                }
            };
            if n % 5 == 0 {
                let os_thread = std::thread::spawn(write);
                spawn(move || blocking(move || os_thread.join().unwrap()))
            } else {
                spawn(write)
            }
        })
        .collect();
    writers.iter().for_each(|writer| writer.get().unwrap());
    let mut all = Vec::new();
    (&*file).read_to_end(&mut all).unwrap();
    assert!((0..20_u8).all(|n| all[usize::from(n) * 1_000..][..1_000] == [n; 1_000]));
    assert_eq!(all.len(), 20_000);
}

#[test]
#[expect(deprecated, reason = "std has it still")]
fn soft_link() {
    let dir = Dir::new();
    fs::soft_link("nowhere", dir.join("link")).unwrap();
    assert_eq!(
        fs::read_link(dir.join("link")).unwrap().to_str(),
        Some("nowhere")
    );
}

#[test]
#[should_panic(expected = "a blocking call inside green::no_park")]
fn no_park_is_told() {
    run(|| green_core::no_park(|| File::open("/dev/null").is_ok()));
}

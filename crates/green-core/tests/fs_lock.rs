//! Locks of files.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/dir.rs"]
mod dir;
mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dir::Dir;
use green_core::fs::{self, File, TryLockError};
use green_core::{Config, run, sleep, spawn, stats, timeout, yield_now};
use support::eventually;

/// An open file of its own.
fn open(path: &Path) -> File {
    let mut options = File::options();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

fn is_locked(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Adds one to the number in the file, without any protection but the file's lock.
fn add_one(path: &Path) {
    let file = open(path);
    file.lock().unwrap();
    let number: u32 = fs::read_to_string(path).unwrap().parse().unwrap_or(0);
    yield_now();
    fs::write(path, (number + 1).to_string()).unwrap();
    if number.is_multiple_of(2) {
        file.unlock().unwrap();
    }
}

#[test]
fn two_hundred_green_threads_and_a_small_pool() {
    Config::new().hubs(2).blocking_threads(2).apply().unwrap();
    let dir = Dir::new();
    let path = dir.join("number");
    let adders: Vec<_> = (0..200)
        .map(|_| {
            let path = path.clone();
            spawn(move || add_one(&path))
        })
        .collect();
    let (stop, ticks) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let theirs = (Arc::clone(&stop), Arc::clone(&ticks), dir.join("other"));
    // Whoever needs the pool for something else gets it.
    let other = spawn(move || {
        while !theirs.0.load(Ordering::Relaxed) {
            fs::write(&theirs.2, "x").unwrap();
            theirs.1.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(1));
        }
    });
    let os_thread = thread::spawn({
        let path = path.clone();
        move || (0..20).for_each(|_| add_one(&path))
    });
    adders.iter().for_each(|adder| adder.get().unwrap());
    os_thread.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    other.get().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "220");
    assert!(ticks.load(Ordering::Relaxed) > 0);
    assert!(stats().blocking_threads <= 2);
}

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let holder = open(&path);
        holder.lock().unwrap();
        let order = Arc::new(green_core::sync::Mutex::new(Vec::new()));
        let waiters: Vec<_> = (0..10)
            .map(|n| {
                let (file, order) = (open(&path), Arc::clone(&order));
                let waiter = spawn(move || {
                    file.lock().unwrap();
                    order.lock().unwrap().push(n);
                });
                in_line(1 + n);
                waiter
            })
            .collect();
        drop(holder);
        waiters.iter().for_each(|waiter| waiter.get().unwrap());
        assert!(order.lock().unwrap().iter().copied().eq(0..10));
    });
}

/// Waits until so many green threads wait for a file's lock.
#[track_caller]
fn in_line(count: usize) {
    eventually("they wait for the lock", || {
        let mut text = Vec::new();
        green_core::dump(&mut text).unwrap();
        String::from_utf8_lossy(&text).matches("file lock").count() >= count
    });
}

#[test]
fn the_lock_is_noticed_at_once_when_it_is_given_back_here() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let give_back: [fn(File); 3] = [
            |file| file.unlock().unwrap(),
            drop,
            |file| {
                thread::spawn(move || file.unlock().unwrap());
            },
        ];
        // The shortest of some: the machine may be busy, and by then a pause lasts 50 ms.
        for give_back in give_back {
            let shortest = (0..8).map(|_| {
                let (holder, file) = (open(&path), open(&path));
                holder.lock().unwrap();
                let waiter = spawn(move || {
                    file.lock().unwrap();
                    Instant::now()
                });
                in_line(1);
                sleep(Duration::from_millis(70));
                let begun = Instant::now();
                give_back(holder);
                waiter.get().unwrap().saturating_duration_since(begun)
            });
            assert!(shortest.min().unwrap() < Duration::from_millis(2));
        }
    });
}

#[test]
fn kills_and_timeouts_give_nothing_away() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let holder = open(&path);
        holder.lock().unwrap();
        let wait = || {
            let file = open(&path);
            spawn(move || file.lock().unwrap())
        };
        let head = wait();
        in_line(1);
        let (behind, last) = (wait(), wait());
        in_line(3);
        let file = open(&path);
        let begun = Instant::now();
        assert!(timeout(Duration::from_millis(20), || file.lock()).is_err());
        assert!(begun.elapsed() >= Duration::from_millis(20));
        behind.kill();
        head.kill();
        assert!(!last.ready());
        holder.unlock().unwrap();
        last.get().unwrap();
        // Nobody has it: all files but these two are gone, and these do not.
        file.try_lock().unwrap();
        file.unlock().unwrap();
        holder.try_lock().unwrap();
    });
}

#[test]
fn shared_and_exclusive() {
    Config::new().hubs(2).apply().unwrap();
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let files: Vec<_> = (0..10).map(|_| open(&path)).collect();
        files.iter().for_each(|file| file.lock_shared().unwrap());
        let writer = open(&path);
        assert!(is_locked(&writer));
        let exclusive = spawn(move || {
            writer.lock().unwrap();
            writer
        });
        in_line(1);
        // One that has a shared lock may take it again, or another kind, past those who wait.
        files[0].lock_shared().unwrap();
        drop(files);
        let writer = exclusive.into_result().unwrap();
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let file = open(&path);
                spawn(move || file.lock_shared().map(|()| file).unwrap())
            })
            .collect();
        in_line(10);
        // Down from exclusive to shared: all of them get in, and stay in together.
        writer.lock_shared().unwrap();
        let readers: Vec<_> = readers
            .into_iter()
            .map(|reader| reader.into_result().unwrap())
            .collect();
        assert!(is_locked(&open(&path)));
        drop(readers);
        writer.lock().unwrap();
    });
}

#[test]
fn two_that_share_an_open_file_share_its_lock() {
    run(|| {
        let dir = Dir::new();
        let a = open(&dir.join("file"));
        let b = a.try_clone().unwrap();
        a.lock().unwrap();
        b.lock().unwrap();
        let other = open(&dir.join("file"));
        assert!(is_locked(&other));
        b.unlock().unwrap();
        other.try_lock().unwrap();
    });
}

/// Which file the child is to lock.
const CHILD: &str = "GREEN_TEST_LOCK";

/// Another process that holds a lock until its input ends.
fn other_process(path: &Path) -> Child {
    let locked: PathBuf = path.with_extension("locked");
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "holds_a_lock_if_it_is_the_child",
            "--exact",
            "--test-threads=1",
        ])
        .env(CHILD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child has the lock", || locked.exists());
    std::fs::remove_file(locked).unwrap();
    child
}

#[test]
fn holds_a_lock_if_it_is_the_child() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    file.lock().unwrap();
    file.write_all(b"by the child").unwrap();
    std::fs::File::create(path.with_extension("locked")).unwrap();
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[test]
fn between_two_processes() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let dir = Dir::new();
        let path = dir.join("file");
        let file = open(&path);
        let mut child = other_process(&path);
        assert!(is_locked(&file));
        assert!(timeout(Duration::from_millis(30), || file.lock()).is_err());
        let theirs = path.clone();
        let waiter = spawn(move || {
            let file = open(&theirs);
            file.lock().unwrap();
            fs::read_to_string(theirs).unwrap()
        });
        in_line(1);
        drop(child.stdin.take());
        assert_eq!(waiter.get().unwrap(), "by the child");
        assert!(child.wait().unwrap().success());
        file.lock().unwrap();
    });
}

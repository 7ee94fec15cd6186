//! Standard input, in children whose input is a pipe, a file, a terminal, or nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are one kind of caller"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use green_core::io::{Stdin, StdinLock, stdin};
use green_core::queue::Queue;
use green_core::{Config, Failure, run, spawn, stats, timeout, yield_now};
use rustix::fs::{OFlags, fcntl_getfl};

/// Which child this process is, if it is one.
const CHILD: &str = "GREEN_TEST_CHILD";

/// The test `name` of this file again, as a child with this input.
fn child(name: &str, input: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().expect("the test has a file"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a test can run itself")
}

fn is_child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}

/// The child tells the parent.
fn tell(what: &str) {
    std::io::stderr()
        .write_all(format!("{what}\n").as_bytes())
        .expect("the parent listens");
}

/// What the child tells.
fn listen(child: &mut Child) -> impl FnMut() -> String + use<> {
    let mut told = BufReader::new(child.stderr.take().expect("it is piped"));
    move || {
        let mut line = String::new();
        told.read_line(&mut line).expect("it is open");
        line.trim_end().to_owned()
    }
}

/// In the child: waits until a reader waits in a hub's poller, and tells.
fn tell_when_it_waits() {
    support::eventually("the reader waits", || stats().sources == 1);
    tell("waiting");
}

fn succeeds(mut child: Child) {
    assert!(child.wait().expect("it is ours").success());
}

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd)
        .expect("it is open")
        .contains(OFlags::NONBLOCK)
}

#[test]
fn lines_of_a_pipe() {
    let name = "lines_of_a_pipe";
    if is_child(name) {
        Config::new().hubs(1).apply().unwrap();
        run(|| {
            let reader = spawn(|| {
                for line in stdin().lines() {
                    tell(&line.unwrap());
                }
            });
            tell_when_it_waits();
            reader.into_result().unwrap();
        });
        return;
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut child = child(name, reader.try_clone().unwrap());
    let mut told = listen(&mut child);
    assert_eq!(told(), "waiting");
    for line in ["one", "two", "three"] {
        writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(told(), line);
        assert!(is_blocking(&reader), "the file is shared");
    }
    drop(writer);
    succeeds(child);
}

#[test]
fn a_killed_reader_consumes_nothing() {
    let name = "a_killed_reader_consumes_nothing";
    if is_child(name) {
        Config::new().hubs(1).apply().unwrap();
        run(|| {
            let victim = spawn(|| stdin().read_line(&mut String::new()).is_ok());
            support::eventually("it waits", || stats().sources == 1);
            let queued = spawn(|| stdin().read_line(&mut String::new()).is_ok());
            yield_now();
            for killed in [victim, queued] {
                killed.kill();
                assert!(matches!(killed.get(), Err(Failure::Killed)));
            }
            assert!(timeout(Duration::from_millis(5), || stdin().read(&mut [0])).is_err());
            tell("killed");
            let mut line = String::new();
            assert_eq!(stdin().read_line(&mut line).unwrap(), 5);
            assert_eq!(line, "kept\n");
            assert_eq!(stdin().read_line(&mut line).unwrap(), 0);
        });
        return;
    }
    let mut child = child(name, Stdio::piped());
    let mut told = listen(&mut child);
    assert_eq!(told(), "killed");
    child.stdin.take().unwrap().write_all(b"kept\n").unwrap();
    succeeds(child);
}

#[test]
fn every_way_to_read() {
    let name = "every_way_to_read";
    if is_child(name) {
        let check = || {
            let mut input = stdin();
            let mut line = String::new();
            assert_eq!(input.read_line(&mut line).unwrap(), 6);
            assert_eq!(line, "first\n");
            let mut exact = [0; 4];
            input.read_exact(&mut exact).unwrap();
            assert_eq!(&exact, b"abcd");
            let (mut a, mut b) = ([0; 1], [0; 2]);
            let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
            assert_eq!(input.read_vectored(&mut parts).unwrap(), 3);
            assert_eq!((&a, &b), (b"e", b"fg"));
            let mut lock = input.lock();
            assert_eq!(lock.fill_buf().unwrap()[0], b'\n');
            lock.consume(1);
            let mut until = Vec::new();
            assert_eq!(lock.read_until(b';', &mut until).unwrap(), 3);
            assert_eq!(until, b"xy;");
            drop(lock);
        };
        check();
        run(check);
        let rest = run(|| std::io::read_to_string(stdin())).unwrap();
        assert_eq!(rest.len(), 100_000);
        assert!(rest.bytes().all(|byte| byte == b'z'));
        assert_eq!(stdin().read_to_end(&mut Vec::new()).unwrap(), 0);
        assert_eq!(run(|| stdin().read(&mut [0])).unwrap(), 0);
        return;
    }
    let text = format!("{0}{0}{1}", "first\nabcdefg\nxy;", "z".repeat(100_000));
    // A pipe, then a regular file.
    let mut piped = child(name, Stdio::piped());
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    succeeds(piped);
    let path = std::env::temp_dir().join(format!("green-stdin-{}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    let reader = child(name, file.try_clone().unwrap());
    succeeds(reader);
    assert!(is_blocking(&file));
}

#[test]
fn nothing_to_read() {
    let name = "nothing_to_read";
    if is_child(name) {
        assert_eq!(stdin().read(&mut [0]).unwrap(), 0);
        assert_eq!(run(|| stdin().read_line(&mut String::new())).unwrap(), 0);
        assert!(run(|| stdin().lines().next().is_none()));
        assert!(!stdin().is_terminal() && !stdin().lock().is_terminal());
        return;
    }
    succeeds(child(name, Stdio::null()));
}

#[test]
fn a_terminal() {
    let name = "a_terminal";
    if is_child(name) {
        Config::new().hubs(1).apply().unwrap();
        run(|| {
            assert!(stdin().is_terminal());
            let reader = spawn(|| {
                for line in stdin().lines() {
                    tell(&line.unwrap());
                }
            });
            tell_when_it_waits();
            reader.into_result().unwrap();
        });
        return;
    }
    let (mut master, slave) = terminal();
    let mut child = child(name, slave.try_clone().unwrap());
    let mut told = listen(&mut child);
    assert_eq!(told(), "waiting");
    for line in ["one", "two"] {
        master.write_all(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(told(), line);
    }
    assert!(is_blocking(&slave), "the file is shared");
    master.write_all(b"\x04").unwrap(); // Control-D: the end.
    succeeds(child);
}

/// A new terminal: what a person does, and what a process has.
#[expect(unsafe_code, reason = "libc's functions")]
fn terminal() -> (File, OwnedFd) {
    use std::ffi::{CStr, OsStr};
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::os::unix::ffi::OsStrExt as _;

    // SAFETY: it takes flags, no more.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    assert!(master >= 0, "room for a terminal");
    // SAFETY: it was just opened.
    let master = unsafe { File::from_raw_fd(master) };
    // SAFETY: an open descriptor.
    assert_eq!(unsafe { libc::grantpt(master.as_raw_fd()) }, 0);
    // SAFETY: an open descriptor.
    assert_eq!(unsafe { libc::unlockpt(master.as_raw_fd()) }, 0);
    let mut path = [0_u8; 64];
    // SAFETY: an open descriptor, and a buffer of that length.
    let named =
        unsafe { libc::ptsname_r(master.as_raw_fd(), path.as_mut_ptr().cast(), path.len()) };
    assert_eq!(named, 0);
    let path = CStr::from_bytes_until_nul(&path).expect("a name");
    let slave = rustix::fs::open(
        OsStr::from_bytes(path.to_bytes()),
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    (master, slave.expect("it is unlocked"))
}

#[test]
fn two_processes_read_one_pipe() {
    let name = "two_processes_read_one_pipe";
    if is_child(name) {
        let all = run(|| stdin().lock().bytes().count());
        tell(&all.to_string());
        return;
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut children = [(); 2].map(|()| child(name, reader.try_clone().unwrap()));
    drop(reader);
    let mut told = children.each_mut().map(listen);
    for _ in 0..3_000 {
        writer.write_all(b"x").unwrap();
    }
    drop(writer);
    let counts = told.each_mut().map(|told| told().parse::<u32>().unwrap());
    assert_eq!(counts.iter().sum::<u32>(), 3_000);
    children.into_iter().for_each(succeeds);
}

/// As std's: handles shut each other out, in turn.
fn test_lock<L: 'static>(lock: fn() -> L, start: impl Fn(Box<dyn FnOnce() + Send>)) {
    let (log, steps) = (Queue::unbounded(), Queue::unbounded());
    {
        let (log, steps) = (log.clone(), steps.clone());
        start(Box::new(move || {
            let locked = lock();
            log.put("first has it").expect("it is open");
            steps.get().expect("it is open");
            log.put("first gives it back").expect("it is open");
            drop(locked);
        }));
    }
    assert_eq!(log.get().expect("it is open"), "first has it");
    {
        let log = log.clone();
        start(Box::new(move || {
            log.put("second asks").expect("it is open");
            let locked = lock();
            log.put("second has it").expect("it is open");
            drop(locked);
        }));
    }
    assert_eq!(log.get().expect("it is open"), "second asks");
    steps.put(()).expect("it is open");
    assert_eq!(log.get().expect("it is open"), "first gives it back");
    assert_eq!(log.get().expect("it is open"), "second has it");
}

#[test]
fn test_lock_stdin() {
    let os_thread = |f: Box<dyn FnOnce() + Send>| drop(std::thread::spawn(f));
    let green_thread = |f: Box<dyn FnOnce() + Send>| drop(spawn(f));
    test_lock(|| std::io::stdin().lock(), os_thread);
    test_lock(|| stdin().lock(), os_thread);
    test_lock(|| stdin().lock(), green_thread);
    run(move || test_lock(|| stdin().lock(), green_thread));
    run(move || test_lock(|| stdin().lock(), os_thread));
}

#[test]
fn panic_doesnt_poison() {
    let check = || {
        let panics = AssertUnwindSafe(|| {
            let _lock = stdin().lock();
            std::panic::resume_unwind(Box::new(()));
        });
        catch_unwind(panics).unwrap_err();
        drop(stdin().lock());
    };
    check();
    run(check);
    spawn(|| {
        let _lock = stdin().lock();
        panic!("as it should");
    })
    .into_result()
    .unwrap_err();
    drop(stdin().lock());
}

#[test]
fn looks_as_std_does() {
    assert_eq!(format!("{:?}", stdin()), format!("{:?}", std::io::stdin()));
    let (ours, theirs) = (stdin().lock(), std::io::stdin().lock());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    fn all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    fn lock<T: Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    all::<Stdin>();
    all::<std::io::Stdin>();
    lock::<StdinLock<'static>>();
    lock::<std::io::StdinLock<'static>>();
    let _shared: Arc<Stdin> = Arc::new(stdin());
}

//! Children that are waited for: by whom, how long, and what becomes of both.

#[path = "support/refusal.rs"]
mod refusal;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use green_core::process::{ChildStdin, Command, CommandExt, ExitStatusExt, Stdio};
use green_core::queue::Queue;
use green_core::{
    Config, Failure, Greenlet, blocking, joinall_timeout, no_park, run, sleep, spawn, stats,
    timeout, yield_now,
};
use rustix::fs::OFlags;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions, getrlimit, kill_process,
    setrlimit, waitid, waitpid,
};

/// A child that lives until its input is closed, and echoes it.
fn cat() -> green_core::process::Child {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a cat")
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a number")).expect("a positive one")
}

/// Reaps a child that nobody has a handle of.
fn reap(id: u32) {
    waitpid(Some(pid(id)), WaitOptions::empty()).expect("it was not reaped");
}

/// Whether a byte is there to be read.
fn readable(pipe: &std::io::PipeReader) -> bool {
    rustix::io::ioctl_fionread(pipe).expect("a pipe") > 0
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

#[test]
fn others_go_on_while_one_waits() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let mut child = cat();
        let input = child.stdin.take();
        let waiter = spawn(move || child.wait().unwrap());
        for _ in 0..10 {
            sleep(Duration::from_millis(1));
            assert!(!waiter.ready());
        }
        drop(input);
        assert!(waiter.get().unwrap().success());
    });
}

#[test]
fn wait_closes_the_input() {
    run(|| assert!(cat().wait().unwrap().success()));
    assert!(cat().wait().unwrap().success());
    assert!(
        cat()
            .wait_timeout(Duration::from_secs(60))
            .unwrap()
            .unwrap()
            .success()
    );
}

#[test]
fn wait_timeout_gives_up_and_may_be_called_again() {
    let check = || {
        let mut child = cat();
        let input = child.stdin.take();
        for _ in 0..3 {
            let begun = Instant::now();
            let limit = Duration::from_millis(5);
            assert!(child.wait_timeout(limit).unwrap().is_none());
            assert!(begun.elapsed() >= limit);
        }
        assert!(child.wait_timeout(Duration::ZERO).unwrap().is_none());
        assert!(child.try_wait().unwrap().is_none());
        drop(input);
        let status = child.wait_timeout(Duration::MAX).unwrap();
        assert!(status.unwrap().success());
        assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), status);
        assert_eq!(child.try_wait().unwrap(), status);
    };
    check();
    run(check);
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn a_timeout_scope_ends_a_wait_and_the_child_lives() {
    let check = || {
        let mut child = cat();
        let input = child.stdin.take();
        assert!(timeout(Duration::from_millis(5), || child.wait()).is_err());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(input);
    };
    check();
    run(check);
}

#[test]
fn a_killed_waiter_leaves_its_child_running() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let mut child = cat();
        let (id, mut input, mut output) = (
            child.id(),
            child.stdin.take().unwrap(),
            child.stdout.take().unwrap(),
        );
        let waiter = spawn(move || child.wait().is_ok());
        yield_now();
        waiter.kill();
        assert!(matches!(waiter.get(), Err(Failure::Killed)));
        input.write_all(b"alive").unwrap();
        let mut said = [0; 5];
        output.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"alive");
        drop(input);
        assert_eq!(output.read(&mut said).unwrap(), 0);
        reap(id);
    });
    assert_eq!(stats().sources, 0);
}

#[test]
fn a_killed_starter_has_its_child() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let started = Queue::unbounded();
        let theirs = started.clone();
        let victim: Greenlet<()> = spawn(move || {
            theirs.put(cat()).ok();
            sleep(Duration::from_secs(1_000));
        });
        yield_now();
        victim.kill();
        assert!(matches!(victim.get(), Err(Failure::Killed)));
        let mut child = started.try_get().expect("`spawn` is not cut short");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn inside_no_park_nothing_is_started() {
    let refused = run(move || {
        let attempt = std::panic::AssertUnwindSafe(|| no_park(|| cat().id()));
        std::panic::catch_unwind(attempt).is_err()
    });
    assert!(refused);
    assert!(waitpid(None, WaitOptions::NOHANG).is_err(), "no child");
}

#[test]
fn a_command_that_could_not_be_started_is_as_it_was() {
    let mut command = shell("exit 7");
    run(move || {
        let attempt = std::panic::AssertUnwindSafe(|| no_park(|| command.spawn().is_ok()));
        assert!(std::panic::catch_unwind(attempt).is_err());
        assert_eq!(command.get_program(), "/bin/sh");
        let refused = refusal::without_os_threads(|| command.spawn());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(waitpid(None, WaitOptions::NOHANG).is_err(), "no child");
        assert_eq!(command.status().unwrap().code(), Some(7));
    });
}

#[test]
fn the_child_of_an_interrupted_call_is_reaped_when_it_ends() {
    let check = |call: fn(&mut Command)| {
        let (reader, writer) = green_core::io::pipe().unwrap();
        let mut command = Command::new("cat");
        command.stdin(reader);
        assert!(timeout(Duration::from_millis(20), || call(&mut command)).is_err());
        let is_there = || {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::All, look).is_ok()
        };
        assert!(is_there());
        drop((command, writer));
        support::eventually("it is reaped", || !is_there());
    };
    let calls: [fn(&mut Command); 2] = [
        |command| drop(command.output()),
        |command| drop(command.status()),
    ];
    for call in calls {
        check(call);
        run(move || check(call));
    }
}

#[test]
fn children_that_are_slow_to_start_keep_no_other_from_starting() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let slow: Vec<_> = (0..9)
            .map(|_| {
                let (gate, opener) = std::io::pipe().unwrap();
                let (mut here, tell) = std::io::pipe().unwrap();
                let mut command = Command::new("true");
                // SAFETY: the closure uses pipes, no more.
                #[expect(unsafe_code, reason = "`pre_exec`")]
                unsafe {
                    command.pre_exec(move || {
                        rustix::io::write(&tell, b"x")?;
                        Ok(rustix::io::read(&gate, &mut [0]).map(drop)?)
                    })
                };
                let slow = spawn(move || command.status().unwrap().success());
                while !slow.ready() && !readable(&here) {
                    sleep(Duration::from_millis(1));
                }
                here.read_exact(&mut [0]).unwrap();
                (slow, opener)
            })
            .collect();
        assert!(Command::new("true").status().unwrap().success());
        for (slow, mut opener) in slow {
            assert!(!slow.ready());
            opener.write_all(b"x").unwrap();
            assert!(slow.get().unwrap());
        }
    });
}

#[test]
fn a_stream_that_is_a_file_is_read_to_its_end() {
    let check = || {
        let path = std::env::temp_dir().join(format!("green-stream-{}", std::process::id()));
        std::fs::write(&path, "from a file").unwrap();
        let mut child = shell("echo err >&2")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout = Some(OwnedFd::from(std::fs::File::open(&path).unwrap()).into());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"from a file");
        assert_eq!(output.stderr, b"err\n");
        std::fs::remove_file(&path).unwrap();
    };
    check();
    run(check);
}

#[test]
fn a_missing_program_is_not_found() {
    let check = || {
        let mut command = Command::new("/no/such/program");
        for _ in 0..2 {
            assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(command.status().unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(command.output().unwrap_err().kind(), ErrorKind::NotFound);
        }
        let folder = Command::new("/").spawn().unwrap_err();
        assert_eq!(folder.kind(), ErrorKind::PermissionDenied);
    };
    check();
    run(check);
}

#[test]
fn much_output_on_both_streams_at_once() {
    let check = || {
        let script = "i=0; while [ $i -lt 40 ]; do \
             head -c 10000 /dev/zero; head -c 10000 /dev/zero >&2; i=$((i+1)); done; \
             head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        let output = shell(script).output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (700_000, 700_000)
        );
    };
    check();
    run(check);
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn a_child_that_closes_its_streams_early() {
    run(|| {
        let child = shell("echo a; echo b >&2; exec >&- 2>&-; read line; exit 7")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(
            (&output.stdout[..], &output.stderr[..]),
            (&b"a\n"[..], &b"b\n"[..])
        );
    });
}

#[test]
fn output_waits_for_whoever_holds_the_stream() {
    run(|| {
        let mut child = shell("sleep 1000 & echo $!")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut number = [0; 32];
        let length = output.read(&mut number).unwrap();
        assert!(child.wait().unwrap().success());
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || output.read(&mut [0])).is_err());
        let number = std::str::from_utf8(&number[..length]).unwrap().trim();
        kill_process(pid(number.parse().unwrap()), Signal::KILL).unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn an_interrupted_output_leaves_the_child_to_itself() {
    run(|| {
        let child = cat();
        let id = child.id();
        let mut child = Some(child);
        let input: Arc<std::sync::OnceLock<ChildStdin>> = Arc::default();
        let theirs = Arc::clone(&input);
        let limit = Duration::from_millis(5);
        let ended = timeout(limit, || {
            let mut child = child.take().unwrap();
            theirs.set(child.stdin.take().unwrap()).ok();
            child.wait_with_output()
        });
        assert!(ended.is_err());
        drop((input, theirs));
        reap(id);
    });
    assert_eq!(stats().sources, 0);
}

#[test]
fn a_chosen_stream_stays_and_a_capture_does_not() {
    run(|| {
        let mut command = shell("echo out; echo err >&2; cat");
        command.stderr(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"");
        command.stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert!(child.wait_with_output().unwrap().status.success());
    });
}

#[test]
fn a_child_gets_its_streams_in_blocking_mode() {
    run(|| {
        let (reader, writer) = green_core::io::pipe().unwrap();
        let other = reader.try_clone().unwrap();
        for end in [reader, other] {
            let mut command = Command::new("cat");
            let shown = command
                .arg("/proc/self/fdinfo/0")
                .stdin(end)
                .output()
                .unwrap();
            let shown = String::from_utf8(shown.stdout).unwrap();
            let flags = shown
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_eq!(flags & OFlags::NONBLOCK.bits(), 0, "{shown}");
        }
        drop(writer);
        let mut child = cat();
        let output: OwnedFd = child.stdout.take().unwrap().into();
        let flags = rustix::fs::fcntl_getfl(&output).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        child.wait().unwrap();
    });
}

#[test]
fn every_kind_of_caller_waits() {
    let check = || {
        let mut child = cat();
        child.stdin.as_mut().unwrap().write_all(b"hi").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"hi");
        assert!(cat().wait().unwrap().success());
    };
    let green: Vec<_> = (0..10).map(|_| spawn(check)).collect();
    // SAFETY: nothing in the closure depends on the OS thread.
    #[expect(unsafe_code, reason = "may's spawn is unsafe")]
    let may: Vec<_> = (0..10)
        .map(|_| unsafe { green_core::may::spawn(check) })
        .collect();
    check();
    for one in green.into_iter().chain(may) {
        one.into_result().unwrap();
    }
}

#[test]
fn without_a_pidfd_an_os_thread_of_its_own_waits() {
    Config::new().hubs(1).blocking_threads(1).apply().ok();
    let files = getrlimit(Resource::Nofile);
    run(move || {
        let mut child = cat();
        let input = child.stdin.take();
        // No descriptor is left: no pidfd can be opened.
        let none = Rlimit {
            current: Some(0),
            ..files
        };
        setrlimit(Resource::Nofile, none).unwrap();
        for _ in 0..100 {
            assert!(
                child
                    .wait_timeout(Duration::from_micros(10))
                    .unwrap()
                    .is_none()
            );
        }
        assert!(timeout(Duration::from_millis(5), || child.wait()).is_err());
        assert_eq!(stats().sources, 0);
        // It is not one of the pool's, which are counted.
        assert_eq!(blocking(|| 1), 1);
        setrlimit(Resource::Nofile, files).unwrap();
        let waiting = refusal::os_threads("green-apart");
        assert_eq!(waiting, 1, "one job, however often one waits");
        drop(input);
        assert!(child.wait().unwrap().success());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn where_children_are_reaped_by_the_kernel_a_wait_fails_as_stds_does() {
    // SAFETY: no handler is installed: the signal is ignored.
    #[expect(unsafe_code, reason = "nobody offers it safely")]
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN)
    };
    let theirs = std::process::Command::new("true")
        .spawn()
        .unwrap()
        .wait()
        .unwrap_err();
    let check = move || {
        let ours = cat().wait().unwrap_err();
        assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
    };
    check();
    run(check);
}

#[test]
fn nothing_is_left_open() {
    let check = || {
        for _ in 0..20 {
            let mut child = cat();
            let _later = child.wait_timeout(Duration::ZERO).unwrap();
            child.wait().unwrap();
            assert!(shell("echo").output().unwrap().status.success());
            drop(green_core::io::pipe().unwrap());
        }
    };
    run(check);
    let before = open_files();
    run(check);
    assert_eq!(open_files(), before);
    assert_eq!(stats().sources, 0);
}

#[test]
fn others_go_on_while_a_child_starts() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (gate, mut opener) = std::io::pipe().unwrap();
        let mut command = Command::new("true");
        // SAFETY: the closure reads a pipe, no more.
        #[expect(unsafe_code, reason = "`pre_exec`")]
        unsafe {
            command.pre_exec(move || Ok(rustix::io::read(&gate, &mut [0]).map(drop)?))
        };
        // Until then, `spawn` does not return.
        let opens = spawn(move || opener.write_all(b"x").unwrap());
        assert!(command.spawn().unwrap().wait().unwrap().success());
        assert!(opens.ready());
    });
}

#[test]
fn a_thousand_children_of_one_hub() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        let bystander = spawn(move || {
            let mut turns = 0;
            while !theirs.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(1));
                turns += 1;
            }
            turns
        });
        let children: Vec<_> = (0..1_000)
            .map(|_| spawn(|| Command::new("true").status().unwrap().success()))
            .collect();
        let done = joinall_timeout(&children, Duration::from_secs(100));
        assert_eq!(done.len(), children.len());
        assert!(children.iter().all(|child| child.get().unwrap()));
        ended.store(true, Ordering::Relaxed);
        assert!(bystander.get().unwrap() > 2);
    });
    assert_eq!(stats().sources, 0);
}

//! Rows of gevent's whose names are std's here: LCK-11, LCK-12, LOC-01, CTX-01, SUB-01 to SUB-03, OS-05, TIM-01, THR-01 and
//! THR-02. That each type does what std's does is tested by `std_parity_*`; here is what gevent adds: that nobody else waits.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::process::Command;
use green_core::sync::{Barrier, Condvar, LazyLock, Mutex, Once, RwLock, mpsc};
use green_core::{spawn, spawn_later, thread, timeout, yield_now};

const SHORT: Duration = Duration::from_millis(5);
const EVER: Duration = Duration::from_secs(600);

on_hubs!(
    on_one_hub,
    1,
    [
        lck_11_a_lock_that_is_taken_makes_its_caller_wait_and_nobody_else,
        lck_12_conditions_barriers_and_the_rest_wait_for_green_threads,
        loc_01_ctx_01_values_of_its_own_for_each_green_thread,
        sub_01_a_child_runs_beside_green_threads,
        sub_02_wait_with_a_limit_and_kill,
        sub_02_communicate_writes_and_reads_at_once,
        sub_03_call_and_check_output,
        os_05_children_are_waited_for_by_handle,
        tim_01_sleep_is_not_early_and_lets_others_run,
        thr_01_threads_are_green_threads,
        thr_02_a_timer_is_spawn_later_and_kill,
    ]
);

/// A green thread that counts its turns, until it is dropped: those who share its hub with it show whether it had any.
struct Neighbour {
    turns: Arc<AtomicUsize>,
    greenlet: green_core::Greenlet<()>,
}

impl Neighbour {
    fn new() -> Self {
        let turns = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&turns);
        let greenlet = spawn(move || {
            loop {
                theirs.fetch_add(1, Ordering::Relaxed);
                green_core::sleep(Duration::from_micros(100));
            }
        });
        Self { turns, greenlet }
    }

    /// Runs `f`, while which the neighbour has turns.
    fn runs_beside<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = self.turns.load(Ordering::Relaxed);
        let value = f();
        assert!(self.turns.load(Ordering::Relaxed) > before);
        value
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.greenlet.kill();
    }
}

fn lck_11_a_lock_that_is_taken_makes_its_caller_wait_and_nobody_else() {
    let mutex = Arc::new(Mutex::new(1));
    let theirs = Arc::clone(&mutex);
    let holder = spawn(move || {
        let mut guard = theirs.lock().unwrap();
        green_core::sleep(SHORT);
        *guard = 2;
    });
    yield_now();
    assert!(mutex.try_lock().is_err());
    let value = Neighbour::new().runs_beside(|| *mutex.lock().unwrap());
    assert_eq!(value, 2);
    holder.join();
}

fn lck_12_conditions_barriers_and_the_rest_wait_for_green_threads() {
    static LAZY: LazyLock<u32> = LazyLock::new(|| (green_core::sleep(SHORT), 7).1);
    let neighbour = Neighbour::new();
    assert_eq!(neighbour.runs_beside(|| *LAZY), 7);
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&pair);
    spawn_later(SHORT, move || {
        *theirs.0.lock().unwrap() = true;
        theirs.1.notify_all();
    });
    let is_set = || {
        let guard = pair.0.lock().unwrap();
        *pair.1.wait_while(guard, |set| !*set).unwrap()
    };
    assert!(neighbour.runs_beside(is_set));
    let (guard, late) = pair.1.wait_timeout(pair.0.lock().unwrap(), SHORT).unwrap();
    assert!(late.timed_out() && *guard);
    drop(guard);
    let barrier = Arc::new(Barrier::new(2));
    let theirs = Arc::clone(&barrier);
    let other = spawn_later(SHORT, move || theirs.wait().is_leader());
    let leads = neighbour.runs_beside(|| barrier.wait().is_leader());
    assert!(leads != other.get().unwrap());
    let lock = RwLock::new(0);
    drop((lock.read().unwrap(), lock.read().unwrap()));
    *lock.write().unwrap() += 1;
    let once = Once::new();
    once.call_once(|| green_core::sleep(SHORT));
    assert!(once.is_completed());
    let (sender, receiver) = mpsc::channel();
    spawn_later(SHORT, move || sender.send(7));
    assert_eq!(neighbour.runs_beside(|| receiver.recv()), Ok(7));
}

fn loc_01_ctx_01_values_of_its_own_for_each_green_thread() {
    green_core::local! {
        static REQUEST: RefCell<String> = RefCell::new(String::from("none"));
    }
    REQUEST.set("outer".into());
    let all = ["first", "second"].map(|name| {
        spawn(move || {
            let found = REQUEST.replace(name.into());
            yield_now();
            (found, REQUEST.take())
        })
    });
    for (g, name) in all.iter().zip(["first", "second"]) {
        assert_eq!(g.get().unwrap(), ("none".into(), name.into()));
    }
    assert_eq!(REQUEST.take(), "outer");
}

fn sub_01_a_child_runs_beside_green_threads() {
    let sleeps = || Command::new("sleep").arg("0.05").status();
    assert!(Neighbour::new().runs_beside(sleeps).unwrap().success());
}

fn sub_02_wait_with_a_limit_and_kill() {
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    assert!(child.wait_timeout(SHORT).unwrap().is_none());
    assert!(timeout(SHORT, || child.wait()).is_err());
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(child.wait_timeout(EVER).unwrap().is_some());
}

/// More than a pipe holds.
const MUCH: usize = 300_000;

fn sub_02_communicate_writes_and_reads_at_once() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = spawn(move || stdin.write_all(&vec![7; MUCH]).is_ok());
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_end(&mut output).unwrap();
    assert!(writer.get().unwrap() && output == vec![7; MUCH]);
    assert!(child.wait().unwrap().success());
}

fn sub_03_call_and_check_output() {
    let status = Command::new("sh").args(["-c", "exit 3"]).status().unwrap();
    assert_eq!(status.code(), Some(3));
    let output = Command::new("sh")
        .args(["-c", "echo out; echo err >&2"])
        .output()
        .unwrap();
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"out\n"[..], &b"err\n"[..])
    );
}

fn os_05_children_are_waited_for_by_handle() {
    let children = ["1", "2"].map(|code| {
        let exits = format!("exit {code}");
        Command::new("sh").args(["-c", &exits]).spawn().unwrap()
    });
    let [first, second] = children.map(|mut child| {
        spawn(move || {
            // As often as one likes.
            let status = child.wait().unwrap();
            assert_eq!(child.wait().unwrap(), status);
            status.code()
        })
    });
    assert_eq!(
        (second.get().unwrap(), first.get().unwrap()),
        (Some(2), Some(1))
    );
}

fn tim_01_sleep_is_not_early_and_lets_others_run() {
    let start = Instant::now();
    Neighbour::new().runs_beside(|| thread::sleep(SHORT));
    assert!(start.elapsed() >= SHORT);
}

fn thr_01_threads_are_green_threads() {
    let here = std::thread::current().id();
    let other = thread::Builder::new().name("mine".into());
    let other = other.spawn(move || {
        assert_eq!(
            std::thread::current().id(),
            here,
            "on the OS thread of the only hub"
        );
        thread::park();
        (
            thread::current().name().map(str::to_owned),
            thread::current().id(),
        )
    });
    let other = other.unwrap();
    yield_now();
    let id = other.thread().id();
    assert!(id != thread::current().id() && !other.is_finished());
    other.thread().unpark();
    assert_eq!(other.join().unwrap(), (Some("mine".into()), id));
}

fn thr_02_a_timer_is_spawn_later_and_kill() {
    let fired = Arc::new(AtomicUsize::new(0));
    let timers = [SHORT, EVER].map(|delay| {
        let fired = Arc::clone(&fired);
        spawn_later(delay, move || _ = fired.fetch_add(1, Ordering::SeqCst))
    });
    timers[0].join();
    timers[1].kill();
    assert_eq!(fired.load(Ordering::SeqCst), 1);
}

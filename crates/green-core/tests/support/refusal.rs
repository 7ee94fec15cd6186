//! A system that refuses OS threads.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Runs `f` while there is no address space for another stack.
pub(crate) fn without_os_threads<R>(f: impl FnOnce() -> R) -> R {
    let_hubs_start();
    let before = getrlimit(Resource::As);
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = pages
        .split(' ')
        .next()
        .and_then(|size| size.parse().ok())
        .expect("a number");
    let tight = Rlimit {
        current: Some(pages * rustix::param::page_size() as u64 + (1 << 20)),
        ..before
    };
    setrlimit(Resource::As, tight).expect("it is lower");
    let result = f();
    setrlimit(Resource::As, before).expect("it was so before");
    result
}

/// Waits until each hub has run something: one that has only just been started needs memory, too.
fn let_hubs_start() {
    for hub in 0..green_core::stats().hubs {
        let started = green_core::Builder::new().hub(hub).spawn(|| ());
        started.expect("there is that hub, and room").join();
    }
}

/// How many OS threads of this process have this name.
pub(crate) fn os_threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|comm| comm.trim() == name)
        .count()
}

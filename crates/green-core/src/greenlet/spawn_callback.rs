//! Functions that are called for each green thread that is started; gevent's `add_spawn_callback`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use slab::Slab;

use super::RawGreenlet;
use crate::engine::make_room;
use crate::sched::record::ControlRef;
use crate::timeout::no_park;

/// Identifies what [`add_spawn_callback`] added.
#[derive(Debug)]
pub struct SpawnCallback {
    key: usize,
}

type Callback = Arc<dyn Fn(&RawGreenlet) + Send + Sync>;

/// All of them.
static CALLBACKS: Mutex<Slab<Callback>> = Mutex::new(Slab::new());

/// Whether there is one: what every spawn looks at.
static ANY: AtomicBool = AtomicBool::new(false);

/// Calls `f` for each green thread that is started from now on, by whoever starts it, before it runs.
///
/// `f` must neither block nor panic; a panic is logged, and the green thread runs all the same.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use green_core::{add_spawn_callback, remove_spawn_callback, spawn};
///
/// static STARTED: AtomicUsize = AtomicUsize::new(0);
/// let callback = add_spawn_callback(|_| _ = STARTED.fetch_add(1, Ordering::Relaxed));
/// spawn(|| ()).join();
/// remove_spawn_callback(callback);
/// spawn(|| ()).join();
/// assert_eq!(STARTED.load(Ordering::Relaxed), 1);
/// ```
pub fn add_spawn_callback(f: impl Fn(&RawGreenlet) + Send + Sync + 'static) -> SpawnCallback {
    let f = Arc::new(f);
    make_room();
    let mut callbacks = CALLBACKS.lock();
    let key = callbacks.insert(f);
    ANY.store(true, Ordering::Relaxed);
    SpawnCallback { key }
}

/// Calls it no more.
pub fn remove_spawn_callback(callback: SpawnCallback) {
    make_room();
    let mut callbacks = CALLBACKS.lock();
    let removed = callbacks.try_remove(callback.key);
    ANY.store(!callbacks.is_empty(), Ordering::Relaxed);
    drop(callbacks);
    drop(removed);
}

/// A green thread is started.
#[inline]
pub(super) fn call(control: &ControlRef) {
    if ANY.load(Ordering::Relaxed) {
        call_all(control);
    }
}

#[cold]
fn call_all(control: &ControlRef) {
    make_room();
    let callbacks: Vec<Callback> = {
        let callbacks = CALLBACKS.lock();
        callbacks.iter().map(|(_, one)| Arc::clone(one)).collect()
    };
    let greenlet = RawGreenlet::new(control.clone());
    for callback in callbacks {
        let called = catch_unwind(AssertUnwindSafe(|| no_park(|| callback(&greenlet))));
        if called.is_err() {
            log::error!("green: a spawn callback panicked");
        }
    }
}

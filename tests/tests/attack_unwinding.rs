//! What ends an unwinding, and what it means for poison and kills.
use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::{Builder, Greenlet, sleep, spawn, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

struct OnDrop<F: FnMut()>(F);
impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn on0<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

/// B: nested caught panic during a kill poisons.
#[test]
fn kill_with_a_caught_panic_in_a_destructor_does_not_poison() {
    let m = Arc::new(Mutex::new(0));
    let (m2, held) = (m.clone(), Arc::new(Event::new()));
    let h2 = held.clone();
    let g = on0(move || {
        let _g = m2.lock().unwrap();
        let _d = OnDrop(|| {
            catch_unwind(|| panic!("inner")).unwrap_err();
        });
        h2.set();
        sleep(Duration::MAX);
    });
    held.wait();
    g.kill();
    assert!(!m.is_poisoned());
}

/// One kill is delivered once.
#[test]
fn one_kill_once() {
    let caught = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (c2, s2) = (caught.clone(), stop.clone());
    let started = Arc::new(Event::new());
    let is_started = started.clone();
    let g = on0(move || {
        is_started.set();
        while !s2.load(SeqCst) {
            if catch_unwind(yield_now).is_err() {
                c2.fetch_add(1, SeqCst);
                if catch_unwind(|| sleep(Duration::from_micros(200))).is_err() {
                    c2.fetch_add(1, SeqCst);
                }
            }
        }
    });
    let hogs: Vec<_> = (0..4)
        .map(|_| {
            let s = stop.clone();
            std::thread::spawn(move || {
                while !s.load(SeqCst) {
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    let begun = Instant::now();
    let mut kills = 0;
    let mut bad = None;
    // Before that, the first kill would end it.
    started.wait();
    while begun.elapsed() < Duration::from_millis(2500) {
        g.kill_nowait();
        kills += 1;
        let t = Instant::now();
        while caught.load(SeqCst) < kills {
            std::thread::yield_now();
            assert!(t.elapsed() < Duration::from_secs(2));
        }
        std::thread::sleep(Duration::from_micros(300));
        let c = caught.load(SeqCst);
        if c > kills {
            bad = Some((kills, c));
            break;
        }
    }
    stop.store(true, SeqCst);
    g.join();
    for h in hogs {
        h.join().unwrap();
    }
    assert_eq!(bad, None, "after {kills}");
}

/// Program's own resume_unwind of a panic inside timeouts, with a caught kill before: poisons.
#[test]
fn caught_kill_then_resume_unwind_poisons() {
    let m = Arc::new(Mutex::new(0));
    let m2 = m.clone();
    let ready = Arc::new(Event::new());
    let r2 = ready.clone();
    let g = spawn(move || {
        catch_unwind(AssertUnwindSafe(|| {
            r2.set();
            sleep(Duration::MAX);
        }))
        .unwrap_err();
        let _g = m2.lock().unwrap();
        resume_unwind(Box::new(7));
    });
    ready.wait();
    g.kill();
    assert!(m.is_poisoned());
}

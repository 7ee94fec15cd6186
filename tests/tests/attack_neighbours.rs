//! Green threads that unwind beside others that are parked while they unwind.
use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::{Builder, Failure, Greenlet, sleep};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

struct OnDrop<F: FnMut()>(F);
impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn on0<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}
fn parked() -> (Greenlet<()>, Arc<Event>) {
    let (i, g) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (i2, g2) = (i.clone(), g.clone());
    let a = on0(move || {
        let _d = OnDrop(|| {
            i2.set();
            g2.wait();
        });
        panic!("a");
    });
    i.wait();
    (a, g)
}

#[test]
fn panic_resume_beside_unwinder_poisons() {
    let (a, go) = parked();
    let m = Arc::new(Mutex::new(0));
    let m2 = m.clone();
    let g = on0(move || {
        let inner = on0(|| panic!("inner"));
        let Err::<(), _>(Failure::Panicked(p)) = inner.into_result() else {
            unreachable!()
        };
        let _g = m2.lock().unwrap();
        p.resume();
    });
    g.join();
    go.set();
    a.join();
    assert!(m.is_poisoned());
}

#[test]
fn panic_resume_beside_unwinder_kill_in_destructor() {
    let (a, go) = parked();
    let i = Arc::new(Event::new());
    let i2 = i.clone();
    let g = on0(move || {
        let inner = on0(|| panic!("inner"));
        let Err::<(), _>(Failure::Panicked(p)) = inner.into_result() else {
            unreachable!()
        };
        let _d = OnDrop(|| {
            i2.set();
            sleep(Duration::from_millis(50));
        });
        p.resume();
    });
    i.wait();
    g.kill();
    go.set();
    a.join();
}

#[test]
fn unknown_unwinder_left_over_makes_innocents_unkillable() {
    let (a, go) = parked();
    let (i, go_b) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (i2, go_b2) = (i.clone(), go_b.clone());
    let b = on0(move || {
        let _d = OnDrop(|| {
            i2.set();
            go_b2.wait();
        });
        resume_unwind(Box::new(1));
    });
    i.wait();
    go.set();
    a.join();
    let ready = Arc::new(Event::new());
    let r2 = ready.clone();
    let m = Arc::new(Mutex::new(0));
    let m2 = m.clone();
    let c = on0(move || {
        r2.set();
        let m = m2.lock().unwrap();
        sleep(Duration::from_secs(600));
        drop(m);
    });
    ready.wait();
    let died = c.kill_timeout(Duration::from_millis(300));
    go_b.set();
    b.join();
    assert!(died, "kill deferred");
}

#[test]
fn unknown_unwinder_left_over_poisons_innocents() {
    let (a, go) = parked();
    let m = Arc::new(Mutex::new(0));
    let (m2, locked, give) = (m.clone(), Arc::new(Event::new()), Arc::new(Event::new()));
    let (l2, gi2) = (locked.clone(), give.clone());
    let c = on0(move || {
        let m = m2.lock().unwrap();
        l2.set();
        gi2.wait();
        drop(m);
    });
    locked.wait();
    let (i, go_b) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (i2, go_b2) = (i.clone(), go_b.clone());
    let b = on0(move || {
        let _d = OnDrop(|| {
            i2.set();
            go_b2.wait();
        });
        resume_unwind(Box::new(1));
    });
    i.wait();
    go.set();
    a.join();
    give.set();
    c.join();
    go_b.set();
    b.join();
    assert!(!m.is_poisoned());
}

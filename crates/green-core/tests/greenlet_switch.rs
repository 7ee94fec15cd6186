//! Explicit switches between the green threads of one hub.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use green_core::event::Event;
use green_core::greenlet::{Switch, SwitchError, switch};
use green_core::queue::Queue;
use green_core::{Config, run, sleep, spawn_local, stats, timeout, yield_now};
use support::eventually;

type Log = Rc<RefCell<Vec<String>>>;

/// Runs `body` in a green thread and checks that nothing is left of its parties.
fn in_green_thread(body: fn()) {
    run(body);
    eventually("all have ended", || stats().live == 0);
}

#[test]
fn switch_passes_values_both_ways() {
    in_green_thread(|| {
        let party = Switch::new(|first: u32| {
            assert_eq!(first, 1);
            assert_eq!(switch(2_u32), Ok(3));
            4
        });
        assert!(!party.started() && !party.dead());
        assert_eq!(party.switch(1), Ok(2));
        assert!(party.started() && !party.dead());
        assert_eq!(party.switch(3), Ok(4));
        assert!(!party.started() && party.dead());
    });
}

#[test]
fn switch_is_symmetric() {
    in_green_thread(|| {
        let log = Log::default();
        let pong: Rc<RefCell<Option<Switch<u32>>>> = Rc::default();
        let (theirs, other) = (Rc::clone(&log), Rc::clone(&pong));
        let ping = Switch::new(move |mut n| {
            let pong = other.borrow_mut().take().expect("it was set");
            while n < 6 {
                theirs.borrow_mut().push(format!("ping {n}"));
                n = pong.switch(n + 1).expect("pong waits");
            }
            n
        });
        let (theirs, other) = (Rc::clone(&log), ping.clone());
        *pong.borrow_mut() = Some(Switch::new(move |mut n| {
            loop {
                theirs.borrow_mut().push(format!("pong {n}"));
                n = other.switch(n + 1).expect("ping waits");
            }
        }));
        assert_eq!(ping.switch(0), Ok(6));
        let expected = ["ping 0", "pong 1", "ping 2", "pong 3", "ping 4", "pong 5"];
        assert_eq!(*log.borrow(), expected);
    });
}

#[test]
fn switch_runs_one_of_them_at_a_time() {
    in_green_thread(|| {
        let turn = Rc::new(Cell::new(0));
        let parties: Vec<_> = (1..=4)
            .map(|me| {
                let turn = Rc::clone(&turn);
                Switch::new(move |mut n: u32| {
                    loop {
                        turn.set(me);
                        yield_now();
                        sleep(Duration::from_micros(100));
                        assert_eq!(turn.get(), me, "another one has run");
                        n = switch(n + 1).expect("the parent waits");
                    }
                })
            })
            .collect();
        let mut n = 0;
        for round in 0..10 {
            for party in &parties {
                n = party.switch(n).unwrap();
            }
            assert_eq!(n, (round + 1) * 4);
        }
    });
}

#[test]
fn switch_may_block_on_io_in_between() {
    in_green_thread(|| {
        let (reader, mut writer) = green_core::io::pipe().unwrap();
        let lines = Switch::new(move |_: Option<u8>| {
            for byte in BufReader::new(reader).bytes() {
                switch(Some(byte.expect("a pipe"))).expect("the parent waits");
            }
            None
        });
        let writes = spawn_local(move || {
            for byte in *b"hello" {
                sleep(Duration::from_millis(1));
                writer.write_all(&[byte]).unwrap();
            }
        });
        let mut text = Vec::new();
        while let Some(byte) = lines.switch(None).unwrap() {
            text.push(byte);
        }
        assert_eq!(text, b"hello");
        writes.join();
    });
}

#[test]
fn switch_others_run_meanwhile() {
    Config::new().hubs(1).apply().unwrap();
    in_green_thread(|| {
        let count = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&count);
        let other = spawn_local(move || {
            for _ in 0..100 {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        let party = Switch::new(|mut n: u32| {
            loop {
                n = switch(n + 1).expect("the parent waits");
            }
        });
        let mut n = 0;
        while count.get() < 100 {
            n = party.switch(n).unwrap();
        }
        other.join();
        // A round is two switches, the other has one turn in each.
        assert!((30..=300).contains(&n), "{n}");
    });
}

#[test]
fn switch_to_oneself_returns_the_value() {
    in_green_thread(|| {
        assert_eq!(Switch::current().switch(5), Ok(5));
        let party = Switch::new(|n: u32| Switch::current().switch(n + 1).unwrap());
        assert_eq!(party.switch(1), Ok(2));
    });
}

#[test]
fn switch_to_the_dead_gives_the_value_back() {
    in_green_thread(|| {
        let party = Switch::new(|s: String| s);
        assert_eq!(party.switch("a".into()).unwrap(), "a");
        let back = party.switch("b".into());
        assert_eq!(back, Err(SwitchError::Dead("b".into())));
        assert_eq!(
            back.unwrap_err().to_string(),
            "switch to a party that has ended"
        );
    });
}

#[test]
fn switch_to_one_that_waits_for_something_else_gives_the_value_back() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| {
            sleep(Duration::from_millis(20));
            n
        });
        let theirs = party.clone();
        let second = spawn_local(move || theirs.switch(2));
        let first = party.switch(1);
        assert_eq!(first, Ok(1));
        assert_eq!(second.get().unwrap(), Err(SwitchError::Running(2)));
    });
}

#[test]
fn switch_without_a_parent() {
    in_green_thread(|| {
        assert_eq!(switch(1_u8), Err(SwitchError::Dead(1)));
        assert!(Switch::<u8>::current().parent().is_none());
        assert!(!Switch::<u8>::current().dead() && Switch::<u8>::current().started());
    });
}

#[test]
#[should_panic(expected = "a switch outside a green thread: wrap main in green::run")]
fn switch_outside_a_green_thread_panics() {
    drop(Switch::new(|n: u32| n));
}

#[test]
fn parent_is_who_made_it() {
    in_green_thread(|| {
        let me = Switch::<u32>::current();
        let outer = Switch::new(move |n| {
            let inner = Switch::new(|n: u32| n + 1);
            assert!(inner.parent() == Some(Switch::current()));
            assert!(Switch::<u32>::current().parent() == Some(me));
            inner.switch(n).unwrap()
        });
        assert_eq!(outer.switch(1), Ok(2));
    });
}

#[test]
fn parent_gets_the_turn_whoever_had_switched() {
    in_green_thread(|| {
        // Both are children of this one; the second is switched to by the first.
        let second = Switch::new(|n: u32| n * 10);
        let theirs = second.clone();
        let first = Switch::new(move |n: u32| theirs.switch(n + 1).unwrap());
        assert_eq!(first.switch(1), Ok(20));
        assert!(second.dead() && !first.dead());
        assert_eq!(first.switch(7), Ok(7));
    });
}

#[test]
fn parent_that_has_ended_is_passed_over() {
    in_green_thread(|| {
        let slot: Rc<RefCell<Option<Switch<u32>>>> = Rc::default();
        let theirs = Rc::clone(&slot);
        let outer = Switch::new(move |n: u32| {
            *theirs.borrow_mut() = Some(Switch::new(|n| n + 1));
            n
        });
        assert_eq!(outer.switch(1), Ok(1));
        let inner = slot.borrow_mut().take().expect("it was made");
        assert_eq!(inner.switch(1), Ok(2));
    });
}

#[test]
fn without_a_parent_that_waits_the_turn_goes_back() {
    in_green_thread(|| {
        let (made, may_end) = (Queue::unbounded(), Rc::new(Event::new()));
        let (theirs, waits) = (Rc::new(made), Rc::clone(&may_end));
        let made = Rc::clone(&theirs);
        let maker = spawn_local(move || {
            assert!(theirs.put(Switch::new(|n: u32| n + 1)).is_ok());
            waits.wait();
            assert!(theirs.put(Switch::new(|n: u32| n + 2)).is_ok());
        });
        // Its parent waits for something else, then has ended.
        assert_eq!(made.get().expect("it is open").switch(1), Ok(2));
        may_end.set();
        maker.join();
        assert_eq!(made.get().expect("it is open").switch(1), Ok(3));
    });
}

#[test]
fn without_a_body_the_turn_goes_back_at_the_end() {
    in_green_thread(|| {
        let (end, switched) = (Rc::new(Event::new()), Rc::new(Event::new()));
        let (theirs, made) = (Rc::clone(&end), Rc::new(Queue::unbounded()));
        let (waits, slot) = (Rc::clone(&switched), Rc::clone(&made));
        let answers = spawn_local(move || {
            assert!(slot.put(Switch::<u32>::current()).is_ok());
            let child = Switch::new(move |n: u32| {
                theirs.wait();
                n
            });
            assert_eq!(child.switch(1), Ok(2));
            waits.set();
        });
        let party = made.get().expect("it is open");
        yield_now();
        let switched_to = timeout(Duration::from_secs(5), || party.switch(2));
        assert_eq!(switched_to, Ok(Err(SwitchError::Killed)));
        assert!(switched.ready() && party.dead());
        end.set();
        answers.join();
    });
}

#[test]
fn one_whose_consumer_has_ended_stays_suspended() {
    in_green_thread(|| {
        let slot: Rc<RefCell<Option<Switch<u32>>>> = Rc::default();
        let theirs = Rc::clone(&slot);
        let consumer = spawn_local(move || {
            let party = Switch::new(|n: u32| switch(n + 1).expect("the next one goes on") * 10);
            assert_eq!(party.switch(1), Ok(2));
            *theirs.borrow_mut() = Some(party);
        });
        consumer.join();
        let party = slot.borrow_mut().take().expect("it was made");
        assert!(party.started());
        assert_eq!(party.switch(4), Ok(40));
    });
}

#[test]
fn panics_go_to_the_parent() {
    in_green_thread(|| {
        let outer = Switch::new(|n: u32| {
            let inner = Switch::new(|_: u32| std::panic::resume_unwind(Box::new("inner")));
            inner.switch(n).unwrap()
        });
        let caught = catch_unwind(AssertUnwindSafe(|| outer.switch(1)));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"inner"));
        assert!(outer.dead());
    });
}

#[test]
fn grn18_throw_raises_in_the_other() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| {
            let caught = catch_unwind(|| switch(n));
            let payload = caught.unwrap_err();
            *payload.downcast_ref().expect("a number")
        });
        assert_eq!(party.switch(1), Ok(1));
        assert_eq!(party.throw(Box::new(7_u32)).unwrap(), 7);
        assert!(party.dead());
    });
}

#[test]
fn grn18_throw_that_nobody_catches_comes_back() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| switch(n).unwrap());
        assert_eq!(party.switch(1), Ok(1));
        let caught = catch_unwind(AssertUnwindSafe(|| party.throw(Box::new("back"))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"back"));
        assert!(party.dead());
    });
}

#[test]
fn grn18_throw_into_one_that_has_not_run_ends_it() {
    in_green_thread(|| {
        let party = Switch::new(|_: u32| unreachable!("it does not run"));
        let caught = catch_unwind(AssertUnwindSafe(|| party.throw(Box::new("back"))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"back"));
        assert!(party.dead());
        let again = party.throw(Box::new(1));
        assert!(catch_unwind(AssertUnwindSafe(|| again.map(|_| ()))).is_ok());
    });
}

/// Sets its cell when it is dropped.
struct Flag(Rc<Cell<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn flag() -> (Flag, Rc<Cell<bool>>) {
    let cell = Rc::new(Cell::new(false));
    (Flag(Rc::clone(&cell)), cell)
}

#[test]
fn dropped_ones_unwind() {
    in_green_thread(|| {
        let (held, unwound) = flag();
        let party = Switch::new(move |n: u32| {
            let _held = held;
            switch(n).unwrap()
        });
        assert_eq!(party.switch(1), Ok(1));
        assert!(!unwound.get());
        drop(party);
        eventually("it unwinds", || unwound.get());

        let (held, unwound) = flag();
        let party = Switch::new(move |n: u32| {
            drop(held);
            n
        });
        drop(party);
        assert!(unwound.get(), "one that has not run");
    });
}

#[test]
fn dropped_by_itself_it_unwinds_at_its_switch() {
    in_green_thread(|| {
        let slot: Rc<RefCell<Option<Switch<u32>>>> = Rc::default();
        let (theirs, (held, unwound)) = (Rc::clone(&slot), flag());
        let party = Switch::new(move |n: u32| {
            let _held = held;
            drop(theirs.borrow_mut().take());
            switch(n).unwrap()
        });
        *slot.borrow_mut() = Some(party);
        let party = slot.borrow().clone().expect("it was set");
        assert_eq!(party.switch(1), Ok(1));
        drop(party);
        eventually("it unwinds", || unwound.get());
    });
}

#[test]
fn killed_while_it_waits_it_passes_nothing() {
    in_green_thread(|| {
        let (held, unwound) = flag();
        let party = Switch::new(move |n: u32| {
            let _held = held;
            switch(n).unwrap()
        });
        assert_eq!(party.switch(1), Ok(1));
        party.kill();
        assert!(unwound.get() && party.dead());
        assert_eq!(party.switch(2), Err(SwitchError::Dead(2)));
        party.kill();
    });
}

#[test]
fn killed_with_the_turn_it_gives_that_to_its_parent() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| {
            sleep(Duration::from_secs(600));
            n
        });
        let theirs = party.clone();
        spawn_local(move || theirs.kill());
        assert_eq!(party.switch(1), Err(SwitchError::Killed));
        assert!(party.dead());
    });
}

#[test]
fn killed_before_it_runs_it_gives_the_turn_to_its_parent() {
    Config::new().hubs(1).apply().unwrap();
    in_green_thread(|| {
        let ran = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&ran);
        let party = Switch::new(move |n: u32| {
            theirs.set(true);
            n
        });
        // It runs before the party, which is made ready by the switch.
        let victim = party.clone();
        spawn_local(move || victim.kill());
        assert_eq!(party.switch(1), Err(SwitchError::Killed));
        assert!(!ran.get() && party.dead());
    });
}

#[test]
fn timed_out_the_caller_has_no_turn() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| {
            sleep(Duration::from_millis(30));
            switch(n).unwrap()
        });
        let limit = Duration::from_millis(5);
        let switched = timeout(limit, || party.switch(1));
        assert!(switched.is_err());
        assert_eq!(party.switch(2), Err(SwitchError::Running(2)));
        // Nobody waits for its value: it sees that, and panics. This one is not disturbed.
        eventually("it has ended", || party.dead());
    });
}

#[test]
fn many_generators_nest() {
    in_green_thread(|| {
        /// Yields every leaf of a binary tree of this depth, then zero.
        fn leaves(depth: u32) -> Switch<u32> {
            Switch::new(move |_| {
                if depth == 0 {
                    switch(1_u32).unwrap();
                    return 0;
                }
                for _ in 0..2 {
                    let below = leaves(depth - 1);
                    loop {
                        match below.switch(0).unwrap() {
                            0 => break,
                            leaf => switch(leaf).unwrap(),
                        };
                    }
                }
                0
            })
        }
        let tree = leaves(6);
        let mut count = 0;
        while tree.switch(0).unwrap() == 1 {
            count += 1;
        }
        assert_eq!(count, 64);
    });
}

#[test]
fn types_are_told_apart() {
    in_green_thread(|| {
        let words = Switch::new(|n: &'static str| {
            // Another kind of party in the same green thread.
            let numbers = Switch::new(|n: u32| switch(n * 2).unwrap());
            assert_eq!(numbers.switch(4), Ok(8));
            switch(n).unwrap()
        });
        assert_eq!(words.switch("a"), Ok("a"));
        assert_eq!(words.switch("b"), Ok("b"));
        assert!(words.dead());
    });
}

#[test]
fn types_that_were_mixed_up_panic() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| {
            drop(switch(n.to_string()));
            n
        });
        let caught = catch_unwind(AssertUnwindSafe(|| party.switch(1)));
        let payload = caught.unwrap_err();
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(message.contains("of another type"), "{message}");
    });
}

#[test]
fn debug_tells_the_state() {
    in_green_thread(|| {
        let party = Switch::new(|n: u32| n);
        assert_eq!(format!("{party:?}"), "Switch { state: New, .. }");
    });
}

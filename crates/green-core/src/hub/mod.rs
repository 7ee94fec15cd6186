//! The loop: one OS thread that runs green threads, fires timers and polls.
//!
//! # One turn
//!
//! 1. Run those whose time has come, then what is ready, each first in first out, until nothing is left, or the
//!    turn's share is used up ([`SWITCHES`] switches, [`SLICE`] of time, or a timer is due).
//! 2. Fire the timers that are due.
//! 3. Poll for I/O: without waiting if work is ready, else until the next timer or a wake-up. In the latter case,
//!    give back memory first, if a crowd has left some ([`trim`]); if somebody waits for just that ([`idle`]), poll
//!    without waiting, and wake them if there is still nothing to do; and tell those who wait for all hubs to have
//!    nothing left to do ([`quiet`]).
//! 4. Take what other OS threads left in the inbox.
//!
//! A hub's OS thread never exits, and a panic in the loop itself aborts the process: green threads
//! that nobody would ever resume would be the alternative.
//!
//! # Invariants
//!
//! 1. Only the loop resumes a carrier, and only for a slot that it took from the ready FIFO, that it has just given a
//!    start to, or that is to show its frames and park again ([`inquiry`]).
//! 2. Nothing in the loop blocks but the poll.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use crate::config::{self, Settings};
use crate::engine::sample::Sample;
use crate::engine::{self, Carrier};
use crate::error::Failure;
use crate::panics;
use crate::park::Caller;
use crate::reactor::{self, Events};
use crate::sched::carriers::Carriers;
use crate::sched::control::label;
use crate::sched::interrupts::Interrupts;
use crate::sched::ready::Ready;
use crate::sched::record::Runner;
use crate::sched::slot::{Slot, SlotLocal};
use crate::sched::stack_usage;
use crate::sched::timers::{Due, Timers};
use crate::sched::word::Outcome;
use crate::sched::{self, Counters, HubShared, Local, Message, Work, count, count_down};
use trim::Trimmer;

pub(crate) mod idle;
mod inquiry;
pub(crate) mod quiet;
mod trim;
mod watchdog;

/// Switches after which a hub polls even though work is ready.
const SWITCHES: u32 = 256;

/// Time after which a hub polls even though work is ready.
const SLICE: Duration = Duration::from_millis(5);

/// Starts the hubs, once for the process.
///
/// # Panics
///
/// If the system refuses an OS thread, an eventfd or an epoll instance: without hubs nothing can run.
pub(crate) fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        panics::install(panics::Observer {
            before: note_panic,
            describe,
        });
        engine::overflow::set_label(|out| {
            describe(out);
        });
        let settings = config::freeze();
        let hubs = (0..settings.hubs)
            .map(new_hub)
            .collect::<io::Result<Box<[_]>>>();
        let hubs = hubs.unwrap_or_else(|error| panic!("green: cannot make the hubs: {error}"));
        idle::start(hubs.len());
        reactor::start(&hubs)
            .unwrap_or_else(|error| panic!("green: cannot make the pollers: {error}"));
        sched::set_hubs(hubs.clone());
        if let Some(limit) = settings.watchdog {
            watchdog::start(&hubs, settings, limit)
                .unwrap_or_else(|error| panic!("green: cannot start the watchdog: {error}"));
        }
        for hub in hubs {
            thread::Builder::new()
                .name(format!("green-hub-{}", hub.id))
                .spawn(move || run(hub, settings))
                .unwrap_or_else(|error| panic!("green: cannot start hub {}: {error}", hub.id));
        }
    });
}

fn new_hub(id: usize) -> io::Result<&'static HubShared> {
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    Ok(Box::leak(Box::new(HubShared::new(id, bell))))
}

/// A hub's OS thread.
fn run(shared: &'static HubShared, settings: &Settings) -> ! {
    let _abort = AbortOnUnwind;
    engine::overflow::ensure_signal_stack();
    if settings.watchdog.is_some() {
        shared.sample.get_or_init(Sample::of_this_thread);
    }
    let local: &'static Local = Box::leak(Box::new(Local::new(shared, settings)));
    sched::enter(local);
    Hub {
        local,
        look_every: Cell::new(1),
        messages: Vec::new(),
        events: Events::new(),
        due: Vec::new(),
        trimmer: Trimmer::default(),
        polled: false,
    }
    .run()
}

/// The state of the loop.
struct Hub {
    /// What the green threads of this hub see of it too.
    local: &'static Local,
    /// How many switches pass between two looks at the clock.
    look_every: Cell<u32>,
    /// Messages taken from the inbox; empty between turns, kept for its memory.
    messages: Vec<Message>,
    /// Events taken from the poller; kept for its memory.
    events: Events,
    /// Timers that are due; empty between turns, kept for its memory.
    due: Vec<Due>,
    /// Gives back memory.
    trimmer: Trimmer,
    /// Whether the last thing that was done was to poll: nothing has run since, and no message came.
    polled: bool,
}

impl Hub {
    fn run(mut self) -> ! {
        loop {
            let ran = self.run_ready();
            self.polled &= !ran;
            let now = self.fire_timers();
            self.turn_poll(now);
            self.take_messages();
        }
    }

    /// Runs what is ready, for one turn's share: first those whose time has come. The others have a share of their own,
    /// so neither keeps the other from running. False if there was nothing to run.
    fn run_ready(&self) -> bool {
        let any_held = !self.local.held.borrow().is_empty();
        let any = any_held || self.local.ready.len() + self.local.timed.len() != 0;
        if any_held {
            self.start_held(|slots, stack_size, counters| slots.take(stack_size, counters));
        }
        // Nothing is added to these meanwhile: their number is limit enough.
        let timed = u32::try_from(self.local.timed.len()).unwrap_or(u32::MAX);
        self.local.may_chain.set(false);
        self.run_queue(&self.local.timed, timed.max(SWITCHES));
        self.local.may_chain.set(true);
        self.run_queue(&self.local.ready, SWITCHES);
        any
    }

    /// Runs what is in `queue`: at most `share` switches.
    fn run_queue(&self, queue: &Ready, share: u32) {
        let local = self.local;
        if queue.len() == 0 {
            return;
        }
        local.switches_left.set(share);
        let begun = Instant::now();
        local.now.set(sched::clock(begun));
        let mut look_at = share - self.look_every.get();
        while let Some(work) = queue.pop() {
            match work {
                Work::Resume(slot) => self.resume(slot),
                Work::Start(start) => self.start(start),
            }
            let left = local.switches_left.get().saturating_sub(1);
            local.switches_left.set(left);
            if left == 0
                || (left <= look_at && self.is_slice_over(begun, share - left, &mut look_at))
            {
                break;
            }
            if local.ready.starts() > 1 && SLEEPING.load(Ordering::Relaxed) != 0 {
                self.hand_over();
            }
        }
    }

    /// Looks at the clock after `done` switches: true if the turn has lasted long enough, or a timer is due and those
    /// that came before have run. The next look is when the rest of the turn is `look_at`.
    #[cold]
    fn is_slice_over(&self, begun: Instant, done: u32, look_at: &mut u32) -> bool {
        let took = begun.elapsed();
        let every = self.look_every.get();
        // So that a look comes about four times a slice, whatever the green threads do.
        let per_look = took / done.div_ceil(every).max(1);
        let every = if per_look < SLICE / 8 {
            (every * 2).min(SWITCHES / 4)
        } else if per_look > SLICE / 4 {
            (every / 2).max(1)
        } else {
            every
        };
        self.look_every.set(every);
        *look_at = look_at.saturating_sub(every);
        took >= SLICE || (self.local.timed.len() == 0 && self.local.is_timer_due(begun + took))
    }

    /// Switches to a green thread; returns when it parks.
    #[inline(always)] // See `Carrier::park`.
    fn resume(&self, slot: &'static Slot) {
        count(&self.local.shared.counters.switches, 1);
        let own = self.local.enter_slot(slot);
        // Nobody runs: whoever is counted is parked.
        self.local.parked_unwinding.set(thread::panicking());
        own.carrier.resume();
        self.local.leave_slot();
        if own.carrier.is_abandoned() {
            bury(self.local, own);
        }
    }

    /// Starts a green thread on an idle carrier, or a new one.
    fn start(&self, start: Runner) {
        let stack_size = start.control().stack_size();
        let Some(slot) = self.idle_slot(stack_size) else {
            return self.hold(start);
        };
        self.local.next.set(Some(start));
        self.resume(slot);
    }

    /// A carrier with nothing to run, which may be a new one; `None` if the system has no room for another stack.
    #[inline]
    fn idle_slot(&self, stack_size: usize) -> Option<&'static Slot> {
        let local = self.local;
        local
            .carriers
            .take(stack_size, &local.shared.counters)
            .or_else(|| self.more_slots(stack_size))
    }

    fn more_slots(&self, stack_size: usize) -> Option<&'static Slot> {
        let local = self.local;
        let counters = &local.shared.counters;
        if let Some(slot) = local.carriers.take_back(stack_size, counters) {
            return Some(slot);
        }
        let slot = match local.carriers.take_retired(stack_size) {
            Some(slot) => {
                if slot.local.get().carrier.renew(carrier_body).is_err() {
                    local.carriers.put_retired(slot);
                    return None;
                }
                slot
            }
            None => Slot::new(local, Carrier::new(stack_size, carrier_body).ok()?),
        };
        count(&local.shared.counters.carriers, 1);
        Some(slot)
    }

    /// Keeps a start until a carrier becomes idle.
    #[cold]
    fn hold(&self, start: Runner) {
        static WARNED: std::sync::Once = std::sync::Once::new();
        WARNED.call_once(|| {
            let stacks: u64 = sched::hubs()
                .iter()
                .map(|hub| hub.counters.carriers.load(Ordering::Relaxed))
                .sum();
            let limit = if engine::guard::are_regions() {
                "a limit on memory"
            } else {
                "vm.max_map_count, of which each takes two, or a limit on memory"
            };
            log::warn!(
                "green: the system has no room for more than {stacks} stacks ({limit}): green threads now wait for \
                 others to end before they start"
            );
        });
        self.local.held.borrow_mut().push_back(start);
        count(&self.local.shared.counters.held, 1);
    }

    /// Starts green threads that wait for a carrier, on what `find` finds.
    #[cold]
    fn start_held(&self, find: impl Fn(&Carriers, usize, &Counters) -> Option<&'static Slot>) {
        let local = self.local;
        for _ in 0..SWITCHES {
            let size = |start: &Runner| start.control().stack_size();
            let Some(stack_size) = local.held.borrow().front().map(size) else {
                return;
            };
            let counters = &local.shared.counters;
            let Some(slot) = find(&local.carriers, stack_size, counters) else {
                return;
            };
            local.next.set(local.held.borrow_mut().pop_front());
            count_down(&counters.held, 1);
            self.resume(slot);
        }
    }

    /// Gives half of the green threads that have not started to a hub that sleeps.
    #[cold]
    fn hand_over(&self) {
        let idle = sched::hubs().iter().find(|hub| hub.inbox().is_asleep());
        let Some(idle) = idle else { return };
        for start in self.local.ready.take_movable() {
            count(&self.local.shared.counters.left, 1);
            idle.place_from_elsewhere();
            start.control().set_hub(idle.id);
            idle.send(Message::Start(start));
        }
    }

    /// Fires the timers that are due; returns the time it was.
    fn fire_timers(&mut self) -> Option<Instant> {
        if !self.local.has_timers() {
            return None;
        }
        let now = Instant::now();
        self.local.timers(|timers| {
            while let Some(due) = timers.pop(now) {
                self.due.push(due);
            }
        });
        for due in self.due.drain(..) {
            match due {
                Due::Start(start) => self.local.push(Work::Start(start)),
                Due::Call(call) => call.0(),
                Due::Wait(slot) => {
                    // Only this hub opens its waits: the open one is the one whose deadline it was.
                    if slot.waiter.claim_linked(Outcome::TimedOut) {
                        self.local.timed.push(Work::Resume(slot));
                    }
                }
            }
        }
        Some(now)
    }

    /// Polls: without waiting if work is ready, else until the next timer or a wake-up.
    ///
    /// Without waiting it is not done twice with nothing done in between: what timers have made ready runs first.
    fn turn_poll(&mut self, now: Option<Instant>) {
        if self.local.ready.len() + self.local.timed.len() != 0 {
            return self.poll_once();
        }
        let trim_at = self.trimmer.turn(self.local, now);
        if !self.local.held.borrow().is_empty() {
            self.start_held(|_, stack_size, _| self.idle_slot(stack_size));
            self.polled = false;
            if self.local.ready.len() + self.local.timed.len() != 0 {
                return;
            }
        }
        if self.local.idlers.get() != 0 {
            // They are next, unless something has happened.
            self.poll(Some(Duration::ZERO));
            self.take_messages();
            if self.local.ready.len() + self.local.timed.len() == 0 {
                idle::wake(self.local.shared.id);
            }
            return;
        }
        let next = [self.local.timers(Timers::next), trim_at];
        let next = next.into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        if !self.local.shared.inbox().prepare_sleep() {
            // There are messages. Whoever sends them all the time does not keep others from being heard.
            return self.poll_once();
        }
        if quiet::is_watched() {
            quiet::look();
            if self.local.ready.len() + self.local.timed.len() != 0 {
                return self.local.shared.inbox().end_sleep();
            }
        }
        SLEEPING.fetch_add(1, Ordering::Relaxed);
        self.poll(timeout);
        SLEEPING.fetch_sub(1, Ordering::Relaxed);
        self.local.shared.inbox().end_sleep();
    }

    /// Polls without waiting, unless that was the last thing that was done.
    fn poll_once(&mut self) {
        if !self.polled {
            self.poll(Some(Duration::ZERO));
        }
    }

    fn poll(&mut self, timeout: Option<Duration>) {
        count(&self.local.shared.counters.polls, 1);
        reactor::of(self.local.shared.id).poll(&mut self.events, timeout);
        self.polled = true;
    }

    /// Takes what other OS threads left.
    fn take_messages(&mut self) {
        self.local.shared.inbox().drain(&mut self.messages);
        self.polled &= self.messages.is_empty();
        for message in self.messages.drain(..) {
            match message {
                Message::Resume(slot) => self.local.push(Work::Resume(slot)),
                Message::Start(start) => self.local.push(Work::Start(start.into_runner())),
                Message::StartAt(at, start) => {
                    self.local
                        .timers(|timers| timers.start_at(at, start.into_runner()));
                }
                Message::CallAt(at, number, call) => {
                    self.local.timers(|timers| timers.call_at(at, number, call));
                }
                Message::CancelCall(at, number) => {
                    let cancelled = self.local.timers(|timers| timers.cancel_call(at, number));
                    drop(cancelled);
                }
                Message::CancelStart(id) => {
                    let cancelled = self.local.timers(|timers| timers.cancel_start(id));
                    // Its closure is dropped where it would have run.
                    if let Some(start) = cancelled {
                        self.local.push(Work::Start(start));
                    }
                }
                Message::Trace(inquiry) => inquiry::answer(self.local, inquiry),
            }
        }
    }
}

/// A green thread's stack has overflowed: it stands for ever. Its slot is not used again.
#[cold]
fn bury(local: &Local, own: &'static SlotLocal) {
    let counters = &local.shared.counters;
    count(&counters.left, 1);
    count(&counters.isolated, 1);
    count_down(&counters.carriers, 1);
    if local.is_measured {
        let size = own.carrier.stack_size();
        own.running(|running| stack_usage::note(running.control().site(), size, size));
    }
    local.timers(|timers| timers.clear(own.slot()));
    own.running(|running| running.fail(Failure::StackOverflow));
}

/// What every carrier runs: one green thread after another, until it is retired.
fn carrier_body() {
    loop {
        let own = sched::current().expect("a carrier runs in a slot of its hub");
        let mut next = own.hub.next.take();
        while let Some(start) = next {
            run_green_thread(own, start);
            next = next_start(own);
        }
        own.hub.carriers.put(own.slot(), &own.hub.shared.counters);
        own.carrier.park();
        if own.carrier.is_retiring() {
            return;
        }
    }
}

/// The start that a carrier may go on with: one that waits for a carrier, or the head of the FIFO.
fn next_start(own: &'static SlotLocal) -> Option<Runner> {
    let local = own.hub;
    let left = local.switches_left.get();
    if left <= 1 || !local.may_chain.get() {
        return None;
    }
    let stack_size = own.carrier.stack_size();
    let mut held = local.held.borrow_mut();
    let fits = |start: &Runner| start.control().stack_size() == stack_size;
    if let Some(index) = held.iter().position(fits) {
        local.switches_left.set(left - 1);
        count_down(&local.shared.counters.held, 1);
        return held.remove(index);
    }
    drop(held);
    let start = local.ready.pop_start(stack_size)?;
    local.switches_left.set(left - 1);
    count(&local.shared.counters.switches, 1);
    Some(start)
}

/// Runs one green thread from start to end.
fn run_green_thread(own: &'static SlotLocal, start: Runner) {
    let local = own.hub;
    let running = start.begin();
    let control = running.control();
    let (id, site) = (control.id(), control.site());
    let alive = control.start(&own.slot().waiter);
    own.adopt(running);
    if local.is_measured {
        own.carrier.start_measuring();
    }
    local.parked_unwinding.set(thread::panicking());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        own.running(|running| {
            if alive {
                running.run();
            } else {
                // Killed before it ran: only its closure is dropped, here where it would have run.
                running.end_unrun();
            }
        });
        // If no handle is left, its result goes, too.
        drop(own.release());
    }));
    // The body publishes its own panics: one that comes here is from a destructor of the closure, of the result or of a
    // value, which nobody is left to be told of.
    let destroyed = |ended: thread::Result<()>| {
        if let Err(payload) = ended {
            log::error!(
                "green: a destructor panicked at the end of green thread #{id}, spawned at {site}"
            );
            leak(payload);
            drop(own.release());
        }
    };
    destroyed(ended);
    // What the destructors of the closure and the result have made is not for the next green thread here.
    destroyed(catch_unwind(AssertUnwindSafe(|| own.locals.end())));
    // Neither are its time limits: those that it has left open end here.
    own.interrupts.reset();
    if local.is_measured {
        let carrier = &own.carrier;
        stack_usage::note(site, carrier.stack_size(), carrier.measure());
    }
    count(&local.shared.counters.left, 1);
}

/// Gives up a payload without running its destructor, which may panic where nothing may unwind.
#[expect(clippy::mem_forget, reason = "not running the destructor is the point")]
pub(crate) fn leak(payload: Box<dyn std::any::Any + Send>) {
    std::mem::forget(payload);
}

/// Notes that the caller is about to unwind by a panic.
fn note_panic() {
    Caller::current().interrupts(Interrupts::set_panicked);
}

/// Names the running green thread; false outside one.
fn describe(out: &mut dyn std::fmt::Write) -> bool {
    let Some(own) = sched::current() else {
        return false;
    };
    own.running(|running| out.write_fmt(format_args!("{}", label(running.control()))))
        .is_some()
}

/// Hubs that sleep, or are about to.
static SLEEPING: AtomicUsize = AtomicUsize::new(0);

/// Aborts the process if the loop unwinds.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

//! Where a green thread waits, and killing by id: for whoever has read a dump.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::registries;
use crate::engine::{Frames, ROOM, make_room};
use crate::error::TraceError;
use crate::event::Event;
use crate::greenlet::RawGreenlet;
use crate::sched::control::{Control, State};
use crate::sched::record::ControlRef;
use crate::sched::slot::{Slot, SlotLocal};
use crate::sched::{self, Inquiry, Message, WaitFor};
use crate::trace::{InnerEnd, Trace};

/// Where in its code the green thread with this id waits.
///
/// Its hub has it walk its own stack, between two others' turns. Its wait does not notice: it is not woken, its time limit
/// stays what it is, and who notifies or kills it meanwhile does so as ever. It costs the hub some ten microseconds, and the
/// green thread 2 to 3 KiB of its stack, of which it must have 6 left.
///
/// A green thread can ask for its own trace, which is where it calls this.
///
/// # Blocking
///
/// Parks the caller for `patience` at most, until the hub comes to it: at once if it sleeps, else when the green thread that
/// runs there next waits. A cancellation point. Zero is too short unless one asks for oneself. In a panic hook, which blocks its
/// OS thread, the green threads of the same hub do not answer.
///
/// # Errors
///
/// See [`TraceError`]. One that runs is waited for: it is [`Running`](TraceError::Running) only if it does so all the while.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::event::Event;
///
/// let waits = green_core::spawn(|| Event::new().wait());
/// green_core::yield_now();
/// # while !{ let mut t = Vec::new(); green_core::dump(&mut t)?; String::from_utf8_lossy(&t).contains("waits for event") } {
/// #     green_core::sleep(Duration::from_millis(1));
/// # }
/// let trace = green_core::debug::trace(waits.id(), Duration::from_secs(5))?;
/// assert!(trace.to_string().contains("Event::wait"), "{trace}");
/// waits.kill();
/// assert!(green_core::debug::trace(waits.id(), Duration::ZERO).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn trace(id: NonZeroU64, patience: Duration) -> Result<Trace, TraceError> {
    make_room();
    let own = sched::current();
    let own = own.filter(|own| own.running(|running| running.control().id()) == Some(id));
    let frames = match own {
        Some(own) => own_frames(own)?,
        None => ask(find(id).ok_or(TraceError::Ended)?, patience)?,
    };
    Ok(Trace::new(frames, InnerEnd::Waits))
}

/// Asks the green thread with this id to die at its next blocking call, without waiting for that; false if none that lives
/// has this id, or nobody has started it. One that is spawned and has not run never will.
///
/// As [`RawGreenlet::kill_nowait`], which is safer: an id that a person types may be the wrong one.
///
/// # Panics
///
/// Under `panic = "abort"`, if it has started.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn(|| green_core::sleep(std::time::Duration::from_secs(600)));
/// assert!(green_core::debug::kill(g.id()));
/// g.join();
/// assert!(!green_core::debug::kill(g.id()));
/// ```
pub fn kill(id: NonZeroU64) -> bool {
    make_room();
    let lives = |control: &ControlRef| !control.is_dead() && control.state() != State::Unstarted;
    let Some(control) = find(id).filter(lives) else {
        return false;
    };
    RawGreenlet::new(control).kill_nowait();
    true
}

fn find(id: NonZeroU64) -> Option<ControlRef> {
    registries().find_map(|registry| registry.find(id))
}

/// Of the green thread that runs.
fn own_frames(own: &'static SlotLocal) -> Result<Frames, TraceError> {
    if own.carrier.room().is_none_or(|room| room < ROOM) {
        return Err(TraceError::NoRoom);
    }
    let mut frames = Frames::new();
    frames.walk();
    Ok(frames)
}

/// Of one that waits, by its hub.
fn ask(control: ControlRef, patience: Duration) -> Result<Frames, TraceError> {
    let slot = slot(&control)?;
    let answer = Arc::new(Answer::default());
    let theirs = Arc::clone(&answer);
    slot.hub.send(Message::Trace(Inquiry {
        control: control.clone(),
        answer: Box::new(move |frames| {
            *theirs.frames.lock() = Some(frames);
            theirs.is_there.set();
        }),
    }));
    answer.is_there.wait_timeout(patience);
    let frames = answer.frames.lock().take();
    frames.unwrap_or_else(|| Err(why_not(&control, slot)))
}

/// Where it runs, or why it has not been asked.
fn slot(control: &Control) -> Result<&'static Slot, TraceError> {
    match control.state() {
        State::New | State::Unstarted => Err(TraceError::NotStarted),
        State::Started => control.slot().ok_or(TraceError::Migrating),
        State::KilledNew | State::KilledAside | State::Finished => Err(TraceError::Ended),
    }
}

/// Why its hub did not answer.
fn why_not(control: &Control, slot: &Slot) -> TraceError {
    if control.state() != State::Started {
        TraceError::Ended
    } else if slot.waiting().what == WaitFor::Nothing {
        TraceError::Running
    } else {
        TraceError::HubBusy
    }
}

/// What a hub answers.
#[derive(Default)]
struct Answer {
    frames: Mutex<Option<Result<Frames, TraceError>>>,
    is_there: Event,
}

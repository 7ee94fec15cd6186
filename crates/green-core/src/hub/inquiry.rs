//! Where a parked green thread waits: its hub resumes it, it walks its own stack, and parks again where it was.
//!
//! Its wait does not notice. The wake word, the place in a queue, the deadline and the place among those that are ready
//! stay as they are: the green thread looks at none of them before it is resumed in earnest. Whoever ends its wait
//! meanwhile makes it ready as always; and nobody does so on this OS thread while it walks.

use super::bury;
use crate::engine::{Frames, ROOM};
use crate::error::TraceError;
use crate::sched::control::{Control, State};
use crate::sched::{Inquiry, Local};

/// Answers, on the hub's own stack.
pub(super) fn answer(local: &'static Local, inquiry: Inquiry) {
    let frames = frames(local, &inquiry.control);
    (inquiry.answer)(frames);
}

/// The frames of a green thread of this hub.
fn frames(local: &'static Local, control: &Control) -> Result<Frames, TraceError> {
    if control.state() != State::Started {
        return Err(TraceError::Ended);
    }
    let slot = control.slot().ok_or(TraceError::Migrating)?;
    let own = slot.local.get();
    // The slot may be another's by now. Nobody runs here: if it is there, it is parked.
    let there = own.running(|running| running.control().id());
    if there != Some(control.id()) || own.carrier.is_abandoned() {
        return Err(TraceError::Ended);
    }
    if own
        .carrier
        .room_when_parked()
        .is_none_or(|room| room < ROOM)
    {
        return Err(TraceError::NoRoom);
    }
    local.frames.set(Some(Box::new(Frames::new())));
    own.interrupts.set_shows_frames();
    local.enter_slot(slot);
    own.carrier.resume();
    local.leave_slot();
    if own.carrier.is_abandoned() {
        // There was less room than it seemed.
        bury(local, own);
        return Err(TraceError::Ended);
    }
    local
        .frames
        .take()
        .map(|frames| *frames)
        .ok_or(TraceError::Ended)
}

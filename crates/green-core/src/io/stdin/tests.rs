//! A read of the pool outlives a reader that gives up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Input;
use crate::event::Event;
use crate::threadpool::Job;
use crate::{run, timeout};

#[test]
fn the_next_reader_gets_what_was_read_for_one_that_gave_up() {
    let check = || {
        let gate = Arc::new(Event::new());
        let theirs = Arc::clone(&gate);
        let mut input = Input::new();
        let job = Job::start(move || {
            theirs.wait();
            (b"kept".to_vec(), io::Result::Ok(4))
        });
        input.reading = Some(job.unwrap());
        for _ in 0..2 {
            assert!(timeout(Duration::from_millis(5), || input.fill().map(<[u8]>::len)).is_err());
        }
        gate.set();
        assert_eq!(input.fill().unwrap(), b"kept");
    };
    check();
    run(check);
}

//! `#[green::main]` and `#[green::test]`.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "macros")]

use std::cell::Cell;
use std::error::Error;
use std::process::{ExitCode, Termination};
use std::rc::Rc;

mod mains {
    //! Programs.

    use super::*;

    #[green::main]
    pub(crate) fn plain() {
        assert!(green::getcurrent().is_some());
    }

    /// Its error is not `Send`.
    #[green::main]
    pub(crate) fn fails() -> Result<(), Box<dyn Error>> {
        let number: u8 = "no number".parse()?;
        assert_eq!(number, 0, "it is none");
        Ok(())
    }

    #[green::main(stack_size = 1 << 20, hubs = 3, blocking_threads = 2,)]
    pub(crate) fn configured() -> ExitCode {
        assert_eq!(green::stats().hubs, 3);
        ExitCode::from(7)
    }

    #[green::main(crate = super::renamed)]
    pub(crate) fn by_another_name() -> Option<()>
    where
        Option<()>: Sized,
    {
        #![expect(unused_variables, reason = "inner attributes go with the body")]
        let unused = 1;
        None
    }

    /// A program with a function that the expansion might call instead of this one.
    #[green::main]
    pub(crate) fn calls_body() -> ExitCode {
        ExitCode::from(body())
    }

    fn body() -> u8 {
        3
    }

    /// What a `main` may return.
    impl Termination for Outcome {
        fn report(self) -> ExitCode {
            ExitCode::from(u8::try_from(self.0.get()).unwrap())
        }
    }
}

/// A crate by another name.
mod renamed {
    pub(crate) use ::green::run;

    pub(crate) mod process {
        pub(crate) use ::green::process::ExitCode;

        /// `Option<()>` may be returned from this crate's mains.
        pub(crate) struct Termination;

        impl Termination {
            pub(crate) fn report(value: Option<()>) -> ExitCode {
                match value {
                    Some(()) => ExitCode::SUCCESS,
                    None => ExitCode::from(9),
                }
            }
        }
    }
}

/// Not `Send`.
struct Outcome(Rc<Cell<u32>>);

#[green::main]
fn own_termination() -> Outcome {
    Outcome(Rc::new(Cell::new(5)))
}

#[test]
fn main_runs_in_a_green_thread() {
    assert!(green::getcurrent().is_none());
    mains::plain();
}

#[test]
fn main_reports_what_need_not_be_send() {
    assert_eq!(mains::fails(), ExitCode::FAILURE);
    assert_eq!(own_termination(), ExitCode::from(5));
}

#[test]
fn main_leaves_names_to_the_program() {
    assert_eq!(mains::calls_body(), ExitCode::from(3));
}

#[test]
fn main_applies_options() {
    assert_eq!(mains::configured(), ExitCode::from(7));
}

#[test]
#[should_panic(expected = "green::main: the runtime has started before main")]
fn main_with_options_comes_first() {
    green::run(|| ());
    let _code = mains::configured();
}

#[test]
fn main_finds_the_crate_by_another_name() {
    assert_eq!(mains::by_another_name(), ExitCode::from(9));
}

#[green::test]
fn a_test_runs_in_a_green_thread() {
    assert!(green::getcurrent().is_some());
}

#[green::test]
fn a_test_may_return_a_result() -> Result<(), Box<dyn Error>> {
    let number: u8 = "7".parse()?;
    assert_eq!(number, 7);
    Ok(())
}

#[green::test]
#[should_panic(expected = "as promised")]
fn a_test_may_have_to_panic() {
    green::yield_now();
    panic!("as promised");
}

#[green::test(hubs = 1)]
fn a_test_may_configure() {
    assert_eq!(green::stats().hubs, 1);
}

//! What the parity tests share: the ways to run the same body.

/// Defines tests four times over: on std's types; and on ours from OS threads, and from green threads on one
/// hub and on two.
///
/// The bodies find what `std::sync` has under its plain names, and what starts threads of the right kind as
/// `thread`. A test may be marked `#[should_panic]`.
macro_rules! parity {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::{sync::*, thread};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_os_threads {
            use {green_core::sync::*, std::thread};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        #[cfg(test)] // Not all of it is marked as a test.
        mod on_green_threads {
            use {crate::parity::green_thread as thread, green_core::sync::*};
            use super::*;

            mod one_hub {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $name() {
                        crate::parity::on_hubs(1, super::$name);
                    }
                )*
            }

            mod two_hubs {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $name() {
                        crate::parity::on_hubs(2, super::$name);
                    }
                )*
            }

            $(fn $name() $body)*
        }
    };
}

/// Runs a body in a green thread of a runtime with so many hubs.
pub(crate) fn on_hubs(hubs: usize, body: fn()) {
    green_core::Config::new()
        .hubs(hubs)
        .apply()
        .expect("each test has a process of its own");
    green_core::run(body);
}

/// `thread`, green.
pub(crate) mod green_thread {
    /// Each file of tests needs some of it.
    const _: fn() = || {
        sleep(std::time::Duration::ZERO);
        yield_now();
        drop(spawn(|| ()).join());
    };

    pub(crate) use green_core::{sleep, yield_now};

    pub(crate) struct JoinHandle<T>(green_core::Greenlet<T>);

    impl<T: Send + 'static> JoinHandle<T> {
        pub(crate) fn join(self) -> Result<T, green_core::Failure> {
            self.0.into_result()
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        JoinHandle(green_core::spawn(f))
    }
}

//! What the parity tests share: three ways to run the same body.

/// Defines tests three times over: on std's types, and on ours from an OS thread and from a green thread.
///
/// The bodies find the types under their plain names, and what starts a thread of the right kind as `spawn`.
macro_rules! parity {
    ($(fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::net::*;
            use super::support::os_threads::spawn;
            use super::*;
            $(#[test] fn $name() $body)*
        }

        mod on_an_os_thread {
            use green_net::*;
            use super::support::os_threads::spawn;
            use super::*;
            $(#[test] fn $name() $body)*
        }

        mod on_a_green_thread {
            use green_net::*;
            use super::support::green_threads::spawn;
            use super::*;
            $(#[test] fn $name() { green_core::run(|| $body) })*
        }
    };
}

pub(crate) mod os_threads {
    //! `spawn` for the first two ways.

    pub(crate) struct Handle<T>(std::thread::JoinHandle<T>);

    impl<T> Handle<T> {
        pub(crate) fn join(self) -> T {
            self.0.join().unwrap()
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Handle<T> {
        Handle(std::thread::spawn(f))
    }
}

pub(crate) mod green_threads {
    //! `spawn` for the third.

    pub(crate) struct Handle<T>(green_core::Greenlet<T>);

    impl<T: Send + 'static> Handle<T> {
        pub(crate) fn join(self) -> T {
            self.0.into_result().unwrap()
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Handle<T> {
        Handle(green_core::spawn(f))
    }
}

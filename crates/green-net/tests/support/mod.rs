//! What the parity tests share: the ways to run the same body.

/// Defines tests four times over: on std's types, and on [`ours`] in three ways.
///
/// The bodies find the types of a module of std under their plain names, and what starts a thread of the
/// right kind as `spawn`.
macro_rules! parity {
    (use $($module:ident)::+; $(fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::$($module::)+*;
            use crate::support::os_threads::spawn;
            use super::*;
            $(#[test] fn $name() $body)*
        }

        ours! { use $($module)::+; $(fn $name() $body)* }
    };
}

/// The same without std's types: from OS threads, and from green threads on one hub and on two.
macro_rules! ours {
    (use $($module:ident)::+; $(fn $name:ident() $body:block)*) => {
        mod on_os_threads {
            use green_net::$($module::)+*;
            use crate::support::os_threads::spawn;
            use super::*;
            $(#[test] fn $name() $body)*
        }

        mod on_green_threads {
            use green_net::$($module::)+*;
            use crate::support::green_threads::spawn;
            use super::*;

            mod one_hub {
                $(#[test] fn $name() { crate::support::on_hubs(1, super::$name); })*
            }

            mod two_hubs {
                $(#[test] fn $name() { crate::support::on_hubs(2, super::$name); })*
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

pub(crate) mod os_threads {
    //! `spawn` for OS threads.

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
    //! `spawn` for green threads.

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

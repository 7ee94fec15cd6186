//! What the parity tests share: the ways to run the same body.

/// Defines tests four times over: on std's types; and on ours from OS threads, and from green threads on one
/// hub and on two.
///
/// The bodies find what `std::sync` has under its plain names, and what starts threads of the right kind as
/// `thread`. A test may be marked `#[should_panic]`.
///
/// With `threads` and braces ahead it is for `thread` itself: on std's, and on ours from an OS thread, and from green
/// threads on one hub and on two. The items in the braces are there in each of the ways, and `thread_local!` is that of
/// `thread`.
macro_rules! parity {
    (threads {$($item:item)*} $($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::{sync::*, thread, thread_local};
            use super::*;
            $($item)*
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_green {
            use green_core::{sync::*, thread, thread_local};
            use super::*;
            $($item)*

            mod from_an_os_thread {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $name() {
                        super::$name();
                    }
                )*
            }

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
            use {green_core::sync::*, green_core::thread};
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

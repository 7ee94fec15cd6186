//! What the parity tests of `fs` share: the ways to run the same body.

/// Defines tests four times over: on std's `fs`; and on ours from OS threads, and from green threads on one hub and on
/// two.
///
/// The bodies find `fs`, `thread`, and the functions of `os::unix::fs` as `unix`.
macro_rules! parity_fs {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::{fs, os::unix::fs as unix, thread};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_os_threads {
            use {green_core::{fs, fs::unix}, std::thread};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_green_threads {
            use green_core::{fs, fs::unix, thread};
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

//! What the parity tests of `process` and `io` share: the ways to run the same body.

/// As `parity!`, for bodies that find what `std::process` has under its plain names, and `std::io` as `io`.
macro_rules! parity_process {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        mod on_std {
            use std::{io, os::unix::process::*, process::*};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_os_threads {
            use green_core::{io, process::*};
            use super::*;
            $(#[test] $(#[$attribute])* fn $name() $body)*
        }

        mod on_green_threads {
            use green_core::{io, process::*};
            use super::*;

            mod one_hub {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $name() {
                        crate::parity_process::on_hubs(1, super::$name);
                    }
                )*
            }

            mod two_hubs {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $name() {
                        crate::parity_process::on_hubs(2, super::$name);
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

//! What the parity tests of `fs` share: the ways to run the same body, directories that go away, randomness.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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
            use {crate::parity::green_thread as thread, green_core::{fs, fs::unix}};
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

/// A directory of one test, removed with all that is in it.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("green-fs-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).expect("the name is free");
        Self(path)
    }
}

impl Deref for Dir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it is ours");
    }
}

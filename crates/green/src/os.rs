//! std's `os`, with the green parts of it: sockets, files, commands; and what gevent's `os` has.

pub use green_core::os::{make_nonblocking, nb_read, nb_write, tp_read, tp_write};
pub use green_net::os::*;

/// std's `os::unix`, with green sockets, files and commands.
pub mod unix {
    pub use green_net::os::unix::*;

    /// std's `os::unix::fs`: the functions are green, the traits are std's own.
    pub mod fs {
        pub use std::os::unix::fs::*;

        pub use green_core::fs::unix::{chown, chroot, fchown, lchown, symlink};
    }

    /// std's `os::unix::process`, with a [`CommandExt`](process::CommandExt) for green's `Command`: std's is sealed.
    pub mod process {
        pub use std::os::unix::process::*;

        pub use green_core::process::CommandExt;
    }
}

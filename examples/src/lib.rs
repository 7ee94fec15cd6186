//! What the example programs share, and the programs themselves. The lessons are in `examples/`; the
//! binaries in `src/bin/` only call [`echo::main`] and [`load::main`], so that the system tests can run
//! the same code in a process of theirs.

#![forbid(unsafe_code)]

pub mod cli;
pub mod echo;
pub mod load;
pub mod pool;

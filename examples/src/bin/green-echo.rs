//! An echo server on green threads; see `--help`, and `green_examples::echo` for how it works.
//!
//!     cargo run --release -p green-examples --bin green-echo -- --listen 127.0.0.1:7000

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    green_examples::echo::main(std::env::args_os()).into()
}

//! Puts load on an echo server and checks what it sends back; see `--help`.
//!
//!     cargo run --release -p green-examples --bin green-load -- --connect 127.0.0.1:7000 --verify

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    green_examples::load::main(std::env::args_os()).into()
}

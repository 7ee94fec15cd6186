//! Does a known number of operations each, on one hub, so that `scripts/costs` can count what one of them costs.
//!
//! ```text
//! green-costs                 all operations, one after the other
//! green-costs NAME...         these
//! green-costs --where NAME    this one, and backtraces on stderr of the first allocations of the counted part
//! ```
//!
//! An operation is done as often as is counted, and before that just as often to warm up, so that stacks are there and
//! buffers have grown. Two lines on stdout enclose the counted part: `begin NAME`, and `end NAME COUNT
//! ALLOCATIONS`. Who traces this process finds there which system calls belong to which operation; who counts
//! instructions looks for the calls of [`meter::mark`].
//!
//! Everything runs on one hub, so that the order of things, and with it the counts, are the same in each run.
//!
//! # Map
//!
//! | file | what |
//! |---|---|
//! | `tasks`, `waits`, `sockets` | the operations |
//! | `meter` | the counted part |
//! | `allocations` | the allocator that counts |

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
mod allocations;
mod meter;
mod sockets;
mod tasks;
mod waits;

use std::env;
use std::process::ExitCode;

use green_core::Config;

use crate::meter::{Meter, Operation};

fn main() -> ExitCode {
    let mut names: Vec<String> = env::args().skip(1).collect();
    let is_traced = names.first().is_some_and(|name| name == "--where");
    if is_traced {
        names.remove(0);
    }
    let all = || OPERATIONS.iter().copied().flatten();
    if let Some(unknown) = names.iter().find(|name| all().all(|op| op.name != **name)) {
        eprintln!("green-costs: there is no operation `{unknown}`");
        return ExitCode::FAILURE;
    }
    let config = Config::new().hubs(1);
    let config = if is_traced {
        config.stack_size(TRACED_STACK)
    } else {
        config
    };
    config.apply().expect("nothing has started yet");
    green_core::run(move || {
        for operation in
            all().filter(|op| names.is_empty() || names.iter().any(|name| name == op.name))
        {
            (operation.run)(&Meter::new(operation, is_traced));
        }
    });
    ExitCode::SUCCESS
}

/// Crowds last: the hub gives back their stacks when it finds time, which is then counted with something else.
const OPERATIONS: [&[Operation]; 4] = [
    tasks::OPERATIONS,
    waits::OPERATIONS,
    sockets::OPERATIONS,
    tasks::CROWDS,
];

/// In bytes: a backtrace needs room.
const TRACED_STACK: usize = 4 * 1024 * 1024;

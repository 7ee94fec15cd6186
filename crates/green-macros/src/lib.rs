//! The attributes of the crate `green`, which re-exports them: [`main`](macro@main) and [`test`](macro@test).
//!
//! Both wrap the body of a function in `green::run`. What they accept is parsed in `options`, what they write is put
//! together in `expand`.

#![forbid(unsafe_code)]

mod expand;
mod options;

use proc_macro::TokenStream;

use expand::{Kind, expand};

/// Runs the body of `main` in a green thread, so that all of the program is green.
///
/// The process ends when the body returns, as with a plain `main`: green threads that still run are not waited for.
/// The body may return whatever [`std::process::Termination`] is implemented for, `Send` or not.
///
/// # Options
///
/// `hubs = 2`, `stack_size = 65536` (bytes) and `blocking_threads = 8` are applied before the first green thread is
/// made, as by the methods of that name of `green::Config`; each value is any expression of type `usize`. They go
/// before the environment variables. `crate = some::path` names the crate `green` where it is not called that.
///
/// # Panics
///
/// If there are options, and something before `main` has started the runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[green::main]
/// fn main() {
///     let sleepers = [20, 10].map(|ms| green::spawn(move || green::sleep(Duration::from_millis(ms))));
///     green::joinall(&sleepers);
/// }
/// ```
///
/// ```
/// #[green::main(hubs = 1, stack_size = 64 * 1024)]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert!(green::getcurrent().is_some());
///     let port: u16 = "7000".parse()?;
///     assert_eq!(port, 7000);
///     Ok(())
/// }
/// ```
///
/// There is nothing to await, so the function is a plain one:
///
/// ```compile_fail
/// #[green::main]
/// async fn main() {}
/// ```
///
/// ```compile_fail
/// #[green::main(threads = 2)]
/// fn main() {}
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Main, options.into(), function.into()).into()
}

/// Makes a function a test, as `#[test]` does, whose body runs in a green thread.
///
/// `#[should_panic]`, `#[ignore]` and a return value work as with `#[test]`.
///
/// # Options
///
/// Those of [`main`](macro@main). The configuration of a process is frozen once the runtime has started, so a test
/// with options needs a process of its own: run such tests with cargo-nextest.
///
/// # Panics
///
/// If there are options, and an earlier test of the same process has started the runtime.
///
/// # Examples
///
/// ```
/// #[green::test]
/// fn a_queue_hands_over() {
///     let queue = green::queue::Queue::unbounded();
///     let theirs = queue.clone();
///     green::spawn(move || theirs.put(7));
///     assert_eq!(queue.get(), Ok(7));
/// }
///
/// #[green::test(hubs = 2)]
/// #[should_panic(expected = "as promised")]
/// fn panics() {
///     panic!("as promised");
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Test, options.into(), function.into()).into()
}

//! gevent's `util`: who spawned whom, and whether code lets others run.
//!
//! A list of all green threads is [`dump`](crate::dump); gevent's `print_run_info`.
//!
//! # Examples
//!
//! ```
//! use green_core::util::{GreenletTree, assert_switches};
//!
//! let parent = green_core::spawn(|| {
//!     let child = green_core::spawn(|| green_core::sleep(std::time::Duration::MAX));
//!     let tree = assert_switches(|| {
//!         green_core::yield_now();
//!         GreenletTree::current_tree().unwrap()
//!     });
//!     child.kill();
//!     tree.child_trees().len()
//! });
//! assert_eq!(parent.get().unwrap(), 1);
//! ```

mod switches;
mod tree;

pub use switches::{assert_switches, assert_switches_within};
pub use tree::GreenletTree;

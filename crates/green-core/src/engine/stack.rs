//! Where a carrier's stack lies.
//!
//! The engine crate maps a stack and tells nobody where. Its layout is a guard page, then the usable pages,
//! growing down towards the guard.

use std::sync::OnceLock;

use crate::config;

/// The addresses of one carrier's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StackRange {
    /// The lowest usable address; the guard ends here.
    pub(crate) bottom: usize,
    /// One past the highest address.
    pub(crate) top: usize,
}

impl StackRange {
    /// The stack of `size` bytes in which `address` is, at the same distance from the top whenever this is called.
    ///
    /// `None` if the layout is not the expected one, or `/proc` is not there to tell.
    pub(super) fn containing(address: usize, size: usize) -> Option<Self> {
        /// Bytes from `address` to the top of its stack.
        static TO_TOP: OnceLock<Option<usize>> = OnceLock::new();
        let to_top = *TO_TOP.get_or_init(|| {
            // The mapping begins at the guard, which is a mapping of its own: neighbours may merge
            // with its end, never with its start.
            let start = mapping_start(address)?;
            let top = start + size;
            (start < address && address < top).then(|| top - address)
        });
        let top = address + to_top?;
        top.is_multiple_of(config::page_size()).then(|| Self {
            bottom: top - size,
            top,
        })
    }
}

/// The start of the mapping that holds `address`.
fn mapping_start(address: usize) -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start..end).contains(&address).then_some(start)
    })
}

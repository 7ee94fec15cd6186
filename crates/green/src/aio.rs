//! `async`/`await` on the hubs, with the feature `async`: see [`green_core::aio`]. Sockets are in [`net`].

pub use green_core::aio::*;

/// Sockets for futures, and asyncio's streams: see [`green_net::aio`].
pub mod net {
    pub use green_net::aio::*;
}

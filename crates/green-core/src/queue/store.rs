//! In which order a queue gives its items out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::timeout::no_park;

/// Where the items of a queue are. All is called under the queue's lock.
pub(super) trait Store: Default {
    type Item;

    fn push(&mut self, item: Self::Item);

    fn pop(&mut self) -> Option<Self::Item>;

    /// What `pop` would take.
    fn first(&self) -> Option<&Self::Item>;

    fn len(&self) -> usize;
}

/// First in, first out.
pub(super) type Fifo<T> = VecDeque<T>;

impl<T> Store for Fifo<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) {
        self.push_back(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn first(&self) -> Option<&T> {
        self.front()
    }

    #[inline]
    fn len(&self) -> usize {
        self.len()
    }
}

/// Last in, first out.
pub(super) type Lifo<T> = Vec<T>;

impl<T> Store for Lifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop()
    }

    fn first(&self) -> Option<&T> {
        self.last()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// The lowest first.
#[derive(Clone)]
pub(super) struct Heap<T>(BinaryHeap<Reverse<T>>);

impl<T: Ord> Default for Heap<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T: Ord> Store for Heap<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        no_park(|| self.0.push(Reverse(item)));
    }

    fn pop(&mut self) -> Option<T> {
        no_park(|| self.0.pop()).map(|Reverse(item)| item)
    }

    fn first(&self) -> Option<&T> {
        self.0.peek().map(|Reverse(item)| item)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

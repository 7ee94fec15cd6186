//! Who spawned whom, of those who live.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;

use crate::debug::{Line, now, registries};
use crate::engine::make_room;
use crate::greenlet::{RawGreenlet, getcurrent};
use crate::sched::registry::Registry;

/// A live green thread, those that it spawned, those that they spawned, and so on; gevent's `GreenletTree`.
///
/// Who has ended is not there; those that it spawned are roots of trees of their own. [`Display`](fmt::Display) draws the tree
/// with a line for each as [`dump`](crate::dump) has them, with the state at that time.
///
/// # Differences from gevent
///
/// A tree has a green thread for its root, not an OS thread. There are no values, which cannot be looked at
/// from outside, and no stacks: those come one by one, from [`debug::trace`](crate::debug::trace()).
///
/// # Examples
///
/// ```
/// use green_core::util::GreenletTree;
///
/// let sleep = || green_core::sleep(std::time::Duration::MAX);
/// let parent = green_core::Builder::new().name("parent").spawn(move || {
///     let child = green_core::spawn(sleep);
///     sleep();
///     drop(child);
/// })?;
/// while GreenletTree::forest().iter().all(|tree| tree.child_trees().is_empty()) {
///     green_core::yield_now();
/// }
/// // #1 parent hub 0 waits for sleep since 1ms, spawned at src/main.rs:4:58
/// // +--- #2 - hub 0 waits for sleep since 1ms, spawned at src/main.rs:5:17
/// let drawn = GreenletTree::forest()[0].to_string();
/// assert_eq!(drawn.lines().count(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GreenletTree {
    /// Each before those that it spawned, the root first: a list, because chains of them may be long.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    greenlet: RawGreenlet,
    /// How many there are above it.
    depth: usize,
}

impl GreenletTree {
    /// The trees of all live green threads, in the order of the numbers of their roots.
    ///
    /// Works from any OS thread, without stopping anybody.
    pub fn forest() -> Vec<Self> {
        make_room();
        let mut live: Vec<_> = registries()
            .flat_map(Registry::snapshot)
            .map(RawGreenlet::new)
            .collect();
        live.sort_unstable_by_key(RawGreenlet::id);
        // One that moves from one registry to another may be in both.
        live.dedup_by_key(|greenlet| greenlet.id());
        plant(live)
    }

    /// The tree in which the caller is; `None` outside green threads.
    pub fn current_tree() -> Option<Self> {
        let me = getcurrent()?.id();
        let is_mine = |tree: &Self| tree.nodes.iter().any(|node| node.greenlet.id() == me);
        Self::forest().into_iter().find(is_mine)
    }

    /// The root.
    pub fn greenlet(&self) -> &RawGreenlet {
        &self.nodes[0].greenlet
    }

    /// The trees of those that the root spawned, in this order.
    pub fn child_trees(&self) -> Vec<Self> {
        let mut trees = Vec::new();
        for node in &self.nodes[1..] {
            let node = Node {
                depth: node.depth - 1,
                ..node.clone()
            };
            grow(&mut trees, node);
        }
        trees
    }

    /// How many green threads it has, with the root.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }
}

/// The trees of `live`, in its order.
fn plant(live: Vec<RawGreenlet>) -> Vec<GreenletTree> {
    let mut children: HashMap<NonZeroU64, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (place, greenlet) in live.iter().enumerate() {
        let parent = greenlet.spawning_greenlet();
        match parent.filter(|id| live.binary_search_by_key(id, RawGreenlet::id).is_ok()) {
            Some(parent) => children.entry(parent).or_default().push(place),
            None => roots.push(place),
        }
    }
    let mut trees = Vec::new();
    let mut stack: Vec<_> = roots.into_iter().rev().map(|place| (place, 0)).collect();
    while let Some((place, depth)) = stack.pop() {
        let greenlet = live[place].clone();
        let below = children.remove(&greenlet.id()).unwrap_or_default();
        stack.extend(below.into_iter().rev().map(|place| (place, depth + 1)));
        grow(&mut trees, Node { greenlet, depth });
    }
    trees
}

/// Adds the next node: to the last tree, or as the root of another.
fn grow(trees: &mut Vec<GreenletTree>, node: Node) {
    match trees.last_mut() {
        Some(tree) if node.depth > 0 => tree.nodes.push(node),
        _ => trees.push(GreenletTree { nodes: vec![node] }),
    }
}

impl fmt::Display for GreenletTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = now();
        for (place, node) in self.nodes.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            for _ in 1..node.depth.min(DEEPEST) {
                f.write_str("|    ")?;
            }
            if node.depth > 0 {
                f.write_str("+--- ")?;
            }
            write!(f, "{}", Line::new(node.greenlet.control(), now))?;
        }
        Ok(())
    }
}

/// Those below so many others are drawn one below the other: a page is not wider.
const DEEPEST: usize = 32;

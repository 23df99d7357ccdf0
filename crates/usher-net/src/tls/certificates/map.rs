//! A map from names that shares with its earlier versions whatever is the same: a hash trie, of which a change copies one
//! path. So versions can be swapped whole, at a cost that hardly grows with the number of names.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Bits of a name's hash that choose one of the branches of a node.
const BITS: u32 = 4;
const BRANCHES: usize = 1 << BITS;
/// Names that lie side by side, before they are spread over branches.
const FEW: usize = 8;
/// Branchings after which no bits are left.
const DEEPEST: u32 = u64::BITS / BITS;

/// Names, each with a value. A clone costs nothing, and does not see later changes.
#[derive(Debug, Clone)]
pub(super) struct Map<V> {
    root: Arc<Node<V>>,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
enum Node<V> {
    Names(Vec<(Arc<str>, V)>),
    Branches([Arc<Node<V>>; BRANCHES]),
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self { root: Arc::default(), hasher: RandomState::new() }
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// Which branch a hash takes, so deep below the root.
fn branch(hash: u64, depth: u32) -> usize {
    (hash >> (depth * BITS)) as usize % BRANCHES
}

impl<V: Clone> Map<V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hasher.hash_one(name);
        let (mut node, mut depth) = (&*self.root, 0);
        loop {
            match node {
                Node::Branches(branches) => node = branches.get(branch(hash, depth))?,
                Node::Names(names) => {
                    return names.iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
                }
            }
            depth += 1;
        }
    }

    /// Gives a name another value; none takes it out.
    pub(super) fn set(&mut self, name: &str, value: Option<V>) {
        let hash = self.hasher.hash_one(name);
        let (mut node, mut depth) = (&mut self.root, 0);
        // What an earlier version has as well is copied on the way.
        while let Node::Branches(_) = **node {
            let Node::Branches(branches) = Arc::make_mut(node) else { return };
            let Some(next) = branches.get_mut(branch(hash, depth)) else { return };
            (node, depth) = (next, depth + 1);
        }
        let node = Arc::make_mut(node);
        let Node::Names(names) = node else { return };
        let place = names.iter().position(|(known, _)| **known == *name);
        match (place.and_then(|index| names.get_mut(index)), value) {
            (Some((_, old)), Some(new)) => *old = new,
            (None, Some(new)) => names.push((name.into(), new)),
            (_, None) => drop(place.map(|index| names.swap_remove(index))),
        }
        if names.len() > FEW && depth < DEEPEST {
            let names = std::mem::take(names);
            *node = spread(names, depth, &self.hasher);
        }
    }
}

fn spread<V>(names: Vec<(Arc<str>, V)>, depth: u32, hasher: &RandomState) -> Node<V> {
    let mut lists: [Vec<_>; BRANCHES] = Default::default();
    for (name, value) in names {
        if let Some(list) = lists.get_mut(branch(hasher.hash_one(&*name), depth)) {
            list.push((name, value));
        }
    }
    Node::Branches(lists.map(|list| Arc::new(Node::Names(list))))
}

#[cfg(test)]
mod tests;

//! Remembers passwords that were right, so that a browser's next request costs no hash.
//!
//! What is kept is a 128-bit hash of name, password and stored hash under keys that live in this process only, never
//! the password. As the stored hash is part of it, a changed password is not remembered. The table has a fixed size
//! and no locks; a new entry takes the place of another of its set.

use std::hash::{BuildHasher, Hash as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::credentials::Credentials;
use super::hash::Hash;

/// Sets of the table, a power of two.
const SETS: usize = 1024;
/// Entries of one set.
const WAYS: usize = 4;

/// An entry: both halves of its hash. A half from one entry and a half from another match nothing.
#[derive(Default)]
struct Entry([AtomicU64; 2]);

/// The hash of a name, a password and a stored hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark([u64; 2]);

/// Passwords that were right.
pub struct Memory {
    keys: [RandomState; 2],
    entries: Box<[Entry]>,
    turn: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        let entries = (0..SETS * WAYS).map(|_| Entry::default()).collect();
        Self { keys: [RandomState::new(), RandomState::new()], entries, turn: AtomicUsize::new(0) }
    }
}

impl Memory {
    /// What stands for this password of this user.
    pub fn mark(&self, credentials: &Credentials, hash: &Hash) -> Mark {
        let half = |key: &RandomState| {
            let mut hasher = key.build_hasher();
            credentials.user.hash(&mut hasher);
            credentials.password.hash(&mut hasher);
            hash.expose().hash(&mut hasher);
            hasher.finish().max(1)
        };
        Mark([half(&self.keys[0]), half(&self.keys[1])])
    }

    /// Whether it was right before.
    pub fn knows(&self, mark: Mark) -> bool {
        let same = |entry: &Entry| {
            entry.0[0].load(Ordering::Relaxed) == mark.0[0] && entry.0[1].load(Ordering::Relaxed) == mark.0[1]
        };
        self.set(mark).iter().any(same)
    }

    /// Remembers that it was right.
    pub fn remember(&self, mark: Mark) {
        if self.knows(mark) {
            return;
        }
        let set = self.set(mark);
        let free = set.iter().position(|entry| entry.0[0].load(Ordering::Relaxed) == 0);
        let at = free.unwrap_or_else(|| self.turn.fetch_add(1, Ordering::Relaxed) % WAYS);
        if let Some(entry) = set.get(at) {
            entry.0[0].store(mark.0[0], Ordering::Relaxed);
            entry.0[1].store(mark.0[1], Ordering::Relaxed);
        }
    }

    fn set(&self, mark: Mark) -> &[Entry] {
        let index = usize::try_from(mark.0[1] >> 32).unwrap_or_default() % SETS;
        self.entries.get(index * WAYS..(index + 1) * WAYS).unwrap_or_default()
    }
}

//! Names that do not repeat.

use std::collections::{HashMap, HashSet};

/// The names that are taken.
#[derive(Default)]
pub(in crate::snapshot) struct Names {
    taken: HashSet<String>,
    /// By name, the number that is tried next: many routes may look for the same thing.
    next: HashMap<String, u32>,
}

impl Names {
    /// With the names that users gave.
    pub(in crate::snapshot) fn taken<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self { taken: names.map(str::to_owned).collect(), next: HashMap::new() }
    }

    /// The name, with a number behind it if somebody has it.
    pub(in crate::snapshot) fn unique(&mut self, name: String) -> String {
        if self.taken.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let numbered = format!("{name} #{next}");
            *next = next.saturating_add(1);
            if self.taken.insert(numbered.clone()) || *next == u32::MAX {
                return numbered;
            }
        }
    }
}

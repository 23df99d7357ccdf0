//! The parts of a path that a pattern has named.

use std::ops::Range;

/// Names and ranges of what the chosen pattern captured. Kept by the caller and used again for the next request, so that
/// capturing allocates only until the buffers have grown.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    /// All names, one after another.
    names: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    /// Where the name ends in `names`; it starts where the one before ends.
    name_end: usize,
    value: Range<usize>,
}

impl Captures {
    /// With nothing captured.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `name` captured of `path`, the path that was searched for; `None` if the pattern has no such name (or, for
    /// a regex, the group took no part in the match).
    pub fn get<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        self.iter(path).find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All names with what they captured of `path`, in the order of the pattern.
    pub fn iter<'s, 'p>(&'s self, path: &'p str) -> impl Iterator<Item = (&'s str, &'p str)> + use<'s, 'p> {
        let mut start = 0;
        self.parts.iter().filter_map(move |part| {
            let name = self.names.get(start..part.name_end)?;
            start = part.name_end;
            Some((name, path.get(part.value.clone())?))
        })
    }

    /// How many names captured something.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether nothing was captured.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.parts.clear();
    }

    pub(crate) fn push(&mut self, name: &str, value: Range<usize>) {
        self.names.push_str(name);
        self.parts.push(Part { name_end: self.names.len(), value });
    }
}

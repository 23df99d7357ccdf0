//! The paths of one host.

use super::node::Node;
use super::table::Table;
use super::{Building, Candidate, Map, NONE, Search};
use crate::path::{PathKind, PathPattern};
use crate::regexes::Regexes;

/// What a host, or the lack of a condition on it, leads to.
pub(crate) struct Paths {
    best: u32,
    exact: Map<Box<str>, Table>,
    /// The patterns; their first segment is a child of this node.
    patterns: Option<Box<Node>>,
    regexes: Option<Box<RegexPaths>>,
    any: Table,
}

struct RegexPaths {
    best: u32,
    tables: Regexes<Table>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { best: NONE, exact: Map::default(), patterns: None, regexes: None, any: Table::default() }
    }
}

impl Paths {
    pub(super) fn insert(&mut self, path: Option<&PathPattern>, candidate: Candidate) {
        self.best = self.best.min(candidate.rank);
        let table = match path.map(|p| &p.kind) {
            None => &mut self.any,
            Some(PathKind::Exact(exact)) => self.exact.entry(exact.clone()).or_default(),
            Some(PathKind::Segments { segments, rest }) => {
                let root = self.patterns.get_or_insert_with(|| Box::new(Node::new(candidate.rank)));
                root.table_for(segments, rest.is_some(), candidate.rank)
            }
            Some(PathKind::Regex(regex)) => {
                let fresh = || Box::new(RegexPaths { best: candidate.rank, tables: Regexes::default() });
                self.regexes.get_or_insert_with(fresh).tables.entry(regex.as_str())
            }
        };
        table.push(candidate);
    }

    pub(super) fn finish(&mut self, building: &mut Building<'_>) -> Result<(), regex::Error> {
        self.exact.values_mut().chain([&mut self.any]).for_each(|table| table.finish(building));
        if let Some(root) = &mut self.patterns {
            root.finish(building);
        }
        if let Some(regexes) = &mut self.regexes {
            regexes.tables.items_mut().for_each(|table| table.finish(building));
            regexes.tables.compile(false)?;
        }
        Ok(())
    }

    pub(super) fn search(&self, path: &str, search: &mut Search<'_>) {
        if !search.wants(self.best) {
            return;
        }
        if let Some(table) = self.exact.get(path) {
            table.search(search);
        }
        if let Some(root) = &self.patterns
            && let Some(tail) = path.strip_prefix('/')
        {
            let segments = 1 + memchr::memchr_iter(b'/', tail.as_bytes()).count();
            root.search(Some(tail), segments, search);
        }
        if let Some(regexes) = &self.regexes
            && search.wants(regexes.best)
        {
            regexes.tables.each(path, |table| table.search(search));
        }
        self.any.search(search);
    }
}

//! Keys that mean something, but not here: elsewhere in a config, or to another server.

use crate::config::Config;
use crate::decode::Section;
use crate::schema::{Kind, Schema};

/// What it takes to be a cluster.
const A_CLUSTER: &str = "write `[cluster.NAME]` with its `endpoints`, and `cluster = \"NAME\"` on a route";
/// Where a route sends requests.
const A_TARGET: &str = "write `to = \"host:port\"`, or `cluster` with the name of a `[cluster.NAME]`";

/// What other servers call it, a key of the section that the advice is for, and the advice.
const FOREIGN: [(&str, &str, &str); 20] = [
    ("proxy_pass", "to", A_TARGET),
    ("reverse_proxy", "to", A_TARGET),
    ("backend", "to", A_TARGET),
    ("upstream", "to", A_TARGET),
    ("server", "to", A_TARGET),
    ("servers", "to", A_TARGET),
    ("backend", "route", A_CLUSTER),
    ("backends", "route", A_CLUSTER),
    ("upstream", "route", A_CLUSTER),
    ("upstreams", "route", A_CLUSTER),
    ("servers", "route", A_CLUSTER),
    ("server", "route", "write a `[[listener]]` with `bind`, and a `[[route]]` with `host`"),
    ("location", "route", "write a `[[route]]` with a `path`"),
    ("listen", "listener", "write a `[[listener]]` with `bind`"),
    ("listen", "bind", "write `bind`"),
    ("server", "endpoints", "write `endpoints`"),
    ("servers", "endpoints", "write `endpoints`"),
    ("server_name", "host", "write `host`"),
    ("location", "path", "write `path`: `/api/*` takes everything below `/api`"),
    ("root", "static_files", "write `static_files = { root = \"…\" }`"),
];

/// What to write for an unknown key of a section with these keys, if it is known from elsewhere.
pub(super) fn help(name: &str, known: &[&str], schema: fn() -> Schema) -> Option<String> {
    let foreign = || {
        FOREIGN.iter().find(|(theirs, ours, _)| *theirs == name && known.contains(ours)).map(|found| found.2)
    };
    foreign().map(str::to_owned).or_else(|| below(name, &schema())).or_else(|| above(name, known))
}

/// A table of the section has the key: `upstream.connect`.
fn below(name: &str, schema: &Schema) -> Option<String> {
    let fields = &schema.as_table()?.fields;
    let tables = fields.iter().filter_map(|field| match &field.schema.kind {
        Kind::Table(table) => Some((&field.key, table)),
        _ => None,
    });
    let mut holders = tables.filter(|(_, table)| table.fields.iter().any(|field| field.key == name));
    holders.next().map(|(key, _)| format!("did you mean `{key}.{name}`?"))
}

/// The whole config has the key. In TOML, whatever follows a header belongs to that section.
fn above(name: &str, known: &[&str]) -> Option<String> {
    let is_root = known == Config::KEYS;
    let single = !matches!(name, "listener" | "route" | "bundle" | "cluster" | "defaults");
    (!is_root && single && Config::KEYS.contains(&name))
        .then(|| format!("`{name}` is a top-level key: move it above the first `[…]` or `[[…]]`"))
}

//! `usher check`

use crate::assemble;
use crate::cli::ConfigArgs;
use crate::origin::Origin;
use crate::terminal::{Failure, print, warn};

/// Does everything that serving would, but for opening sockets and logs and asking for names.
pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let origin = Origin::named(args.config.as_deref(), args.format)?;
    let loaded = origin.load()?;
    let built = assemble::dry(&loaded)?;
    warn(&loaded.warnings, &loaded.sources);
    warn(&built.warnings, &loaded.sources);
    let snapshot = &built.snapshot;
    let counts = [
        count(snapshot.listeners.len(), "listener"),
        count(snapshot.routes.len(), "route"),
        count(snapshot.clusters.len(), "cluster"),
    ];
    print(format!("{}: ok, {}\n", origin.name(), counts.join(", ")))
}

/// `1 route`, `2 routes`
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

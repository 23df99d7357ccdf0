//! `usher check`

use crate::assemble;
use crate::cli::CheckArgs;
use crate::discovery;
use crate::effective;
use crate::origin::Origin;
use crate::terminal::{Failure, print, say, warn};

/// Does everything that serving would, but for opening sockets and logs and asking for names.
pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let origin = Origin::of(&args.file.config())?;
    let loaded = origin.load()?;
    let built = assemble::dry(&loaded)?;
    warn(&loaded.warnings, &loaded.sources);
    warn(&built.warnings, &loaded.sources);
    let snapshot = &built.snapshot;
    let faults = discovery::check(&snapshot.clusters);
    faults.iter().for_each(|(fault, _)| say(fault));
    if faults.iter().any(|(_, is_error)| *is_error) {
        return Err(Failure::Said);
    }
    let counts = [
        count(snapshot.listeners.len(), "listener"),
        count(snapshot.routes.len(), "route"),
        count(snapshot.clusters.len(), "cluster"),
    ];
    let verdict = format!("{}: ok, {}\n", origin.name(), counts.join(", "));
    if let Some(told) = assemble::default_listener(&loaded) {
        say(&format!("{told}\n"));
    }
    let Some(format) = args.print else { return print(verdict) };
    // The config alone goes to standard output, so that it can be kept or compared.
    say(&verdict);
    print(effective::text(&loaded, format))
}

/// `1 route`, `2 routes`
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

//! `cargo xtask invariants`: promises of ARCHITECTURE.md that a script can hold, each a function that lists what
//! breaks it.

mod layers;
mod source;
mod sources;

use crate::{Outcome, paths};

/// A promise, and what breaks it.
type Invariant = (&'static str, fn() -> Result<Vec<String>, String>);

const ALL: &[Invariant] = &[
    ("arrows between crates only go down", layers::check),
    ("`unsafe` only in crates/usher-net/src/sys", sources::unsafe_code),
    ("an extension never imports another", sources::extensions),
    ("the engine opens no socket", sources::engine_sockets),
    ("files stay short", sources::long_files),
];

pub(crate) fn main() -> Outcome {
    let mut broken = 0;
    for (promise, check) in ALL {
        let found = check()?;
        broken += usize::from(!found.is_empty());
        println!("{} {promise}", if found.is_empty() { "held  " } else { "BROKEN" });
        found.iter().for_each(|line| println!("         {line}"));
    }
    let root = paths::root();
    match broken {
        0 => Ok(()),
        _ => Err(format!(
            "{broken} invariants are broken; ARCHITECTURE.md in {} says why they stand",
            root.display()
        )),
    }
}

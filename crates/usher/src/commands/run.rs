//! `usher run`, and `usher` alone

use crate::cli::ConfigArgs;
use crate::demo::Demo;
use crate::origin::Origin;
use crate::serve;
use crate::terminal::Failure;

/// Serves the config. Without one it serves nothing: whoever says `run` in a wrong folder does not mean a demo.
pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    serve::run(Origin::of(args)?)
}

/// `usher` alone: serves the config that is found, or shows the demo to somebody who only looks.
pub(super) fn without_words() -> Result<(), Failure> {
    match Origin::found(None) {
        Some(origin) => serve::run(origin),
        None => demo(),
    }
}

/// Starts the demo on ports that are free.
fn demo() -> Result<(), Failure> {
    let mut demo = Demo::start()?;
    loop {
        match serve::start(demo.origin(), Some(&demo)) {
            Ok(mut control) => return control.run(),
            Err(failure) if !demo.move_on() => return Err(failure),
            Err(_) => {}
        }
    }
}

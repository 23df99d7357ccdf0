//! `usher run`

use std::path::Path;

use crate::cli::ConfigArgs;
use crate::demo::Demo;
use crate::origin::{DEFAULT_FILE, Origin};
use crate::serve;
use crate::terminal::Failure;

/// Serves the config; without one, the demo.
pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    if args.config.is_none() && !Path::new(DEFAULT_FILE).exists() {
        return demo();
    }
    serve::run(Origin::named(args.config.as_deref(), args.format)?)
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

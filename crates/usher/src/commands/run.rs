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
        let demo = Demo::start()?;
        return serve::run(demo.origin(), Some(&demo));
    }
    serve::run(Origin::named(args.config.as_deref(), args.format)?, None)
}

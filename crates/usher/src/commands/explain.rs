//! `usher explain`

use crate::cli::ExplainArgs;
use crate::terminal::Failure;

pub(super) fn run(_args: &ExplainArgs) -> Result<(), Failure> {
    Err(Failure::Message("not yet".to_owned()))
}

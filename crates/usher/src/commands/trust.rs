//! `usher trust`

use crate::cli::TrustArgs;
use crate::terminal::Failure;

pub(super) fn run(_: &TrustArgs) -> Result<(), Failure> {
    Err(Failure::Said)
}

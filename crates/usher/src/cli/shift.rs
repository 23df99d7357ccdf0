//! `usher shift`

use clap::Args;
use usher_config::BindAddress;

use super::{ConfigArgs, bind};

pub(super) const SHIFT_EXAMPLES: &str = "\
Examples:
  usher shift                           What the new version takes, and how both sides do
  usher shift pause shop                Go no further for now
  usher shift resume                    Go on; after it went back, begin anew
  usher shift abort                     Back to the old version, at once";

/// `usher shift`
#[derive(Debug, Args)]
pub(crate) struct ShiftArgs {
    /// `pause`: goes no further, but still back; `resume`: goes on, or begins, also after it went back; `advance`: the next
    /// step now; `promote`: the last step now; `abort`: back to the old target; `restart`: from the first step. Without
    /// it, all are shown.
    #[arg(value_parser = ["pause", "resume", "advance", "promote", "abort", "restart"])]
    pub(crate) order: Option<String>,
    /// The route, where there are several shifts.
    #[arg(requires = "order")]
    pub(crate) route: Option<String>,
    /// Print all that is known, as JSON.
    #[arg(long, conflicts_with = "order")]
    pub(crate) json: bool,
    /// The admin listener of the process, where it is not the one of the config.
    #[arg(long, value_name = "ADDR", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

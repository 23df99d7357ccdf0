//! `usher endpoints`

use clap::{Args, Subcommand};
use usher_config::BindAddress;

use super::{ConfigArgs, bind};

pub(super) const EXAMPLES: &str = "\
Examples:
  usher endpoints                                             Who is in, who is out, and why
  usher endpoints api 10.0.0.1:3000 --state drain             Before the endpoint is taken down
  usher endpoints api 10.0.0.1:3000 --state ready --weight 2  It is back, with twice the share
  usher endpoints add api 10.0.0.9:3000 --weight 2            One more, until it is removed or usher restarts
  usher endpoints remove api 10.0.0.1:3000                    Of the config: until it is added again";

/// `usher endpoints`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct EndpointsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<EndpointsCommand>,
    #[command(flatten)]
    pub(crate) set: SetArgs,
    /// Hold the circuit of the cluster's breaker open, so that it gets no requests, or closed, whatever becomes of them; or
    /// let them decide again (`auto`).
    #[arg(long, value_name = "STATE", value_parser = ["open", "closed", "auto"], requires = "cluster",
          conflicts_with = "endpoints")]
    pub(crate) breaker: Option<String>,
    /// Print all that is known, as JSON.
    #[arg(long, conflicts_with_all = ["endpoints", "breaker"])]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointsCommand {
    /// Add endpoints to a cluster; all of them or none.
    Add(AddArgs),
    /// Remove endpoints from a cluster; all of them or none. What they are doing is finished.
    Remove(RemoveArgs),
    /// Change how endpoints stand; the same as without `set`.
    Set(SetArgs),
}

/// Which process is asked.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The admin listener of the process, where it is not the one of the config.
    #[arg(long, value_name = "ADDR", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `usher endpoints set`
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The cluster whose endpoints are shown or changed; all are shown without it.
    pub(crate) cluster: Option<String>,
    /// The endpoints to change, by address or by name; all of them or none.
    #[arg(value_name = "ENDPOINT")]
    pub(crate) endpoints: Vec<String>,
    /// `ready`: takes requests; `drain`: finishes what it has, and serves visitors that are bound to it; `disable`: gets
    /// nothing more.
    #[arg(long, value_parser = ["ready", "drain", "disable"], requires = "endpoints")]
    pub(crate) state: Option<String>,
    /// Its weight from now on, or `config` for the one of the config.
    #[arg(long, value_name = "N", requires = "endpoints")]
    pub(crate) weight: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// `usher endpoints add`
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The cluster.
    pub(crate) cluster: String,
    /// The endpoints, as they are written in a config. One of the config that was removed is put back.
    #[arg(value_name = "ENDPOINT", required = true)]
    pub(crate) endpoints: Vec<String>,
    /// The share of each.
    #[arg(long, value_name = "N")]
    pub(crate) weight: Option<u16>,
    /// The group of each.
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<u8>,
    /// A label of each, for the `subset` of routes; can be repeated.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// `usher endpoints remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The cluster.
    pub(crate) cluster: String,
    /// The endpoints, by address or by name.
    #[arg(value_name = "ENDPOINT", required = true)]
    pub(crate) endpoints: Vec<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

//! What each command does.

mod admin_client;
mod certs;
mod check;
mod completions;
mod endpoints;
mod explain;
mod init;
mod man;
mod proxy;
mod reload;
mod run;
mod schema;
mod shift;
mod trust;
mod upgrade;

use crate::cli::{Cli, Command};
use crate::terminal::Failure;

/// Runs the command.
pub(crate) fn dispatch(cli: Cli) -> Result<(), Failure> {
    let Some(command) = cli.command else { return run::without_words() };
    match command {
        Command::Run(args) => run::run(&args.config()),
        Command::Check(args) => check::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Upgrade(args) => upgrade::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Endpoints(args) => endpoints::run(&args),
        Command::Shift(args) => shift::run(&args),
        Command::Trust(args) => trust::run(&args),
        Command::Schema { reference } => schema::run(reference),
        Command::Init { path, force } => init::run(&path, force),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { dir } => man::run(dir.as_deref()),
    }
}

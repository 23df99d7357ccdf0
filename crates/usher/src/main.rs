//! `usher`: the command line, the life of the process, and the one place where all parts are put together.
//!
//! - [`cli`]: what can be typed; [`commands`]: what each command does.
//! - [`serve`]: `usher run`, from binding the sockets to the last connection.
//! - [`origin`], [`assemble`]: from the bytes of a config to a snapshot, with every extension that there is.
//! - [`effective`]: a config as it would be served, in one text.
//! - [`names`]: endpoints that are written by name, resolved again and again.
//! - [`health`]: endpoints that are asked whether they are well.
//! - [`shifts`]: splits that move by themselves.
//! - [`shortage`]: the ceiling on memory and descriptors, and whoever watches it.
//! - [`demo`]: what `usher` serves when it is told nothing.

mod assemble;
mod certificates;
mod cli;
mod clusters;
mod commands;
mod demo;
mod discovery;
mod effective;
mod former_logs;
mod health;
mod known;
mod log;
mod names;
mod origin;
mod outliers;
mod serve;
mod shifts;
mod shortage;
mod terminal;

use std::process::ExitCode;

/// Every byte of the heap is charged against the ceiling.
#[global_allocator]
static HEAP: usher_net::CountedHeap = usher_net::CountedHeap;

/// 0: done; 1: the config was refused or something failed; 2: the command line was wrong (clap says so itself).
fn main() -> ExitCode {
    match commands::dispatch(cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show();
            ExitCode::from(1)
        }
    }
}

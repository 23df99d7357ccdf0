//! `usher-bench`: what a request costs in Usher, nginx, HAProxy and Caddy, measured in one interleaved run.
//!
//! One binary with six subcommands: `run` is what `cargo xtask bench` calls, `slow-clients` what `cargo xtask slow-clients`
//! does; `endpoint` and `load` are its two ends and
//! `serve` what stands between them, usable by hand; `pinned` is how it starts every other process. Start reading at
//! `run.rs`.

mod certificate;
mod cpu;
mod endpoint;
mod extras;
mod http;
mod load;
mod machine;
mod options;
mod peers;
mod process;
mod report;
mod run;
mod slow;
mod stats;
mod works;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "endpoint" => endpoint::main(rest),
        Some((first, rest)) if first == "load" => load::main(rest),
        Some((first, rest)) if first == "pinned" => process::pinned(rest),
        Some((first, rest)) if first == "run" => run::main(rest),
        Some((first, rest)) if first == "slow-clients" => slow::main(rest),
        Some((first, rest)) if first == "serve" => run::serve(rest),
        _ => {
            print!("{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

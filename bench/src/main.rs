//! `usher-bench`: what a request costs in Usher, nginx, HAProxy and Caddy, measured in one interleaved run.
//!
//! `run` is what `cargo xtask bench` calls, `slow-clients` and `chaos` what the chores of these names do; `endpoint` and
//! `load` are the two ends of the first and `serve` what stands between them, usable by hand; `pinned` and
//! `chaos-endpoint` are how they start other processes. Start reading at `run.rs` or `chaos/mod.rs`.

mod certificate;
mod chaos;
mod cpu;
mod endpoint;
mod extras;
mod http;
mod instructions;
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
        Some((first, rest)) if first == "chaos" => chaos::main(rest),
        Some((first, rest)) if first == "chaos-endpoint" => chaos::endpoint::main(rest),
        Some((first, rest)) if first == "endpoint" => endpoint::main(rest),
        Some((first, rest)) if first == "instructions" => instructions::main(rest),
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

//! `cargo xtask`: the repository's chores. Each is a file of this folder; `test.rs` names what is tested, in order.

mod bench;
mod changes;
mod count;
mod generate;
mod invariants;
mod paths;
mod simulate;
mod slow;
mod step;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask: the repository's chores

  cargo xtask test [--quick] [--fuzz-seconds N]
      Installs what the tests need, runs everything, and sums up: format, lints, invariants, unit, property and
      documentation tests, the release build, process tests and scenarios against it, generated files, every fuzz
      target for N seconds (20 unless told), licences and advisories of dependencies. A step that fails says how to
      run it alone; the others still run. What cannot be had (cargo-fuzz without network, say) is skipped with the
      reason.
      --quick is the inner loop: format, lints, invariants, workspace tests.

  cargo xtask invariants
      What ARCHITECTURE.md promises and a script can hold: where `unsafe` may be, which crate may use which, that
      extensions do not know each other, that the engine opens no socket, that files stay short.

  cargo xtask generate [--check]
      Writes what is derived from the code: docs/schema.json, docs/reference.md, shell completions and man pages under
      packaging/. With --check it only says what differs. USHER_BIN names a binary to ask instead of building one.

  cargo xtask simulate
      Draws the pictures of docs/balancing.md: the balancers among simulated endpoints, always from the same seed.

  cargo xtask changes
      100 reloads and 3 upgrades under load with 1,000 WebSockets open, and what came of it: the table of
      docs/upgrade.md. Takes some minutes, and 5,000 open files.

  cargo xtask bench [--only NAME…] [--rounds N] [--quick] [--proxies A,B] …
      CPU per request of Usher, nginx, HAProxy, Caddy, interleaved: bench/README.md. Installs the peers, builds, runs;
      `cargo xtask bench --help` lists every option. With --before PATH, another Usher has a column beside.

  cargo xtask chaos [--faults NAME…] [--proxies A,B] [--rate N]
      What visitors see while endpoints are killed, frozen, slowed, restarted and moved, through Usher, nginx and
      HAProxy; as root, seven minutes. Writes bench/CHAOS.md and a picture: bench/README.md.

  cargo xtask slow-clients [--clients N] [--memory SIZE] [--seconds N] [--rounds N]
      9,000 slow clients of six kinds against a ceiling of 96 MiB, and what a client sees who behaves. The table goes to
      bench/SLOW_CLIENTS.md.

  cargo xtask instructions [--work NAME] [--guarded] [--before PATH]
      Instructions per request of Usher, counted by callgrind: what CPU time is too noisy to tell.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = std::env::set_current_dir(paths::root()) {
        eprintln!("xtask: cannot enter `{}`: {error}", paths::root().display());
        return ExitCode::FAILURE;
    }
    let done = match arguments.split_first() {
        Some((first, rest)) if first == "test" => test::main(rest),
        Some((first, rest)) if first == "invariants" => no_more(rest).and_then(|()| invariants::main()),
        Some((first, rest)) if first == "generate" => generate::main(rest),
        Some((first, rest)) if first == "simulate" => no_more(rest).and_then(|()| simulate::main()),
        Some((first, rest)) if first == "changes" => no_more(rest).and_then(|()| changes::main()),
        Some((first, rest)) if first == "bench" => bench::main(rest),
        Some((first, rest)) if first == "slow-clients" => slow::main(rest),
        Some((first, rest)) if first == "chaos" => bench::chaos(rest),
        Some((first, rest)) if first == "instructions" => bench::instructions(rest),
        Some((first, _)) if ["help", "--help", "-h"].contains(&first.as_str()) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        None => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
        Some((first, _)) => unknown(first),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What a chore gives back: nothing, or what went wrong and how to go on.
type Outcome = Result<(), String>;

fn unknown(argument: &str) -> Outcome {
    Err(format!("`{argument}` is not known; `cargo xtask --help` says what is"))
}

fn no_more(arguments: &[String]) -> Outcome {
    arguments.first().map_or(Ok(()), |argument| unknown(argument))
}

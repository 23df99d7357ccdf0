//! `cargo xtask test`: everything, in order, each step whatever became of the one before.

use std::ffi::OsString;
use std::process::Command;

use crate::count::Runner;
use crate::step::{self, Steps, Verdict};
use crate::{Outcome, generate, invariants, paths, tools};

/// Programs that tests start, and the packages that bring them.
const PROGRAMS: &[tools::Package] = &[
    ("ab", "apache2-utils"),
    ("certutil", "libnss3-tools"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dnsmasq", "dnsmasq-base"),
    ("haproxy", "haproxy"),
    ("h2load", "nghttp2-client"),
    ("ip", "iproute2"),
    ("nghttpd", "nghttp2-server"),
    ("named", "bind9"),
    ("nginx", "nginx"),
    ("openssl", "openssl"),
    ("pebble", "pebble"),
    ("python3", "python3"),
    ("/usr/share/doc/python3-venv/copyright", "python3-venv"),
    ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets"),
    ("rsyslogd", "rsyslog"),
    ("testssl", "testssl.sh"),
    ("valgrind", "valgrind"),
    ("wrk", "wrk"),
];

/// Python modules that tests import, and the distributions that bring them; in an environment of their own.
const MODULES: &[tools::Module] = &[
    ("aioquic", "aioquic"),
    ("certbot_acme_dns", "certbot-acme-dns"),
    ("certbot_dns_cloudflare", "certbot-dns-cloudflare"),
    ("certbot_dns_desec", "certbot-dns-desec"),
    ("cryptography", "cryptography"),
    ("curl_cffi", "curl-cffi"),
    ("desec", "desec-dns"),
    ("flask_cors", "flask-cors"),
    ("grpc", "grpcio"),
    ("h2", "h2"),
    ("moto", "moto"),
    ("pycurl", "pycurl"),
    ("yaml", "pyyaml"),
];

/// How long each fuzz target runs, unless told.
const FUZZ_SECONDS: u64 = 20;

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (quick, fuzz_seconds) = parse(arguments)?;
    let mut steps = Steps::default();
    if !quick {
        // A test that misses its program says so itself; what is here already must not fail for want of the rest.
        let packages: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
        steps.run("packages", &format!("apt-get install {}", packages.join(" ")), || {
            tools::debian(PROGRAMS).map_or_else(Verdict::Skipped, |()| step::chore(Ok(())))
        });
        let wheels: Vec<&str> = MODULES.iter().map(|(_, distribution)| *distribution).collect();
        steps.run("python modules", &format!("pip install {}", wheels.join(" ")), || {
            tools::pypi(MODULES).map_or_else(Verdict::Skipped, |()| step::chore(Ok(())))
        });
        steps.run("recordings", "recorded answers of DNS hosts, from Debian and PyPI", || {
            tools::recordings().map_or_else(Verdict::Skipped, |()| step::chore(Ok(())))
        });
    }
    inner_loop(&mut steps, quick);
    if !quick {
        built_binary(&mut steps);
        fuzz(&mut steps, fuzz_seconds);
        dependencies(&mut steps);
    }
    steps.finish()
}

fn parse(arguments: &[String]) -> Result<(bool, u64), String> {
    let (mut quick, mut fuzz_seconds) = (false, FUZZ_SECONDS);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--fuzz-seconds" => {
                let value = rest.next().and_then(|value| value.parse().ok());
                fuzz_seconds = value.ok_or("`--fuzz-seconds` needs a number")?;
            }
            other => crate::unknown(other)?,
        }
    }
    Ok((quick, fuzz_seconds))
}

/// What tests that cost much take for "as large as it gets"; without it they are content with less.
const THOROUGH: (&str, &str) = ("USHER_TESTS", "thorough");

fn inner_loop(steps: &mut Steps, quick: bool) {
    simple(steps, "format", "fmt --all --check");
    simple(steps, "lint", "clippy --workspace --all-targets -- --deny warnings");
    steps.run("invariants", "cargo xtask invariants", || step::chore(invariants::main()));
    // The process tests take a development binary that is there as it is: it must not be last week's.
    simple(steps, "build", "build --package usher");
    let thorough = [(THOROUGH.0, THOROUGH.1.into())];
    tests(steps, "tests", "--workspace", if quick { &[] } else { &thorough });
}

/// All tests of some packages, by nextest if it is there.
fn tests(steps: &mut Steps, name: &'static str, packages: &str, environment: &[Variable]) {
    if tools::find("cargo-nextest").is_some() {
        let words = format!("nextest run {packages} --no-fail-fast");
        counted(steps, name, &words, Runner::Nextest, environment);
    } else {
        let words = format!("test {packages} --all-targets --no-fail-fast");
        counted(steps, name, &words, Runner::CargoTest, environment);
    }
}

/// Documentation, and what is tried on the binary that people run.
fn built_binary(steps: &mut Steps) {
    counted(steps, "doc tests", "test --workspace --doc --no-fail-fast", Runner::CargoTest, &[]);
    simple(steps, "release build", "build --release --package usher");
    let usher = [("USHER_BIN", paths::target().join("release/usher").into())];
    tests(steps, "process tests", "--package usher --package usher-testkit", &usher);
    steps.run("generated files", "cargo xtask generate --check", || {
        step::chore(generate::main(&["--check".to_owned()]))
    });
}

fn fuzz(steps: &mut Steps, seconds: u64) {
    let targets = paths::rust_files(&paths::root().join("fuzz/fuzz_targets"));
    let names: Vec<String> =
        targets.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    let ready = if names.is_empty() {
        Err("there are no fuzz targets".to_owned())
    } else {
        tools::nightly().and_then(|()| tools::cargo_tool("fuzz"))
    };
    if let Err(reason) = ready {
        steps.run("fuzz", "cargo +nightly fuzz list", || Verdict::Skipped(reason));
        return;
    }
    for name in names {
        let mut words = vec!["+nightly".to_owned(), "fuzz".to_owned(), "run".to_owned(), name.clone()];
        let seeds = format!("fuzz/seeds/{name}");
        if paths::root().join(&seeds).is_dir() {
            // New inputs go to the first folder, seeds are only read.
            words.extend([format!("fuzz/corpus/{name}"), seeds]);
            let _ = std::fs::create_dir_all(paths::root().join("fuzz/corpus").join(&name));
        }
        words.extend(["--".to_owned(), format!("-max_total_time={seconds}")]);
        let alone = format!("cargo {}", words.join(" "));
        // Through rustup's `cargo`, which knows `+nightly`; the one that runs this does not.
        let mut command = Command::new("cargo");
        command.args(&words).env("PATH", tools::path()).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        steps.run("fuzz", &alone, || step::check(&mut command));
    }
}

fn dependencies(steps: &mut Steps) {
    let alone = "cargo deny check";
    match tools::cargo_tool("deny") {
        Err(reason) => steps.run("dependencies", alone, || Verdict::Skipped(reason)),
        Ok(()) => {
            simple(steps, "dependencies", "deny --all-features check bans licenses sources");
            // The list of advisories comes from the network: without it nothing can be said.
            let mut fetch = cargo("deny fetch db");
            match fetch.status() {
                Ok(status) if status.success() => {
                    simple(steps, "advisories", "deny check --disable-fetch advisories")
                }
                _ => steps.run("advisories", "cargo deny check advisories", || {
                    Verdict::Skipped("the list of advisories cannot be fetched".to_owned())
                }),
            }
        }
    }
}

fn simple(steps: &mut Steps, name: &'static str, words: &str) {
    steps.run(name, &format!("cargo {words}"), || step::check(&mut cargo(words)));
}

/// A variable of the environment: `USHER_BIN` is the binary that process tests try.
type Variable = (&'static str, OsString);

/// A step that prints test results.
fn counted(steps: &mut Steps, name: &'static str, words: &str, runner: Runner, environment: &[Variable]) {
    let mut command = cargo(words);
    let mut alone = format!("cargo {words}");
    for (name, value) in environment {
        alone = format!("{name}={} {alone}", value.display());
        command.env(name, value);
    }
    steps.run(name, &alone, || step::tests(&mut command, runner));
}

fn cargo(words: &str) -> Command {
    let mut command = Command::new(paths::cargo());
    command.args(words.split(' ')).env("PATH", tools::path());
    command
}

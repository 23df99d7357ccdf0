//! What the chores need besides Rust: Debian packages, Python modules, cargo subcommands, a nightly toolchain. Each is
//! looked for first, installed where that is possible, and otherwise named in the reason why a step is skipped.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::paths;

/// A program, or the whole path of another file, and the Debian package that brings it.
pub(crate) type Package = (&'static str, &'static str);

/// Installs the packages whose programs are missing; says what is still missing and why.
pub(crate) fn debian(packages: &[Package]) -> Result<(), String> {
    let missing: Vec<&str> =
        packages.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let by_hand = format!("install them: `apt-get install {names}`");
    if find("apt-get").is_none() {
        return Err(format!("missing: {names}; this is no Debian; install them with its own means"));
    }
    if !is_root() {
        return Err(format!("missing: {names}; not running as root; {by_hand}"));
    }
    println!("installing {names}");
    let install = ["install", "--yes", "--no-install-recommends"];
    for arguments in [&["update"][..], &[&install[..], &missing[..]].concat()] {
        let mut command = Command::new("apt-get");
        // RUNLEVEL=1 keeps Debian from starting the services that it installs.
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        if !succeeds(command.stdout(Stdio::null())) {
            return Err(format!("`apt-get {}` failed; {by_hand}", arguments[0]));
        }
    }
    let still = packages.iter().find(|(program, _)| find(program).is_none());
    still.map_or(Ok(()), |(program, package)| {
        Err(format!("`{package}` is installed but brings no `{program}`"))
    })
}

/// A Python module, and the distribution on PyPI that brings it.
pub(crate) type Module = (&'static str, &'static str);

/// Installs Python modules as wheels into `target/tools/python`, a virtual environment where the tests look for them.
pub(crate) fn pypi(modules: &[Module]) -> Result<(), String> {
    let environment = folder().join("python");
    let python = environment.join("bin/python3");
    let has = |module: &str| {
        let mut import = Command::new(&python);
        succeeds(import.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    let missing: Vec<&str> =
        modules.iter().filter(|(module, _)| !has(module)).map(|(_, wheel)| *wheel).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    println!("installing {names} into {}", environment.display());
    if !python.is_file() && !succeeds(Command::new("python3").args(["-m", "venv"]).arg(&environment)) {
        return Err(format!("missing: {names}; `python3 -m venv {}` failed", environment.display()));
    }
    // Wheels only: what must be built would ask for compilers and headers.
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]);
    if !succeeds(install.args(&missing).stdin(Stdio::null())) {
        return Err(format!("`{} -m pip install {names}` failed", python.display()));
    }
    let still = modules.iter().find(|(module, _)| !has(module));
    still.map_or(Ok(()), |(module, wheel)| Err(format!("`{wheel}` is installed but brings no `{module}`")))
}

/// Brings recorded answers of DNS hosts into `target/tools/recordings`, by the Python of [`pypi`].
pub(crate) fn recordings() -> Result<(), String> {
    let recordings = folder().join("recordings");
    if recordings.is_dir() {
        return Ok(());
    }
    let python = folder().join("python/bin/python3");
    let mut bring = Command::new(&python);
    bring.args(["-c", include_str!("recordings.py")]).arg(&recordings).stdin(Stdio::null());
    if succeeds(&mut bring) { Ok(()) } else { Err(format!("`{}` could not bring them", python.display())) }
}

/// Makes `cargo NAME` available: from the path, from `target/tools`, or installed there.
pub(crate) fn cargo_tool(name: &str) -> Result<(), String> {
    let program = format!("cargo-{name}");
    if find(&program).is_some() {
        return Ok(());
    }
    println!("installing {program} into {}", folder().display());
    let mut command = Command::new(paths::cargo());
    // Away from the workspace's target folder, whose lock the tool would hold, and from its toolchain's flags.
    command.args(["install", &program, "--locked", "--root"]).arg(folder()).env_remove("RUSTFLAGS");
    if succeeds(command.stdin(Stdio::null())) && find(&program).is_some() {
        return Ok(());
    }
    Err(format!("`{program}` is missing and cannot be installed; try `cargo install {program} --locked`"))
}

/// Makes `cargo +nightly` available.
pub(crate) fn nightly() -> Result<(), String> {
    let works = || succeeds(Command::new("cargo").args(["+nightly", "--version"]).stdout(Stdio::null()));
    if works() {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    if find("rustup").is_some() && succeeds(install.stdin(Stdio::null())) && works() {
        return Ok(());
    }
    Err("there is no nightly toolchain; try `rustup toolchain install nightly`".to_owned())
}

/// The search path with the tools that this installs.
pub(crate) fn path() -> OsString {
    let known = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let all = [folder().join("bin")].into_iter().chain(env::split_paths(&known)).chain(sbin);
    env::join_paths(all).unwrap_or(known)
}

/// Whether a program is on that path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&path()).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn folder() -> PathBuf {
    paths::target().join("tools")
}

fn is_root() -> bool {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

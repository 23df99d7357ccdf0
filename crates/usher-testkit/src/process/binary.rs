//! Finds the `usher` binary, and builds it where nobody has.

use crate::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The binary under test: `USHER_BIN`; else the one beside the running test (`target/PROFILE/usher`), which cargo
/// builds first if it is missing. A binary that is there is taken as it is.
pub fn usher_binary() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("USHER_BIN") {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(Error::usage(format!("USHER_BIN names `{}`, which is no file", path.display()))),
        };
    }
    let profile = profile_folder()?;
    let path = profile.join("usher");
    if !path.is_file() {
        build(&profile, &path)?;
    }
    Ok(path)
}

/// `target/debug` or its like: the folder of this test's executable, less `deps` or `examples`.
fn profile_folder() -> Result<PathBuf> {
    let executable = std::env::current_exe().map_err(|error| Error::io("finding this executable", &error))?;
    let folder = executable.parent().unwrap_or(Path::new("."));
    let is_inner = folder.ends_with("deps") || folder.ends_with("examples");
    Ok(if is_inner { folder.parent().unwrap_or(folder) } else { folder }.to_path_buf())
}

/// Builds once, however many test processes ask: the others wait at the lock and then find the binary.
fn build(profile: &Path, path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("building usher", &error);
    fs::create_dir_all(profile).map_err(failed)?;
    let lock = File::create(profile.join(".usher-testkit-build")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if path.is_file() {
        return Ok(());
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "usher", "--manifest-path"]).arg(manifest);
    command.arg("--target-dir").arg(profile.parent().unwrap_or(profile));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().map_err(failed)?;
    if output.status.success() && path.is_file() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::new(crate::Kind::Process, format!("cargo could not build usher ({})\n{text}", output.status)))
}

//! Adding the root of the internal CA to what a machine trusts, and removing it: for `usher trust`.
//!
//! [`install`] and [`uninstall`] only say what would be done; [`Plan::apply`] does it. So that a dry run shows the truth.

mod places;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};

use crate::encoding::hex;
use places::{browsers, store};

/// What stands before the fingerprint in names of files and in browsers' lists.
const NAME: &str = "usher-local";

/// A machine, as far as trust is concerned.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where its files begin: `/`.
    pub root: PathBuf,
    /// The user's home, for the databases of browsers.
    pub home: Option<PathBuf>,
    /// Where programs are looked for.
    pub programs: Vec<PathBuf>,
}

impl Machine {
    /// This one, and this user.
    pub fn here() -> Self {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let mut programs: Vec<PathBuf> = std::env::split_paths(&paths).collect();
        // Where the programs of the administrator are, which are not in everybody's PATH.
        programs.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        Self { root: PathBuf::from("/"), home: std::env::var_os("HOME").map(PathBuf::from), programs }
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a file that everybody may read, whatever the umask is.
    Write(PathBuf, String),
    /// Remove a file.
    Remove(PathBuf),
    /// Run a program. If it fails, what comes after is done all the same.
    Run(PathBuf, Vec<String>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(path, _) => write!(f, "write `{}`", path.display()),
            Self::Remove(path) => write!(f, "remove `{}`", path.display()),
            Self::Run(program, arguments) => write!(f, "run `{} {}`", program.display(), arguments.join(" ")),
        }
    }
}

/// What is to be done, in order, and what the user should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What is not done, and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// Does all steps, and gives what failed, in sentences; empty if nothing did.
    pub fn apply(&self) -> Vec<String> {
        self.steps.iter().filter_map(|step| apply(step).err()).collect()
    }
}

fn apply(step: &Step) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; it takes the rights of the administrator (`sudo`)",
            _ => "",
        };
        format!("cannot {step}: {error}{advice}")
    };
    match step {
        Step::Write(path, content) => {
            let everybody = fs::Permissions::from_mode(0o644);
            fs::write(path, content).and_then(|()| fs::set_permissions(path, everybody)).map_err(failed)
        }
        Step::Remove(path) => match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        },
        Step::Run(program, arguments) => {
            let output = Command::new(program).args(arguments).output().map_err(failed)?;
            if output.status.success() {
                return Ok(());
            }
            let words = crate::http::excerpt(&String::from_utf8_lossy(&output.stderr));
            Err(format!("cannot {step}: {}: {words}", output.status))
        }
    }
}

/// The name of a root: the same for the same root, so that it can be found again.
fn name(root: &str) -> Result<String, String> {
    let der = crate::ocsp::first_der(root).ok_or("the root is not a certificate in PEM")?;
    let hash = digest(&SHA256, &der);
    Ok(format!("{NAME}-{}", hex(hash.as_ref().get(..6).unwrap_or_default())))
}

/// How to make the machine, and the browsers of this user, trust the root, whose certificate (PEM) is in this file too.
///
/// # Errors
/// In a sentence, if `root` is no certificate.
pub fn install(root: &str, file: &Path, machine: &Machine) -> Result<Plan, String> {
    Ok(install_as(&name(root)?, root, file, machine))
}

/// What [`install`] would do with a root that is yet to be made, to be shown only.
pub fn preview(file: &Path, machine: &Machine) -> Plan {
    install_as(&format!("{NAME}-…"), "", file, machine)
}

fn install_as(name: &str, root: &str, file: &Path, machine: &Machine) -> Plan {
    let mut plan = Plan::default();
    if let Some(store) = store(machine) {
        plan.steps
            .push(Step::Write(store.folder.join(format!("{name}.{}", store.extension)), root.to_owned()));
        plan.steps.push(Step::Run(store.update, store.arguments));
    }
    if plan.steps.is_empty() {
        plan.notes.push(format!(
            "this system has none of the known stores of roots; add `{}` to what it trusts by its own means",
            file.display()
        ));
    }
    let (databases, certutil) = (browsers(machine), machine.program("certutil"));
    match certutil {
        Some(certutil) => {
            for database in databases {
                let database = format!("sql:{}", database.display());
                let file = file.display().to_string();
                let words = ["-A", "-d", &database, "-t", "C,,", "-n", name, "-i", &file];
                plan.steps.push(Step::Run(certutil.clone(), words.map(str::to_owned).to_vec()));
            }
        }
        None if !databases.is_empty() => plan.notes.push(
            "browsers have lists of their own, which `certutil` changes: install it (`libnss3-tools`, `nss-tools` or `nss`) \
             and run this again"
                .to_owned(),
        ),
        None => {}
    }
    plan
}

/// How to undo [`install`] for this root.
///
/// # Errors
/// In a sentence, if `root` is no certificate.
pub fn uninstall(root: &str, machine: &Machine) -> Result<Plan, String> {
    let name = name(root)?;
    let mut plan = Plan::default();
    if let Some(store) = store(machine) {
        let path = store.folder.join(format!("{name}.{}", store.extension));
        if path.exists() {
            plan.steps.push(Step::Remove(path));
            plan.steps.push(Step::Run(store.update, store.arguments));
        }
    }
    if let Some(certutil) = machine.program("certutil") {
        for database in browsers(machine) {
            let database = format!("sql:{}", database.display());
            let list = Command::new(&certutil).args(["-L", "-d", &database, "-n", &name]).output();
            if list.is_ok_and(|output| output.status.success()) {
                let words = ["-D", "-d", &database, "-n", &name];
                plan.steps.push(Step::Run(certutil.clone(), words.map(str::to_owned).to_vec()));
            }
        }
    }
    if plan.steps.is_empty() {
        plan.notes.push("this root is not installed here".to_owned());
    }
    Ok(plan)
}

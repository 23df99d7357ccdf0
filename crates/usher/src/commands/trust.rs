//! `usher trust`

mod place;

use std::path::Path;

use usher_certs::trust::{self, Machine, Plan};
use usher_certs::{InternalOptions, existing_root, internal_root};

use crate::certificates;
use crate::cli::TrustArgs;
use crate::origin::Origin;
use crate::terminal::{Failure, print, say};

use place::{Invoker, Place};

pub(super) fn run(args: &TrustArgs) -> Result<(), Failure> {
    let origin = Origin::of(&args.config)?;
    let loaded = origin.load()?;
    let invoker = Invoker::here();
    let named = loaded.config.automatic_https.on().and_then(|automatic| automatic.storage.as_ref());
    let named = named.map(|path| path.value.clone());
    let own = certificates::storage(&loaded.config);
    let Place { folder, why, other } = place::choose(named, own, invoker.as_ref(), is_system(&origin));
    let file = folder.join("internal").join("root.pem");
    say(&format!("the root is `{}`, of {why}\n", file.display()));
    if let Some(other) = other {
        let other = other.display();
        say(&format!(
            "there is another one in `{other}`: if that is meant, set `automatic_https.storage` to it\n"
        ));
    }
    let mut root = existing_root(&folder).map_err(Failure::Message)?;
    let changes = !args.dry_run && !args.remove;
    if root.is_none() && changes {
        root = Some(make(&folder)?);
    }
    let mut machine = Machine::here();
    if let Some(invoker) = invoker {
        // `sudo` is for the system's store; the browsers are those of whoever has called it.
        machine.home = Some(invoker.home);
    }
    match root {
        Some(root) if args.print => print(&root),
        Some(root) => {
            let plan = match args.remove {
                true => trust::uninstall(&root, &machine),
                false => trust::install(&root, &file, &machine),
            };
            carry_out(&plan.map_err(Failure::Message)?, args.dry_run)
        }
        None if args.remove => print("nothing to do: there is no root\n"),
        None => {
            print(format!("make the root `{}`, as there is none yet\n", file.display()))?;
            carry_out(&trust::preview(&file, &machine), true)
        }
    }
}

/// Whether it is the config of the system's service.
fn is_system(origin: &Origin) -> bool {
    matches!(origin, Origin::File { path, .. } if path.starts_with("/etc"))
}

/// Makes a root, unless it would belong to another user than its storage.
fn make(folder: &Path) -> Result<String, Failure> {
    if let Some(owner) = place::foreign_owner(folder).filter(|_| rustix::process::geteuid().is_root()) {
        let what = format!(
            "there is no root in `{}` yet, and it belongs to another user ({owner})",
            folder.display()
        );
        let help = "start usher, or run `usher trust --print`, as that user once, which makes one; then run this again";
        return Err(Failure::with_help(what, help));
    }
    internal_root(folder, &InternalOptions::default()).map_err(Failure::Message)
}

fn carry_out(plan: &Plan, dry_run: bool) -> Result<(), Failure> {
    for step in &plan.steps {
        print(format!("{step}\n"))?;
    }
    for note in &plan.notes {
        say(&format!("{note}\n"));
    }
    if dry_run {
        return print("nothing was done: this was a dry run\n");
    }
    if plan.steps.is_empty() {
        return print("nothing to do\n");
    }
    let failed = plan.apply();
    if failed.is_empty() {
        return print("done; browsers that run already see it when they are started again\n");
    }
    Err(Failure::Message(failed.join("\nerror: ")))
}

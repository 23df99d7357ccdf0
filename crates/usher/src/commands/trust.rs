//! `usher trust`

use usher_certs::trust::{self, Machine};
use usher_certs::{InternalOptions, internal_root};

use crate::certificates;
use crate::cli::TrustArgs;
use crate::origin::Origin;
use crate::terminal::{Failure, print, say};

pub(super) fn run(args: &TrustArgs) -> Result<(), Failure> {
    let loaded = Origin::of(&args.config)?.load()?;
    let folder = certificates::storage(&loaded.config);
    let root = internal_root(&folder, &InternalOptions::default()).map_err(Failure::Message)?;
    if args.print {
        return print(&root);
    }
    let file = folder.join("internal").join("root.pem");
    let machine = Machine::here();
    let plan = match args.remove {
        true => trust::uninstall(&root, &machine),
        false => trust::install(&root, &file, &machine),
    };
    let plan = plan.map_err(Failure::Message)?;
    for step in &plan.steps {
        print(format!("{step}\n"))?;
    }
    for note in &plan.notes {
        say(&format!("{note}\n"));
    }
    if plan.steps.is_empty() {
        return print("nothing to do\n");
    }
    if args.dry_run {
        return print("nothing was done: this was a dry run\n");
    }
    let failed = plan.apply();
    if failed.is_empty() {
        return print("done; browsers that run already see it when they are started again\n");
    }
    Err(Failure::Message(failed.join("\nerror: ")))
}

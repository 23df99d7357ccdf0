use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::keys::self_signed;

struct Fake {
    folder: tempfile::TempDir,
    machine: Machine,
    root: String,
    file: PathBuf,
}

/// A machine with these folders and programs, which note that they were run.
fn fake(folders: &[&str], programs: &[&str]) -> Fake {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for one in folders {
        fs::create_dir_all(path.join(one)).unwrap();
    }
    fs::create_dir_all(path.join("bin")).unwrap();
    for program in programs {
        let file = path.join("bin").join(program);
        fs::write(&file, format!("#!/bin/sh\necho \"$0 $*\" >> {}/ran\n", path.display())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let machine =
        Machine { root: path.to_owned(), home: Some(path.join("home")), programs: vec![path.join("bin")] };
    let root = self_signed("the root").unwrap().0;
    let file = path.join("root.pem");
    fs::write(&file, &root).unwrap();
    Fake { folder, machine, root, file }
}

#[test]
fn knows_the_stores_of_distributions() {
    let cases = [
        ("usr/local/share/ca-certificates", "update-ca-certificates", ".crt"),
        ("etc/pki/ca-trust/source/anchors", "update-ca-trust", ".pem"),
        ("etc/ca-certificates/trust-source/anchors", "trust", ".crt"),
        ("etc/pki/trust/anchors", "update-ca-certificates", ".pem"),
    ];
    for (folder, program, extension) in cases {
        let fake = fake(&[folder], &[program]);
        let plan = install(&fake.root, &fake.file, &fake.machine).unwrap();
        let [Step::Write(path, content), Step::Run(run, _)] = plan.steps.as_slice() else {
            panic!("{plan:?}")
        };
        assert!(path.starts_with(fake.folder.path().join(folder)), "{path:?}");
        assert!(path.to_str().unwrap().ends_with(extension));
        assert_eq!(*content, fake.root);
        assert!(run.ends_with(program));
        // A root that is yet to be made goes to the same place, by a name that is not known yet.
        let preview = preview(&fake.file, &fake.machine);
        assert!(preview.steps[0].to_string().contains("usher-local-…."), "{preview:?}");
        assert_eq!(preview.steps[1], plan.steps[1]);
        // A plan alone does nothing.
        assert!(!path.exists());
        assert_eq!(plan.apply(), Vec::<String>::new());
        assert_eq!(fs::read_to_string(path).unwrap(), fake.root);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(fs::read_to_string(fake.folder.path().join("ran")).unwrap().contains(program));
        let undo = uninstall(&fake.root, &fake.machine).unwrap();
        assert_eq!(undo.apply(), Vec::<String>::new());
        assert!(!path.exists());
        assert_eq!(uninstall(&fake.root, &fake.machine).unwrap().notes.len(), 1);
    }
}

#[test]
fn says_what_it_cannot_do() {
    let fake = fake(&["home/.pki/nssdb"], &[]);
    fs::write(fake.folder.path().join("home/.pki/nssdb/cert9.db"), "").unwrap();
    let plan = install(&fake.root, &fake.file, &fake.machine).unwrap();
    assert!(plan.steps.is_empty());
    assert_eq!(plan.notes.len(), 2, "{plan:?}");
    assert!(install("no certificate", &fake.file, &fake.machine).is_err());
    let failing =
        Plan { steps: vec![Step::Write("/nonexistent/x".into(), String::new())], notes: Vec::new() };
    assert!(failing.apply()[0].contains("cannot write `/nonexistent/x`"));
}

/// With the real `certutil`, if it is installed.
#[test]
fn browsers_trust_the_root_and_forget_it() {
    let Some(certutil) = Machine::here().program("certutil") else {
        eprintln!("skipped: certutil is not installed (Debian package `libnss3-tools`)");
        return;
    };
    let mut fake = fake(&["home/.pki/nssdb", "home/.mozilla/firefox/x.default"], &[]);
    fake.machine.programs.push(certutil.parent().unwrap().to_owned());
    let databases =
        ["home/.pki/nssdb", "home/.mozilla/firefox/x.default"].map(|one| fake.folder.path().join(one));
    let run = |arguments: &[&str]| {
        let output = Command::new(&certutil).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for database in &databases {
        run(&["-N", "-d", &format!("sql:{}", database.display()), "--empty-password"]);
    }
    let list = |database: &PathBuf| run(&["-L", "-d", &format!("sql:{}", database.display())]);
    let plan = install(&fake.root, &fake.file, &fake.machine).unwrap();
    assert_eq!(plan.steps.len(), 2, "{plan:?}");
    assert_eq!(plan.apply(), Vec::<String>::new());
    assert!(databases.iter().all(|database| list(database).contains("usher-local-")));
    assert_eq!(uninstall(&fake.root, &fake.machine).unwrap().apply(), Vec::<String>::new());
    assert!(databases.iter().all(|database| !list(database).contains("usher-local-")));
}

//! Whose root is meant: the storage that the config names, that of root, or that of whoever has called `sudo`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a user's storage is below the home, as `certificates::storage` has it without `XDG_DATA_HOME`, which `sudo` takes away.
const IN_HOME: &str = ".local/share/usher";
/// The largest file of users that is read, in bytes.
const MAX_USERS: u64 = 16 << 20;

/// Who has called `sudo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invoker {
    pub(super) name: String,
    pub(super) home: PathBuf,
}

impl Invoker {
    /// None where this is not root, or nobody else has called it.
    pub(super) fn here() -> Option<Self> {
        let id = std::env::var("SUDO_UID").ok().filter(|_| rustix::process::geteuid().is_root())?;
        let file = Path::new("/etc/passwd");
        let small = fs::metadata(file).ok()?.len() <= MAX_USERS;
        Self::find(id.parse().ok()?, &fs::read_to_string(file).ok().filter(|_| small)?)
    }

    /// The user of this number in the text of `passwd` (passwd(5)).
    fn find(id: u32, users: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, number, _, _, home, ..] = fields.as_slice() else { return None };
            let same = number.parse() == Ok(id) && id != 0 && home.starts_with('/');
            same.then(|| Self { name: (*name).to_owned(), home: home.into() })
        })
    }

    fn storage(&self) -> PathBuf {
        self.home.join(IN_HOME)
    }
}

/// A storage, why it is that one, and another one that has a root too.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) why: String,
    pub(super) other: Option<PathBuf>,
}

/// The storage whose root is meant. `named` is what the config says, `own` is this user's; `is_system` is for a config of the
/// system, which no user runs.
pub(super) fn choose(
    named: Option<PathBuf>,
    own: PathBuf,
    invoker: Option<&Invoker>,
    is_system: bool,
) -> Place {
    let place = |folder, why: &str, other| Place { folder, why: why.to_owned(), other };
    if let Some(named) = named {
        return place(named, "the storage that the config names", None);
    }
    let Some(invoker) = invoker else { return place(own, "the storage of this user", None) };
    let theirs = invoker.storage();
    let why = format!("the storage of `{}`, who has called sudo", invoker.name);
    let has_root = |folder: &Path| folder.join("internal/root.pem").exists();
    match (has_root(&own), has_root(&theirs)) {
        (true, false) => place(own, "the storage of root", None),
        (false, true) => place(theirs, &why, None),
        (both, _) if is_system => {
            place(own, "the storage of root, as the config is the system's", both.then_some(theirs))
        }
        (both, _) => place(theirs, &why, both.then_some(own)),
    }
}

/// Who owns the folder, or else where it would be made, if that is not this user: what root makes there, the owner could not
/// use.
pub(super) fn foreign_owner(folder: &Path) -> Option<u32> {
    let there = folder.ancestors().find_map(|folder| fs::metadata(folder).ok())?;
    (there.uid() != rustix::process::geteuid().as_raw()).then(|| there.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_has_called() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\nb:x:1001:1:::/bin/sh\n";
        let ann = Invoker { name: "ann".to_owned(), home: "/home/ann".into() };
        assert_eq!(Invoker::find(1000, users), Some(ann));
        assert_eq!([0, 1001, 7].map(|id| Invoker::find(id, users)), [None, None, None]);
    }

    #[test]
    fn takes_the_storage_that_has_the_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, home) = (folder.path().join("var"), folder.path().join("ann"));
        let invoker = Invoker { name: "ann".to_owned(), home: home.clone() };
        let theirs = home.join(IN_HOME);
        let chosen = |is_system| {
            let place = choose(None, own.clone(), Some(&invoker), is_system);
            (place.folder, place.other)
        };
        assert_eq!((chosen(false), chosen(true)), ((theirs.clone(), None), (own.clone(), None)));
        let make = |folder: &Path| {
            fs::create_dir_all(folder.join("internal")).expect("made");
            fs::write(folder.join("internal/root.pem"), "").expect("written");
        };
        make(&own);
        assert_eq!((chosen(false), chosen(true)), ((own.clone(), None), (own.clone(), None)));
        make(&theirs);
        assert_eq!(chosen(false), (theirs.clone(), Some(own.clone())));
        assert_eq!(chosen(true), (own.clone(), Some(theirs.clone())));
        fs::remove_file(own.join("internal/root.pem")).expect("removed");
        assert_eq!(chosen(true), (theirs, None));
        assert_eq!(choose(None, own.clone(), None, false).folder, own);
        let named = PathBuf::from("/named");
        assert_eq!(choose(Some(named.clone()), own, Some(&invoker), false).folder, named);
    }
}

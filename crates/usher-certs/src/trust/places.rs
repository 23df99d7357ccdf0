//! Where systems and browsers keep the roots that they trust.

use std::fs;
use std::path::PathBuf;

use super::Machine;

/// Profiles of browsers that are looked at.
const MAX_PROFILES: usize = 50;

/// A store of the system: a folder for roots, and what makes the system read it.
pub(super) struct Store {
    pub(super) folder: PathBuf,
    pub(super) extension: &'static str,
    pub(super) update: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Folder, extension that is read, program, arguments.
const STORES: [(&str, &str, &str, &[&str]); 5] = [
    // Debian, Ubuntu, Alpine.
    ("/usr/local/share/ca-certificates", "crt", "update-ca-certificates", &[]),
    // Fedora, RHEL and their kin.
    ("/etc/pki/ca-trust/source/anchors", "pem", "update-ca-trust", &["extract"]),
    // Arch.
    ("/etc/ca-certificates/trust-source/anchors", "crt", "trust", &["extract-compat"]),
    // openSUSE.
    ("/etc/pki/trust/anchors", "pem", "update-ca-certificates", &[]),
    ("/usr/share/pki/trust/anchors", "pem", "update-ca-certificates", &[]),
];

/// The store of the machine: the first whose folder and program are there.
pub(super) fn store(machine: &Machine) -> Option<Store> {
    STORES.iter().find_map(|(folder, extension, program, arguments)| {
        let folder = machine.path(folder);
        let update = machine.program(program).filter(|_| folder.is_dir())?;
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Some(Store { folder, extension, update, arguments })
    })
}

/// The databases (NSS) of this user's browsers: the one that Chromium and others share, and those of Firefox's profiles.
pub(super) fn browsers(machine: &Machine) -> Vec<PathBuf> {
    let Some(home) = &machine.home else { return Vec::new() };
    let shared = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"].map(|folder| home.join(folder));
    let profiles = [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox", ".config/mozilla/firefox"];
    let profiles = profiles.into_iter().flat_map(|folder| {
        let entries = fs::read_dir(home.join(folder)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).take(MAX_PROFILES)
    });
    let mut found: Vec<PathBuf> =
        shared.into_iter().chain(profiles).filter(|folder| folder.join("cert9.db").is_file()).collect();
    found.sort();
    found
}

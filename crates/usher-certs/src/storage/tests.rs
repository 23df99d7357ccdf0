use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::keys::self_signed;

fn storage() -> (tempfile::TempDir, Storage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(&folder.path().join("state")).unwrap();
    (folder, storage)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_folders_are_private() {
    let (folder, storage) = storage();
    storage.write("accounts/a/account.json", b"x").unwrap();
    let root = folder.path().join("state");
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("accounts/a")), 0o700);
    assert_eq!(mode(&root.join("accounts/a/account.json")), 0o600);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    Storage::open(&root).unwrap();
    assert_eq!(mode(&root), 0o700);
    assert_eq!(storage.list("accounts/a"), ["account.json"]);
}

#[test]
fn a_killed_move_is_completed() {
    let (_folder, storage) = storage();
    let (old_chain, old_key) = self_signed("a.example").unwrap();
    let (chain, key) = self_signed("b.example").unwrap();
    storage.save_pending_key("a", old_key.as_bytes()).unwrap();
    storage.save_chain("a", old_chain.as_bytes()).unwrap();
    // Killed before the commit point: the old one is served, the key is kept for the order.
    storage.save_pending_key("a", key.as_bytes()).unwrap();
    assert_eq!(storage.load("a").unwrap().certificate.unwrap().names(), ["a.example"]);
    assert!(storage.pending_key("a").unwrap().is_some());
    // Killed between the two renames.
    storage.write("certificates/a/chain.next.pem", chain.as_bytes()).unwrap();
    storage.rename("certificates/a/key.next.pem", "certificates/a/key.pem").unwrap();
    let kept = storage.load("a").unwrap();
    assert_eq!(kept.certificate.unwrap().names(), ["b.example"]);
    assert!(kept.reports.is_empty());
}

#[test]
fn what_is_broken_is_put_aside() {
    let (_folder, storage) = storage();
    let (chain, _) = self_signed("a.example").unwrap();
    let (_, other) = self_signed("a.example").unwrap();
    storage.write("certificates/a/chain.pem", chain.as_bytes()).unwrap();
    storage.write("certificates/a/key.pem", other.as_bytes()).unwrap();
    storage.write("certificates/a/meta.json", b"{").unwrap();
    let kept = storage.load("a").unwrap();
    assert!(kept.certificate.is_none());
    assert_eq!(kept.reports.len(), 3, "{:?}", kept.reports);
    assert_eq!(storage.list("aside").len(), 3);
    assert!(storage.load("a").unwrap().reports.is_empty());
}

#[test]
fn a_lock_is_held_once() {
    let (_folder, storage) = storage();
    let held = storage.lock_certificate("a").unwrap();
    assert!(held.is_some());
    assert!(storage.lock_certificate("a").unwrap().is_none());
    drop(held);
    assert!(storage.lock_certificate("a").unwrap().is_some());
}

#[test]
fn meta_survives_a_round_trip() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let meta = Meta {
        names: vec!["a.example".to_owned()],
        authority: "https://ca.example/directory".to_owned(),
        key_type: "p256".to_owned(),
        on_demand: true,
        failures: 3,
        next_attempt: Some(at(100)),
        last_error: Some("no".to_owned()),
        last_error_at: Some(at(50)),
        blocked: [("https://ca.example/directory".to_owned(), at(7))].into(),
        issued: vec![at(1), at(2)],
        failed_validations: vec![at(3)],
        challenge: Some("http-01".to_owned()),
        order: Some(PendingOrder {
            names: vec!["a.example".to_owned()],
            url: "https://ca.example/order/1".to_owned(),
            authority: "https://ca.example/directory".to_owned(),
        }),
        records: vec![("_acme-challenge.a.example".to_owned(), "v".to_owned())],
        window: Some(Window { start: at(10), end: at(20), chosen: at(15), check: at(12) }),
    };
    assert_eq!(Meta::from_json(&serde_json::to_vec(&meta.to_json()).unwrap()), Some(meta));
    assert_eq!(Meta::from_json(b"{\"failures\":-1,\"issued\":[\"x\"]}"), Some(Meta::default()));
    assert_eq!(Meta::from_json(b"[]"), None);
}

#[test]
fn moments_are_bounded_and_counted() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let mut moments = Vec::new();
    (0..50).for_each(|second| meta::remember(&mut moments, at(second)));
    assert_eq!(moments.len(), 20);
    assert_eq!(meta::count_since(&moments, at(50), Duration::from_secs(10)), 9);
}

#[test]
fn records_to_be_removed_are_bounded_and_the_oldest_forgotten_first() {
    let record = |number: usize| ("_acme-challenge.example.com".to_owned(), format!("text {number}"));
    let mut meta = Meta::default();
    (0..meta::MAX_RECORDS).for_each(|number| meta.note_records(&[record(number)]));
    // Written again, the first one is not the oldest any more, nor is it there twice.
    meta.note_records(&[record(0)]);
    assert_eq!(meta.records.len(), meta::MAX_RECORDS);
    meta.note_records(&[record(1000), record(1001)]);
    assert_eq!(meta.records.len(), meta::MAX_RECORDS);
    assert_eq!(meta.records.first(), Some(&record(3)));
    assert_eq!(meta.records[meta::MAX_RECORDS - 3..], [record(0), record(1000), record(1001)]);
    let read = Meta::from_json(&serde_json::to_vec(&meta.to_json()).unwrap()).unwrap();
    assert_eq!(read.records, meta.records);
}

#[test]
fn waits_of_a_clock_that_was_ahead_are_forgotten() {
    let at = |days: u64| UNIX_EPOCH + Duration::from_secs(86_400 * days);
    let window = |check| Some(Window { start: at(10), end: at(20), chosen: at(15), check });
    let mut meta = Meta {
        next_attempt: Some(at(4000)),
        blocked: [("near".to_owned(), at(7)), ("far".to_owned(), at(4000))].into(),
        window: window(at(4000)),
        ..Meta::default()
    };
    meta.forget_future(at(1));
    assert_eq!((meta.next_attempt, meta.blocked.len(), meta.window), (None, 1, window(at(9))));
    meta.next_attempt = Some(at(8));
    meta.forget_future(at(1));
    assert_eq!(meta.next_attempt, Some(at(8)));
    // What cannot be reckoned with is not read.
    let text = format!("{{\"next_attempt\":{},\"issued\":[{},5]}}", i64::MAX, i64::MIN);
    let read = Meta::from_json(text.as_bytes()).unwrap();
    assert_eq!((read.next_attempt, read.issued.len()), (None, 1));
}

#[test]
fn a_pair_that_another_process_is_replacing_is_read_again() {
    let pem = |name: &str| self_signed(name).unwrap();
    let ((old, _), (new, new_key)) = (pem("a.example"), pem("a.example"));
    let pair = |chain: &str, key: &str| (Some(chain.as_bytes().to_vec()), Some(key.as_bytes().to_vec()));
    // Between the two renames of the other, and then after them.
    let mut reads = vec![pair(&new, &new_key), pair(&old, &new_key)];
    let (_, found) = certificate::settled(|| Ok(reads.pop().unwrap())).unwrap();
    assert!(found.unwrap().is_ok());
    // What is the same twice is broken.
    let mut reads = vec![pair(&old, &new_key), pair(&old, &new_key)];
    let (_, found) = certificate::settled(|| Ok(reads.pop().unwrap())).unwrap();
    assert!(found.unwrap().is_err() && reads.is_empty());
    // Of two processes that complete the same move, the second finds nothing left to do.
    let (_folder, storage) = storage();
    storage.write("certificates/a/key.pem", new_key.as_bytes()).unwrap();
    storage.rename("certificates/a/key.next.pem", "certificates/a/key.pem").unwrap();
    assert!(storage.read("certificates/a/key.pem").unwrap().is_some());
}

//! Certificates from files: loaded, watched, and swapped when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use usher_net::tls::Certificate;

use super::Worker;
use super::served::Served;
use crate::options::{CertificateFile, Level};
use crate::status::{State, Status};
use crate::storage::read_bounded;
use crate::time::rfc3339;

/// How often files are looked at.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// What tells that a file was changed or replaced: device, number, time of the last change to it, size.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

#[derive(Debug)]
pub(super) struct WatchedFile {
    file: CertificateFile,
    stamps: (Stamp, Stamp),
    looked: Instant,
    pub(super) served: Option<Served>,
    error: Option<(String, SystemTime)>,
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
}

fn source(file: &CertificateFile) -> String {
    format!("file:{}", file.chain.display())
}

fn read(file: &CertificateFile) -> Result<Certificate, String> {
    let text = |path: &Path| {
        read_bounded(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    };
    let (chain, key) = (text(&file.chain)?, text(&file.key)?);
    Certificate::from_pem(&chain, &key).map_err(|error| {
        let path = if error.is_about_key() { &file.key } else { &file.chain };
        format!("`{}` cannot be used: {error}", path.display())
    })
}

impl Worker {
    /// Watches the files of the options, keeps those that stay, and forgets those that are gone.
    pub(super) fn reload_files(&self) {
        let options = self.options();
        let gone: Vec<String> = {
            let files = self.files.borrow();
            let kept = |watched: &WatchedFile| options.files.contains(&watched.file);
            files.iter().filter(|(_, watched)| !kept(watched)).map(|(source, _)| source.clone()).collect()
        };
        for source in gone {
            self.files.borrow_mut().remove(&source);
            self.around.certificates.remove(&source);
            self.shared.board.remove(&source);
        }
        if !options.files.iter().any(|file| file.default) {
            self.around.certificates.set_default(None);
        }
        for file in &options.files {
            let source = source(file);
            if !self.files.borrow().contains_key(&source) {
                let looked = Instant::now();
                let watched = WatchedFile {
                    file: file.clone(),
                    stamps: (None, None),
                    looked,
                    served: None,
                    error: None,
                };
                self.files.borrow_mut().insert(source.clone(), watched);
                self.load_file(&source);
            }
        }
    }

    /// Loads those that have changed.
    pub(super) fn look_at_files(&self) {
        let changed: Vec<String> = {
            let mut files = self.files.borrow_mut();
            let due = files.iter_mut().filter(|(_, watched)| watched.looked.elapsed() >= LOOK_EVERY);
            let changed = due.filter_map(|(source, watched)| {
                watched.looked = Instant::now();
                let now = (stamp(&watched.file.chain), stamp(&watched.file.key));
                (now != watched.stamps).then(|| source.clone())
            });
            changed.collect()
        };
        changed.iter().for_each(|source| self.load_file(source));
    }

    fn load_file(&self, source: &str) {
        let options = self.options();
        let now = options.clock.now();
        let mut files = self.files.borrow_mut();
        let Some(watched) = files.get_mut(source) else { return };
        // Before it is read: what changes meanwhile is found at the next look.
        watched.stamps = (stamp(&watched.file.chain), stamp(&watched.file.key));
        match read(&watched.file) {
            Ok(certificate) => {
                let until = rfc3339(certificate.not_after());
                let is_expired = certificate.not_after() <= now;
                let served = Served::new(Arc::new(certificate), &self.around.storage, (now, options.ocsp));
                served.install(source, &self.around.certificates);
                if watched.file.default {
                    self.around.certificates.set_default(Some(served.certificate.clone()));
                }
                let swapped = watched.served.replace(served).is_some();
                watched.error = None;
                let what = if swapped { "replaced, without a reload" } else { "loaded" };
                let (level, end) = if is_expired {
                    (
                        Level::Error,
                        format!("expired since {until}; clients refuse it until its file is replaced"),
                    )
                } else {
                    (Level::Info, format!("valid until {until}"))
                };
                options.log.write(level, &format!("certificate `{source}`: {what}, {end}"));
            }
            Err(error) => {
                let stays =
                    if watched.served.is_some() { "; the certificate of before is still served" } else { "" };
                let error = format!("{error}{stays}");
                options.log.write(Level::Error, &format!("certificate `{source}`: {error}"));
                watched.error = Some((error, now));
            }
        }
        drop(files);
        self.publish_file(source);
    }

    pub(super) fn publish_file(&self, source: &str) {
        let now = self.now();
        if let Some(watched) = self.files.borrow().get(source) {
            self.shared.board.set(status(source, watched, now));
        }
    }
}

fn status(source: &str, watched: &WatchedFile, now: SystemTime) -> Status {
    let served = watched.served.as_ref();
    let certificate = served.map(|served| &served.certificate);
    let state = match (&watched.error, served) {
        (Some(_), _) => State::Failed,
        (None, Some(served)) if served.is_expired(now) => State::Expired,
        (None, Some(_)) => State::Valid,
        (None, None) => State::Missing,
    };
    Status {
        source: source.to_owned(),
        names: certificate.map(|certificate| certificate.names().to_vec()).unwrap_or_default(),
        authority: "file".to_owned(),
        state,
        issuer: certificate.map(|certificate| certificate.issuer()),
        serial: certificate.map(|certificate| certificate.serial()),
        not_before: certificate.map(|certificate| certificate.not_before()),
        not_after: certificate.map(|certificate| certificate.not_after()),
        next_attempt: None,
        failures: u32::from(watched.error.is_some()),
        last_error: watched
            .error
            .as_ref()
            .map(|(error, _)| error.clone())
            .or_else(|| served.and_then(|served| served.staple_error.clone())),
        last_error_at: watched.error.as_ref().map(|(_, at)| *at),
        ocsp_until: served.and_then(|served| served.staple.as_ref()).map(|staple| staple.until),
        on_demand: false,
    }
}

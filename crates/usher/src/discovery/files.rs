//! `endpoints_file` of clusters. One that cannot be used, perhaps because somebody is writing it, changes nothing.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use usher_config::config::{Endpoint, EndpointsFile, MAX_ENDPOINTS_FILE};
use usher_config::{Decode as _, Diagnostic, Report, Spanned};
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, Origin};

use super::document;
use crate::log;
use crate::terminal::say;

/// What is known of the files, by cluster.
#[derive(Default)]
pub(super) struct Files(BTreeMap<Arc<str>, File>);

struct File {
    path: PathBuf,
    /// What it said when it could last be used, as it was written and as the cluster takes it.
    written: Vec<Endpoint>,
    endpoints: Vec<EndpointSpec>,
    /// Why it cannot be used now.
    fault: Option<String>,
    /// How often it could not.
    failures: u64,
}

impl Files {
    /// Reads the files of exactly these clusters.
    pub(super) fn follow(&mut self, clusters: &[Arc<ClusterSpec>]) {
        let path_of = |name: &Arc<str>| {
            let cluster = clusters.iter().find(|cluster| cluster.name == *name)?;
            cluster.endpoints_file.as_deref()
        };
        self.0.retain(|name, file| path_of(name) == Some(&file.path));
        self.look(clusters);
    }

    /// Reads all files again; the clusters whose endpoints are others now.
    pub(super) fn look(&mut self, clusters: &[Arc<ClusterSpec>]) -> Vec<Arc<str>> {
        let wholes = clusters.iter().filter(|cluster| cluster.part.is_none());
        let mut changed = Vec::new();
        for (cluster, path) in wholes.filter_map(|one| Some((one, one.endpoints_file.as_ref()?))) {
            let file = self.0.entry(cluster.name.clone()).or_insert_with(|| File::new(path));
            if file.note(cluster, written(cluster, path)) {
                changed.push(cluster.name.clone());
            }
        }
        changed
    }

    /// The endpoints that a cluster's file names.
    pub(super) fn of(&self, cluster: &str) -> &[EndpointSpec] {
        self.0.get(cluster).map_or(&[], |file| &file.endpoints)
    }

    /// What files say that cannot be used now, for the process that takes over, which could not know it: a message each.
    pub(super) fn bequeath(&self) -> Vec<Value> {
        let failing = self.0.iter().filter(|(_, file)| file.fault.is_some());
        let of_one = |(name, file): (&Arc<str>, &File)| {
            let path = file.path.display().to_string();
            let message = |one: &Endpoint| json!({ "cluster": **name, "path": path, "named": one.encode() });
            file.written.iter().map(message).collect::<Vec<_>>()
        };
        failing.flat_map(of_one).collect()
    }

    /// Goes on with what the process before knew.
    pub(super) fn inherit(&mut self, messages: &[Value]) {
        for message in messages {
            let Some(endpoint) = message.get("named").and_then(|one| document::endpoint(&one.to_string()))
            else {
                continue;
            };
            let (Some(cluster), Some(path)) = (message["cluster"].as_str(), message["path"].as_str()) else {
                continue;
            };
            let file = self.0.entry(cluster.into()).or_insert_with(|| File::new(Path::new(path)));
            file.written.push(endpoint);
        }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.0.values().map(|file| file.path.clone()).collect()
    }

    /// As [`usher_api::clusters::DiscoveryReading::files`].
    pub(super) fn reading(&self) -> Vec<(String, u64, bool)> {
        let read = |(name, file): (&Arc<str>, &File)| (name.to_string(), file.failures, file.fault.is_some());
        self.0.iter().map(read).collect()
    }
}

impl File {
    fn new(path: &Path) -> Self {
        let (written, endpoints) = (Vec::new(), Vec::new());
        Self { path: path.to_owned(), written, endpoints, fault: None, failures: 0 }
    }

    /// Takes what was read; true if the endpoints are others. What is wrong is told once.
    fn note(&mut self, cluster: &ClusterSpec, found: Result<Vec<Endpoint>, String>) -> bool {
        let fault = match found {
            Ok(written) => {
                self.written = written;
                None
            }
            Err(fault) => Some(fault),
        };
        // Also where it cannot be read: the cluster may be another one since.
        let taken = self.written.iter().filter_map(|one| cluster.endpoint(one, Origin::File).ok());
        let endpoints: Vec<EndpointSpec> = taken.collect();
        let changed = self.endpoints != endpoints;
        self.endpoints = endpoints;
        self.tell(&cluster.name, fault);
        changed
    }

    fn tell(&mut self, name: &str, fault: Option<String>) {
        let shown = self.path.display();
        match fault {
            None if self.fault.take().is_some() => {
                log::info(format_args!("`{shown}` names the endpoints of cluster {name} again"));
            }
            None => {}
            Some(fault) => {
                self.failures += 1;
                if self.fault.as_ref() != Some(&fault) {
                    let consequence = match self.endpoints.len() {
                        0 => "the cluster has no endpoint from it".to_owned(),
                        count => format!("going on with the {count} that it named before"),
                    };
                    log::error(format_args!(
                        "cannot use `{shown}` for the endpoints of cluster {name}; {consequence}"
                    ));
                    say(&fault);
                    self.fault = Some(fault);
                }
            }
        }
    }
}

/// The endpoints of a file.
///
/// # Errors
/// All that is wrong with it, for people.
pub(crate) fn read(cluster: &ClusterSpec, path: &Path) -> Result<Vec<EndpointSpec>, String> {
    let written = written(cluster, path)?;
    Ok(written.iter().filter_map(|one| cluster.endpoint(one, Origin::File).ok()).collect())
}

/// What a file says, if the cluster can take all of it.
fn written(cluster: &ClusterSpec, path: &Path) -> Result<Vec<Endpoint>, String> {
    let bytes =
        bytes_of(path).map_err(|error| format!("error: cannot read `{}`: {error}\n", path.display()))?;
    let (file, sources) = EndpointsFile::read(path, bytes).map_err(|report| report.to_string())?;
    let fault = |one: &Spanned<Endpoint>| cluster.endpoint(one, Origin::File).err();
    let faults: Vec<Diagnostic> = file.endpoints.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return Err(Report::new(faults, sources).to_string());
    }
    Ok(file.endpoints.into_iter().map(|one| one.value).collect())
}

fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_ENDPOINTS_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_ENDPOINTS_FILE {
        return Err(std::io::Error::other(format!("it has more than {} MiB", MAX_ENDPOINTS_FILE >> 20)));
    }
    Ok(bytes)
}

/// What is wrong with the files of these clusters, for people, and whether that is an error: a file that is not there may
/// yet be written.
pub(crate) fn check(clusters: &[Arc<ClusterSpec>]) -> Vec<(String, bool)> {
    let wholes = clusters.iter().filter(|cluster| cluster.part.is_none());
    let files = wholes.filter_map(|one| Some((one, one.endpoints_file.as_ref()?)));
    let fault = |(cluster, path): (&Arc<ClusterSpec>, &PathBuf)| match read(cluster, path) {
        Err(_) if !path.exists() => {
            let consequence =
                format!("the cluster `{}` has no endpoint from it until it is there", cluster.name);
            Some((format!("warning: there is no file `{}`: {consequence}\n", path.display()), false))
        }
        found => found.err().map(|why| (why, true)),
    };
    files.filter_map(fault).collect()
}

//! From options to the certificates that there shall be.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_lc_rs::digest::{SHA256, digest};

use crate::names::{covering_wildcard, folder, is_internal, normalize};
use crate::options::{Authority, By, ChallengeKind, Options};

/// The most names in one certificate: Let's Encrypt's limit.
const MAX_NAMES: usize = 100;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Signer {
    Acme,
    Internal,
}

impl Signer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Acme => "acme",
            Self::Internal => "internal",
        }
    }
}

/// A certificate that there shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its folder in storage.
    pub(crate) id: String,
    /// Normalized, without duplicates, in the order of the config.
    pub(crate) names: Vec<String>,
    pub(crate) signer: Signer,
    /// A handshake asked for it.
    pub(crate) on_demand: bool,
}

impl Target {
    /// A certificate for one name.
    pub(crate) fn single(name: String, signer: Signer) -> Self {
        Self { id: folder(&name), names: vec![name], signer, on_demand: false }
    }

    /// Where the certificate comes from, as in `Certificates` and [`crate::Status`].
    pub(crate) fn source(&self) -> String {
        format!("{}:{}", self.signer.as_str(), self.first())
    }

    fn first(&self) -> &str {
        if self.names.len() == 1 { self.names.first().map_or("", String::as_str) } else { &self.id }
    }

    pub(crate) fn has_wildcard(&self) -> bool {
        self.names.iter().any(|name| name.starts_with("*."))
    }
}

/// The certificates of these options by id, and what is wrong with them.
pub(crate) fn targets(options: &Options) -> (BTreeMap<String, Target>, Vec<String>) {
    let mut problems = Vec::new();
    let mut groups = groups(options, &mut problems);
    let wildcards = usable_wildcards(options, &groups);
    groups.retain(|(names, signer)| !is_covered(names, *signer, &wildcards));
    let mut found = BTreeMap::new();
    let mut seen = HashSet::new();
    for (names, signer) in groups {
        let key: BTreeSet<String> = names.iter().cloned().collect();
        if seen.insert((key, signer)) {
            let id = unique_id(&names, signer, &found);
            found.insert(id.clone(), Target { id, names, signer, on_demand: false });
        }
    }
    (found, problems)
}

/// The certificates for one name that [`targets`] leaves out, as a wildcard will do.
pub(crate) fn covered(options: &Options) -> Vec<Target> {
    let mut found = groups(options, &mut Vec::new());
    let wildcards = usable_wildcards(options, &found);
    found.retain(|(names, signer)| names.len() == 1 && is_covered(names, *signer, &wildcards));
    let found = found.into_iter().filter_map(|(names, signer)| {
        let id = unique_id(&names, signer, &BTreeMap::new());
        Some(Target { id, ..Target::single(names.into_iter().next()?, signer) })
    });
    found.collect()
}

fn is_covered(names: &[String], signer: Signer, wildcards: &HashSet<(String, Signer)>) -> bool {
    let covered = |name: &String| {
        covering_wildcard(name).is_some_and(|wildcard| wildcards.contains(&(wildcard, signer)))
    };
    names.iter().all(covered)
}

/// The names of each certificate with its signer; a group with internal and public names becomes two.
fn groups(options: &Options, problems: &mut Vec<String>) -> Vec<(Vec<String>, Signer)> {
    let mut groups = Vec::new();
    for managed in &options.managed {
        let (mut public, mut internal) = (Vec::new(), Vec::new());
        for name in &managed.names {
            match normalize(name) {
                Ok(name) => {
                    let own = managed.by == By::Internal || (managed.by == By::Auto && is_internal(&name));
                    let list: &mut Vec<String> = if own { &mut internal } else { &mut public };
                    if !list.contains(&name) {
                        list.push(name);
                    }
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        for (names, signer) in [(public, Signer::Acme), (internal, Signer::Internal)] {
            if names.len() > MAX_NAMES {
                problems.push(format!("a certificate can have {MAX_NAMES} names, not {}", names.len()));
            } else if !names.is_empty() {
                groups.push((names, signer));
            }
        }
    }
    groups
}

/// Wildcards that will be there and that all clients take: those of ACME if DNS-01 can be done, and those of the internal CA
/// that are not right below a single label (`*.localhost`), which many clients refuse.
fn usable_wildcards(options: &Options, groups: &[(Vec<String>, Signer)]) -> HashSet<(String, Signer)> {
    let dns = options.dns.is_some() && options.challenges.contains(&ChallengeKind::Dns01);
    let usable = groups.iter().filter(|(_, signer)| dns || *signer == Signer::Internal);
    let names = usable.flat_map(|(names, signer)| names.iter().map(move |name| (name.clone(), *signer)));
    names.filter(|(name, _)| name.strip_prefix("*.").is_some_and(|parent| parent.contains('.'))).collect()
}

/// The folder: that of the first name, so that a group keeps its certificate when names are added.
fn unique_id(names: &[String], signer: Signer, taken: &BTreeMap<String, Target>) -> String {
    let first = names.first().map_or_else(String::new, |name| folder(name));
    let plain = if names.len() == 1 { first.clone() } else { format!("{first}+") };
    let plain = if signer == Signer::Internal { format!("_internal.{plain}") } else { plain };
    if !taken.contains_key(&plain) {
        return plain;
    }
    let hash = digest(&SHA256, names.join(",").as_bytes());
    format!("{plain}{}", crate::encoding::hex(hash.as_ref().get(..6).unwrap_or_default()))
}

/// What is wrong with the options, in sentences.
pub(crate) fn check(options: &Options) -> Vec<String> {
    let (targets, mut problems) = targets(options);
    let acme: Vec<&Target> = targets.values().filter(|target| target.signer == Signer::Acme).collect();
    if options.authorities.is_empty() && (!acme.is_empty() || options.on_demand.is_some()) {
        problems.push("there is no certificate authority to ask: name one, such as `letsencrypt`".to_owned());
    }
    if options.challenges.is_empty() && !acme.is_empty() {
        problems.push("no challenge is allowed, so that no name can be validated".to_owned());
    }
    for target in acme.iter().filter(|target| target.has_wildcard() && !has_dns(options)) {
        problems.push(format!(
            "a wildcard certificate needs DNS-01: say how the records of `{}` are written (`dns`)",
            target.names.join("`, `")
        ));
    }
    options.authorities.iter().for_each(|authority| check_authority(authority, &mut problems));
    if let Some(share) = options.renewal_share
        && !(0.05..=0.9).contains(&share)
    {
        problems
            .push(format!("the share of lifetime that is left at renewal must be 0.05 to 0.9, not {share}"));
    }
    if let Some(on_demand) = &options.on_demand
        && on_demand.ask.is_none()
        && on_demand.allow.is_empty()
    {
        problems.push(
            "certificates on demand need `ask` or `allow`: without, anybody could make this server order certificates"
                .to_owned(),
        );
    }
    problems
}

pub(crate) fn has_dns(options: &Options) -> bool {
    options.dns.is_some() && options.challenges.contains(&ChallengeKind::Dns01)
}

fn check_authority(authority: &Authority, problems: &mut Vec<String>) {
    let url = authority.url();
    let local =
        ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|start| url.starts_with(start));
    if !url.starts_with("https://") && !local {
        problems.push(format!("`{url}` is neither a known certificate authority nor a URL with `https://`"));
    }
    if let Some(account) = &authority.external_account
        && crate::encoding::base64_any(&account.hmac_key).is_none()
    {
        problems.push(format!("the external account key of `{}` is not base64", authority.label()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{CommandOptions, DnsOptions};
    use crate::options::Managed;

    fn options(names: &[&[&str]]) -> Options {
        let mut options = Options::new("/nowhere".into());
        let managed = names.iter().map(|group| group.iter().map(|name| (*name).to_owned()).collect());
        options.managed = managed.map(|names| Managed { names, by: By::Auto }).collect();
        options
    }

    fn ids(options: &Options) -> Vec<String> {
        targets(options).0.into_keys().collect()
    }

    #[test]
    fn one_certificate_per_name_and_internal_names_apart() {
        let options =
            options(&[&["example.com"], &["EXAMPLE.com."], &["a.org", "localhost", "b.org"], &["10.0.0.1"]]);
        assert_eq!(ids(&options), ["_internal._ip.10.0.0.1", "_internal.localhost", "a.org+", "example.com"]);
    }

    #[test]
    fn a_name_below_a_usable_wildcard_needs_none() {
        let mut options = options(&[
            &["*.example.com"],
            &["a.example.com"],
            &["example.com"],
            &["*.b.localhost"],
            &["a.b.localhost"],
        ]);
        let without =
            ["_internal._wildcard.b.localhost", "_wildcard.example.com", "a.example.com", "example.com"];
        assert_eq!(ids(&options), without);
        assert_eq!(check(&options).len(), 1);
        options.dns = Some(DnsOptions::Command(CommandOptions::new("/bin/true")));
        assert_eq!(
            ids(&options),
            ["_internal._wildcard.b.localhost", "_wildcard.example.com", "example.com"]
        );
        assert_eq!(check(&options), Vec::<String>::new());
        let covered: Vec<String> = covered(&options).into_iter().map(|target| target.id).collect();
        assert_eq!(covered, ["a.example.com", "_internal.a.b.localhost"]);
    }

    #[test]
    fn a_wildcard_that_clients_refuse_covers_nothing() {
        let found = ids(&options(&[&["*.localhost"], &["a.localhost"]]));
        assert_eq!(found, ["_internal._wildcard.localhost", "_internal.a.localhost"]);
    }

    #[test]
    fn groups_of_the_same_first_name_do_not_share_a_folder() {
        let found = ids(&options(&[&["a.org", "b.org"], &["a.org", "c.org"], &["a.org"]]));
        assert_eq!(found.len(), 3);
        assert!(found.contains(&"a.org".to_owned()) && found.contains(&"a.org+".to_owned()));
    }

    #[test]
    fn says_what_is_wrong() {
        let mut options = options(&[&["a_b.org"]]);
        options.authorities =
            vec![Authority::named("http://example.com/directory"), Authority::named("zerossl")];
        options.on_demand = Some(Default::default());
        options.renewal_share = Some(0.99);
        let problems = check(&options);
        assert_eq!(problems.len(), 4, "{problems:?}");
    }
}

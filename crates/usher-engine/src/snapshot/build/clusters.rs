//! Clusters: those with a name, and those that routes write as `to`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use usher_api::Balance;
use usher_api::standing::Standings;
use usher_config::config::{
    self, ClusterLimits, ClusterTls, DnsRefresh, HostPolicy, Outliers, Pool, ProxyVersion, RetryBudget,
    Switch, UpstreamProtocol,
};
use usher_config::{Diagnostic, EndpointUrl, Node, OneOrMany, Span, Spanned, closest};

use super::{Building, Names};
use crate::cluster::{Breaker, Circuit, Crowd};
use crate::snapshot::{Care, ClusterSpec, EndpointSpec, Manner, Origin, Part};

/// Addresses that the name of a cluster without a name tells.
const NAMED_AFTER: usize = 3;

/// The clusters that are built so far.
#[derive(Default)]
pub(in crate::snapshot) struct Clusters {
    pub(super) specs: Vec<Arc<ClusterSpec>>,
    by_name: HashMap<String, u32>,
    /// Clusters without a name have no settings of their own, so routes to the same endpoints share one and its
    /// connections.
    unnamed: HashMap<Vec<Written>, Option<u32>>,
    /// Parts of clusters, by the whole and the labels.
    subsets: HashMap<(u32, Labels), Option<u32>>,
    names: Names,
}

/// What endpoints are chosen by.
type Labels = BTreeMap<String, String>;

/// An endpoint as it is written: address, weight, name.
type Written = (EndpointUrl, u32, Option<String>);

/// What a cluster is made of.
pub(super) struct Draft<'a> {
    pub(super) name: String,
    pub(super) place: Span,
    pub(super) endpoints: &'a [Spanned<config::Endpoint>],
    balance: Option<&'a Node>,
    host: HostPolicy,
    pool: Pool,
    dns: DnsRefresh,
    pub(super) tls: Switch<ClusterTls>,
    pub(super) protocol: UpstreamProtocol,
    pub(super) proxy: Option<ProxyVersion>,
    care: Care,
    health: Option<Spanned<&'a config::Health>>,
    retry_budget: RetryBudget,
    limits: ClusterLimits,
    breaker: Option<config::Breaker>,
    outliers: Option<Outliers>,
    file: Option<&'a Spanned<PathBuf>>,
}

impl Draft<'_> {
    /// How its endpoints are spoken to.
    pub(super) fn manner(&self) -> Manner {
        Manner::new(&self.tls, (self.protocol, self.proxy), self.care.locality.is_some())
    }
}

impl Clusters {
    /// All that were built so far.
    pub(in crate::snapshot) fn specs(&self) -> &[Arc<ClusterSpec>] {
        &self.specs
    }

    /// The index of a named cluster; none if it could not be built.
    pub(in crate::snapshot) fn named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Finds the clusters that take the requests of others. That they exist was checked as the config was read.
    fn find_fallbacks(&mut self) {
        for spec in self.specs.iter_mut().filter_map(Arc::get_mut) {
            if let Some(circuit) = &mut spec.circuit {
                let name = circuit.settings.fallback.as_ref();
                circuit.fallback = name.and_then(|name| self.by_name.get(&name.value).copied());
            }
        }
    }

    fn add(&mut self, spec: ClusterSpec) -> u32 {
        self.specs.push(Arc::new(spec));
        self.specs.len() as u32 - 1
    }
}

impl Building<'_> {
    /// The clusters with a name.
    pub(super) fn clusters(&mut self) -> Clusters {
        let config = &self.loaded.config;
        let mut clusters = Clusters { names: Names::taken(config.clusters.names()), ..Clusters::default() };
        for (key, cluster) in &config.clusters {
            let draft = Draft {
                name: key.name.clone(),
                place: key.span,
                endpoints: &cluster.endpoints,
                balance: cluster.balance.as_ref(),
                host: cluster.host.clone(),
                pool: pool(cluster),
                dns: cluster.dns.clone(),
                tls: cluster.tls.clone(),
                protocol: cluster.protocol,
                proxy: cluster.proxy_protocol.as_ref().map(|version| version.value),
                care: Care {
                    slow_start: cluster.slow_start,
                    spill_over: cluster.spill_over,
                    panic: cluster.panic_threshold,
                    locality: cluster.locality.on().map(|locality| locality.spill_over),
                },
                limits: cluster.limits.clone(),
                breaker: cluster.breaker.on().cloned(),
                outliers: cluster.outliers.on().cloned(),
                retry_budget: cluster.retry_budget.clone(),
                health: cluster.health.on().map(|value| Spanned { value, span: cluster.health.span }),
                file: cluster.endpoints_file.as_ref(),
            };
            if let Some(spec) = self.cluster(draft) {
                let index = clusters.add(spec);
                clusters.by_name.insert(key.name.clone(), index);
            }
        }
        clusters.find_fallbacks();
        clusters
    }

    fn circuit(&mut self, settings: config::Breaker, cluster: &str) -> Circuit {
        let breaker = self.carry.keep(format!("breaker of cluster {cluster}"), Breaker::default);
        Circuit { settings, breaker, fallback: None }
    }

    /// The index of those endpoints of a cluster that have all of these labels; of the cluster if there are no labels.
    pub(in crate::snapshot) fn subset(
        &mut self,
        name: &str,
        labels: Option<&Spanned<Labels>>,
        clusters: &mut Clusters,
    ) -> Option<u32> {
        let whole = clusters.named(name)?;
        let Some(labels) = labels.filter(|labels| !labels.value.is_empty()) else { return Some(whole) };
        let key = (whole, labels.value.clone());
        if let Some(index) = clusters.subsets.get(&key) {
            return *index;
        }
        let whole = clusters.specs.get(whole as usize)?.clone();
        let chosen = whole.endpoints.iter().filter(|one| one.has(&labels.value));
        let endpoints: Vec<EndpointSpec> = chosen.cloned().collect();
        let index = if endpoints.is_empty() && whole.endpoints_file.is_none() {
            let error = Diagnostic::error(format!("no endpoint of the cluster `{name}` has these labels"));
            let help = "write `labels = { … }` at its endpoints, as here";
            self.push(error.at(labels.span, "").help(help));
            None
        } else {
            let shown: Vec<String> =
                labels.value.iter().map(|(label, value)| format!("{label}={value}")).collect();
            let name = clusters.names.unique(format!("{name} [{}]", shown.join(", ")));
            let resolved = endpoints.iter().filter_map(EndpointSpec::fixed).collect();
            // A part that fails says nothing about the others.
            let circuit = whole.circuit.clone().map(|of_whole| {
                let own = self.circuit(of_whole.settings, &name);
                Circuit { fallback: of_whole.fallback, ..own }
            });
            // Probed with the whole, with which it shares what is known of its endpoints.
            let part = Some(Part { whole: whole.name.clone(), labels: labels.value.clone() });
            let name = name.into();
            let spec =
                ClusterSpec { name, endpoints, resolved, circuit, part, health: None, ..(*whole).clone() };
            Some(clusters.add(spec))
        };
        clusters.subsets.insert(key, index);
        index
    }

    /// The cluster of `to = …`. It is named after its addresses, so that pools and counters outlive a reload in which
    /// routes come and go; none if it could not be built.
    pub(in crate::snapshot) fn unnamed(
        &mut self,
        to: &OneOrMany<Spanned<config::Endpoint>>,
        clusters: &mut Clusters,
    ) -> Option<u32> {
        let written = |one: &Spanned<config::Endpoint>| {
            (one.address.value.clone(), one.weight, one.name.as_ref().map(|name| name.value.clone()))
        };
        let key: Vec<Written> = to.iter().map(written).collect();
        if let Some(index) = clusters.unnamed.get(&key) {
            return *index;
        }
        let draft = Draft {
            name: clusters.names.unique(name_after(to)),
            place: to.first().map_or(Span::NONE, |first| first.span),
            endpoints: to,
            balance: None,
            host: HostPolicy::Preserve,
            pool: Pool::default(),
            dns: DnsRefresh::default(),
            tls: Switch::Off,
            protocol: UpstreamProtocol::Auto,
            proxy: None,
            care: Care::default(),
            health: None,
            retry_budget: RetryBudget::default(),
            limits: ClusterLimits::default(),
            breaker: None,
            outliers: None,
            file: None,
        };
        let index = self.cluster(draft).map(|spec| clusters.add(spec));
        clusters.unnamed.insert(key, index);
        index
    }

    fn cluster(&mut self, draft: Draft<'_>) -> Option<ClusterSpec> {
        self.look_at_endpoints(&draft);
        let (balance_name, balance) = self.balance(&draft)?;
        let tls = self.connector(&draft)?;
        let own = self.loaded.config.zone.as_ref().map(|zone| zone.value.as_str().into());
        let manner = Manner { zone: own, ..draft.manner() };
        let spec = |one: &Spanned<config::Endpoint>| EndpointSpec::new(one, &manner, Origin::Config);
        let endpoints: Vec<EndpointSpec> = draft.endpoints.iter().map(spec).collect();
        let standings = self.carry.keep(format!("standings of cluster {}", draft.name), Standings::default);
        let crowd = self.carry.keep(format!("crowd of cluster {}", draft.name), Crowd::default);
        let circuit = draft.breaker.map(|settings| self.circuit(settings, &draft.name));
        let health = self.health(&draft.name, draft.health);
        Some(ClusterSpec {
            health,
            standings,
            care: draft.care,
            retry_budget: draft.retry_budget,
            limits: draft.limits,
            crowd,
            circuit,
            outliers: draft.outliers,
            resolved: endpoints.iter().filter_map(EndpointSpec::fixed).collect(),
            endpoints,
            endpoints_file: draft.file.map(|file| file.value.clone()),
            part: None,
            manner,
            name: draft.name.into(),
            balance,
            balance_name,
            host: draft.host,
            pool: draft.pool,
            tls,
            dns: (draft.dns.min_ttl, draft.dns.max_ttl),
        })
    }

    /// Warns of what works, though probably not as meant.
    fn look_at_endpoints(&mut self, draft: &Draft<'_>) {
        let mut seen: HashMap<&EndpointUrl, Span> = HashMap::new();
        for one in draft.endpoints {
            if let Some(first) = seen.insert(&one.address.value, one.address.span) {
                let warning = Diagnostic::warning(format!("`{}` is in the cluster twice", one.address.value));
                let warning = warning.at(one.address.span, "again here").at(first, "first here");
                self.push(warning.help("keep one; for a larger share, give it a `weight`"));
            }
        }
        if draft.file.is_none() && draft.endpoints.iter().all(|one| one.weight == 0) {
            let warning =
                Diagnostic::warning(format!("all endpoints of the cluster `{}` have weight 0", draft.name));
            self.push(warning.at(draft.place, "its requests are answered with 503"));
        }
    }

    fn balance(&mut self, draft: &Draft<'_>) -> Option<(&'static str, Arc<dyn Balance>)> {
        let (name, options) = self.policy(draft)?;
        let balancers = self.builder.balancers;
        let found = match &name {
            Some(name) => balancers.iter().find(|factory| factory.name == name.value),
            None => balancers.first(),
        };
        let Some(factory) = found else {
            self.push(unknown(name.as_ref(), draft, balancers.iter().map(|factory| factory.name)));
            return None;
        };
        let scope = format!("cluster {}", draft.name);
        let built = self.extension(&scope, |cx| (factory.build)(options, cx)).ok().flatten();
        built.map(|balance| (factory.name, balance))
    }

    /// The name of the balancer and its options; none of either if nothing is written.
    fn policy<'d>(&mut self, draft: &Draft<'d>) -> Option<(Option<Spanned<String>>, Option<&'d Node>)> {
        let Some(node) = draft.balance else { return Some((None, None)) };
        let named =
            |node: &Node| node.as_str().map(|text| Spanned { value: text.to_owned(), span: node.span });
        if let Some(name) = named(node) {
            return Some((Some(name), None));
        }
        let Some(policy) = node.get("policy") else {
            let found = if node.as_table().is_some() {
                "a table without `policy`".to_owned()
            } else {
                node.describe()
            };
            let error = Diagnostic::error(format!("expected the name of a balancer, found {found}"))
                .at(node.span, "");
            self.push(error.help("write the name, or a table with the name as `policy` and its options"));
            return None;
        };
        let Some(name) = named(policy) else {
            let message = format!("expected the name of a balancer, found {}", policy.describe());
            self.push(Diagnostic::error(message).at(policy.span, ""));
            return None;
        };
        Some((Some(name), Some(node)))
    }
}

/// A connection that begins with a PROXY header is its client's alone, so none is kept for others.
fn pool(cluster: &config::Cluster) -> Pool {
    let idle = if cluster.proxy_protocol.is_some() { 0 } else { cluster.pool.idle };
    Pool { idle, ..cluster.pool.clone() }
}

fn unknown<'n>(
    name: Option<&Spanned<String>>,
    draft: &Draft<'_>,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Diagnostic {
    let Some(name) = name else {
        return Diagnostic::error("there is no balancer to choose endpoints with").at(draft.place, "");
    };
    let list: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    let list = format!("known here: {}", list.join(", "));
    let help = closest(name, known).map_or(list.clone(), |near| format!("did you mean `{near}`? {list}"));
    Diagnostic::error(format!("there is no balancer `{}`", name.value)).at(name.span, "").help(help)
}

fn name_after(to: &[Spanned<config::Endpoint>]) -> String {
    let told: Vec<String> = to.iter().take(NAMED_AFTER).map(|one| one.address.address.to_string()).collect();
    match to.len().saturating_sub(NAMED_AFTER) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

//! The probe of a cluster: which it is, and its options, which stand beside the keys that all probes have.

use usher_api::ProbeFactory;
use usher_config::config::Health;
use usher_config::{Decode as _, Diagnostic, Key, Node, Section as _, Spanned, Value, closest};

use super::Building;
use crate::snapshot::HealthSpec;

impl Building<'_> {
    /// How the endpoints of a cluster are probed; none if they are not, or if that cannot be built.
    pub(super) fn health(&mut self, cluster: &str, written: Option<Spanned<&Health>>) -> Option<HealthSpec> {
        let health = written?;
        let factory = self.probe(health)?;
        self.look_at_options(&health, factory);
        let own = keys(factory);
        let options = health.options.iter().filter(|(key, _)| own.contains(&key.name));
        let node = Node::new(health.span, Value::Table(options.cloned().collect()));
        let scope = format!("health of cluster {cluster}");
        let probe = self.extension(&scope, |cx| (factory.build)(&node, cx)).ok().flatten()?;
        Some(HealthSpec {
            probe,
            probe_name: factory.name,
            interval: health.interval,
            jitter: health.jitter,
            timeout: health.timeout,
            healthy_after: health.healthy_after,
            unhealthy_after: health.unhealthy_after,
            port: health.port,
            host: health.host.as_deref().map(Into::into),
            written: health.encode().to_string(),
        })
    }

    fn probe(&mut self, health: Spanned<&Health>) -> Option<&'static ProbeFactory> {
        let probes = self.builder.probes;
        let found = match &health.probe {
            Some(name) => probes.iter().find(|factory| factory.name == name.value),
            None => probes.first(),
        };
        if let Some(factory) = found {
            return Some(factory);
        }
        let place = health.probe.as_ref().map_or(health.span, |name| name.span);
        let written = health.probe.as_ref().map_or("", |name| &name.value);
        let names = probes.iter().map(|factory| factory.name);
        let list: Vec<String> = names.clone().map(|name| format!("`{name}`")).collect();
        let list = format!("known here: {}", list.join(", "));
        let help =
            closest(written, names).map_or(list.clone(), |near| format!("did you mean `{near}`? {list}"));
        self.push(Diagnostic::error(format!("there is no probe `{written}`")).at(place, "").help(help));
        None
    }

    /// Refuses what is no key of this probe: it may be one of another, or misspelt.
    fn look_at_options(&mut self, health: &Health, factory: &ProbeFactory) {
        let own = keys(factory);
        for (key, _) in health.options.iter().filter(|(key, _)| !own.contains(&key.name)) {
            let error = Diagnostic::error(format!("unknown key `{}`", key.name)).at(key.span, "");
            let help = self.meant(key, factory, &own);
            self.push(match help {
                Some(help) => error.help(help),
                None => error,
            });
        }
    }

    fn meant(&self, key: &Key, factory: &ProbeFactory, own: &[String]) -> Option<String> {
        let other = self.builder.probes.iter().find(|other| keys(other).contains(&key.name));
        if let Some(other) = other {
            let (probe, name) = (other.name, factory.name);
            return Some(format!(
                "it is an option of the probe `{probe}`, and this is `{name}`: set `probe`"
            ));
        }
        let known = Health::KEYS.iter().copied().chain(own.iter().map(String::as_str));
        closest(&key.name, known).map(|near| format!("did you mean `{near}`?"))
    }
}

/// The names of a probe's options.
fn keys(factory: &ProbeFactory) -> Vec<String> {
    let schema = (factory.schema)();
    let fields = schema.as_table().map(|table| table.fields.as_slice()).unwrap_or_default();
    fields.iter().map(|field| field.key.clone()).collect()
}

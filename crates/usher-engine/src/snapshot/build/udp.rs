//! Where datagrams go.

use usher_config::config::{Carries, Listener, ProxyVersion};
use usher_config::{Diagnostic, EndpointAddress, Span};

use super::{Building, Clusters};
use crate::snapshot::{Datagrams, Ration};

impl Building<'_> {
    /// What a listener does, if it carries UDP.
    pub(super) fn udp(
        &mut self,
        name: &str,
        listener: &Listener,
        clusters: &mut Clusters,
    ) -> Option<Datagrams> {
        if listener.protocol != Carries::Udp {
            return None;
        }
        let onward = self.onward(listener, (&listener.cluster, &listener.to), clusters)?;
        self.takes_datagrams(listener, clusters, onward.destination.cluster);
        let sessions = &listener.sessions;
        // Another rate begins anew.
        let ration = sessions.rate.map(|rate| {
            self.carry.keep(format!("sessions of listener {name}: {rate}"), || Ration::new(rate))
        });
        Some(Datagrams {
            destination: onward.destination,
            idle: sessions.idle,
            responses: sessions.responses,
            requests: sessions.requests,
            ration,
        })
    }

    /// Refuses endpoints that datagrams cannot be sent to, or not as their cluster says.
    fn takes_datagrams(&mut self, listener: &Listener, clusters: &Clusters, cluster: u32) {
        let Some(spec) = clusters.specs.get(cluster as usize).cloned() else { return };
        let place = match (&listener.cluster, &listener.to) {
            (Some(name), _) => name.span,
            (None, to) => to.iter().flatten().next().map_or(Span::NONE, |one| one.span),
        };
        let mut refuse = |found: String, help: &str| {
            self.push(Diagnostic::error(found).at(place, "for UDP here").help(help));
        };
        let unix = spec.endpoints.iter().find(|one| matches!(one.address, EndpointAddress::Unix(_)));
        if let Some(unix) = unix {
            let help = "write an address or a name with a port";
            refuse(format!("the endpoint `{}` is a Unix socket, which has no UDP", unix.label), help);
        }
        if spec.endpoints.iter().any(|one| one.speech.tls.is_some()) {
            let help = "leave out `https://` and `tls`, or make a cluster of its own for UDP";
            refuse("UDP is passed on as it comes, and these endpoints have TLS".to_owned(), help);
        }
        if spec.endpoints.iter().any(|one| one.speech.proxy == Some(ProxyVersion::V1)) {
            let help = "write `proxy_protocol = \"v2\"`, or make a cluster of its own for UDP";
            refuse("a PROXY header of version 1 is a line of text, which is for TCP".to_owned(), help);
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_config::{Format, Input, LoadOptions, load};
    use usher_extensions::balancers::BALANCERS;
    use usher_extensions::filters::FILTERS;

    use crate::snapshot::{Builder, Built};

    fn build(target: &str, cluster: &str, previous: Option<&Built>) -> Result<Built, String> {
        let text = format!(
            "automatic_https = false\n[[listener]]\nname = 'l'\nbind = ':53'\nprotocol = 'udp'\n{target}\n\
             [cluster.c]\nendpoints = '127.0.0.1:3'\n{cluster}\n"
        );
        let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
        let input = Input::Text { name: "test".to_owned(), bytes: text.into_bytes() };
        let loaded = load(input, &options).unwrap_or_else(|report| panic!("{report}"));
        let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
        builder.build(&loaded, previous, None).map_err(|report| report.to_string())
    }

    #[test]
    fn endpoints_that_datagrams_cannot_be_sent_to_are_refused() {
        for (target, cluster, expected) in [
            ("to = 'unix:/run/dns.sock'", "", &["is a Unix socket, which has no UDP", "6:6"][..]),
            ("to = 'https://dns.test:853'", "", &["these endpoints have TLS", "leave out `https://`"]),
            ("cluster = 'c'", "tls = true", &["these endpoints have TLS", "for UDP here"]),
            ("cluster = 'c'", "proxy_protocol = 'v1'", &["which is for TCP", "`proxy_protocol = \"v2\"`"]),
        ] {
            let built = build(target, cluster, None);
            let report = built.err().unwrap_or_else(|| panic!("built: {target} {cluster}"));
            for part in expected {
                assert!(report.contains(part), "{target} {cluster}: `{part}` is missing\n{report}");
            }
        }
        assert!(build("cluster = 'c'", "proxy_protocol = 'v2'", None).is_ok());
    }

    #[test]
    fn a_rate_goes_on_over_a_reload_unless_it_is_another() {
        let ration =
            |built: &Built| built.snapshot.listeners[0].udp.as_ref().and_then(|udp| udp.ration.clone());
        let rated = |rate: &str| format!("cluster = 'c'\nsessions = {{ rate = '{rate}' }}");
        let before = build(&rated("5/s"), "", None).unwrap_or_else(|report| panic!("{report}"));
        let now = std::time::Instant::now();
        assert_eq!((0..9).filter(|_| ration(&before).is_some_and(|ration| ration.take(now))).count(), 5);
        let same = build(&rated("5/s"), "", Some(&before)).unwrap_or_else(|report| panic!("{report}"));
        assert!(ration(&same).is_some_and(|ration| !ration.take(now)));
        let other = build(&rated("6/s"), "", Some(&before)).unwrap_or_else(|report| panic!("{report}"));
        assert!(ration(&other).is_some_and(|ration| ration.take(now)));
        let none = build("cluster = 'c'", "", Some(&before)).unwrap_or_else(|report| panic!("{report}"));
        assert!(ration(&none).is_none());
        assert_eq!(none.snapshot.listeners[0].max_connections, super::super::listeners::MAX_SESSIONS);
    }
}

//! `usher explain`

use usher_engine::Snapshot;
use usher_engine::explain::{Question, explain};
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, ResolvedEndpoint};
use usher_net::Address;

use crate::assemble;
use crate::cli::ExplainArgs;
use crate::discovery;
use crate::origin::Origin;
use crate::terminal::{Failure, print, say, warn};

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let origin = Origin::of(&args.config)?;
    say(&format!("config: {}\n", origin.name()));
    let loaded = origin.load()?;
    let mut built = assemble::dry(&loaded)?;
    warn(&loaded.warnings, &loaded.sources);
    built.resolve(|cluster| Some(as_if_resolved(cluster)));
    let snapshot = &built.snapshot;
    let question = Question {
        listener: args.listener.clone().or_else(|| listener_of(snapshot, &args.url)),
        client: args.client,
        headers: args.headers.clone(),
        ..Question::new(args.method.clone(), args.url.clone())
    };
    let explanation = explain(snapshot, &question).map_err(|error| Failure::Message(error.to_string()))?;
    if args.json {
        return print(format!("{:#}\n", explanation.to_json()));
    }
    print(explanation.to_string())
}

/// Endpoints without asking for names: a dry run sends nothing. Nobody dials the addresses that stand in for them.
fn as_if_resolved(cluster: &ClusterSpec) -> Vec<ResolvedEndpoint> {
    let nowhere = || Address::Unix(std::path::PathBuf::new());
    let path = cluster.endpoints_file.as_deref();
    let from_file = path.and_then(|path| discovery::read(cluster, path).ok()).unwrap_or_default();
    let is_part = |one: &&EndpointSpec| cluster.part.as_ref().is_none_or(|part| one.has(&part.labels));
    let all = cluster.endpoints.iter().chain(from_file.iter().filter(is_part));
    all.map(|one| one.fixed().unwrap_or_else(|| one.at(nowhere()))).collect()
}

/// The listener on the URL's port, if there is one.
fn listener_of(snapshot: &Snapshot, url: &str) -> Option<String> {
    let port = port(url)?;
    let fits = |address: &usher_config::BindAddress| address.port() == Some(port);
    let listener = snapshot.listeners.iter().find(|listener| listener.bind.iter().any(fits))?;
    Some(listener.name.to_string())
}

/// The port that is written in a URL, or that its scheme stands for.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let written = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    written.or(if scheme.eq_ignore_ascii_case("https") { Some(443) } else { Some(80) })
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn finds_the_port_of_a_url() {
        let cases = [
            ("http://a/x:1", Some(80)),
            ("http://a:8080", Some(8080)),
            ("http://[::1]:81/", Some(81)),
            ("http://[::1]/", Some(80)),
            ("https://a?b", Some(443)),
            ("/a", None),
        ];
        for (url, expected) in cases {
            assert_eq!(port(url), expected, "{url}");
        }
    }
}

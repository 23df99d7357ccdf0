//! `usher proxy`

use serde_json::json;

use crate::cli::ProxyArgs;
use crate::origin::Origin;
use crate::serve;
use crate::terminal::Failure;

pub(super) fn run(args: &ProxyArgs) -> Result<(), Failure> {
    serve::run(origin(args))
}

/// The config that the arguments stand for.
fn origin(args: &ProxyArgs) -> Origin {
    let texts = |all: &[String]| json!(all);
    let listen: Vec<String> = args.listen.iter().map(ToString::to_string).collect();
    let to: Vec<String> = args.to.iter().map(ToString::to_string).collect();
    let mut config = json!({
        "admin": args.admin.as_ref().map_or("off".to_owned(), ToString::to_string),
        "access_log": "stdout",
        "listener": [{ "name": "proxy", "bind": texts(&listen) }],
        "route": [{ "name": "proxy", "cluster": "proxy" }],
        "cluster": { "proxy": { "endpoints": texts(&to) } },
    });
    if let Some(balance) = &args.balance {
        config["cluster"]["proxy"]["balance"] = json!(balance);
    }
    if let Some(workers) = args.workers {
        config["workers"] = json!(workers);
    }
    let bytes = format!("{config:#}").into_bytes();
    Origin::Text { name: "<command line>", bytes, format: Some(usher_config::Format::Json) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::origin;
    use crate::cli::{Cli, Command};

    #[test]
    fn makes_a_good_config() {
        let words = "usher proxy -l :8080 -l unix:/tmp/x -t 3000 -t unix:/tmp/a\"b -b random -w 2 --admin :9";
        let Some(Command::Proxy(args)) = Cli::parse_from(words.split(' ')).command else { panic!("proxy") };
        let config = origin(&args).load().expect("loads").config;
        let endpoints = &config.clusters.iter().next().expect("a cluster").1.endpoints;
        assert_eq!(endpoints.len(), 2);
        assert_eq!(config.workers, Some(2));
        assert_eq!(config.listeners[0].bind.len(), 2);
    }
}

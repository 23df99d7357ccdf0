//! Where the record of a challenge is to be written: `_acme-challenge.NAME` may be an alias (CNAME) of a name in another
//! zone, which the CA follows (RFC 8555 section 8.4 asks for a DNS query like any other). Then credentials for that zone
//! are enough, and the real one need not be touched.
//!
//! The name is asked for at the zone's own servers only: a resolver would remember for long that it is not there, and
//! we, or the CA, ask the same one soon after.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::exchange::{ask, random_id};
use super::parents;
use super::propagation::{servers_of, system_resolvers};
use super::wire::{Data, Message, TYPE_CNAME};

/// Aliases that are followed.
const MAX_ALIASES: usize = 8;
/// How long all questions may take; without an answer, the name is taken for none.
const LIMIT: Duration = Duration::from_secs(10);
/// Servers of a zone that are asked until one answers.
const MAX_SERVERS: usize = 2;

/// The name that this one is an alias of in the end. None if it is none, if that leads in a circle, or if nobody can be
/// asked.
pub(crate) async fn target(name: &str) -> Option<String> {
    let resolver = *system_resolvers().first()?;
    timeout(LIMIT, follow(resolver, name)).await.ok()?
}

async fn follow(resolver: SocketAddr, name: &str) -> Option<String> {
    let mut last = None;
    for _ in 0..MAX_ALIASES {
        match alias(resolver, last.as_deref().unwrap_or(name)).await {
            Some(next) => last = Some(next),
            None => return last,
        }
    }
    None
}

async fn alias(resolver: SocketAddr, name: &str) -> Option<String> {
    let (_, parent) = name.split_once('.')?;
    let servers = servers_of(resolver, parents(parent)).await.ok()?;
    let (server, answer) = first_answer(&servers, name).await?;
    let target = alias_in(&answer, name)?;
    // One for all names of the parent that have no record of their own (RFC 4592), such as `*.example.com` to where a site
    // is hosted, is not meant: what is written at the name itself counts instead of it.
    let sibling = format!("_{:04x}{:04x}.{parent}", random_id(), random_id());
    let of_sibling = ask(server, &sibling, TYPE_CNAME, false).await.ok()?;
    Some(target).filter(|target| alias_in(&of_sibling, &sibling).as_ref() != Some(target))
}

/// What the first of a zone's servers that can say says of a name's alias.
pub(super) async fn first_answer(servers: &[SocketAddr], name: &str) -> Option<(SocketAddr, Message)> {
    for server in servers.iter().take(MAX_SERVERS) {
        match ask(*server, name, TYPE_CNAME, false).await {
            Ok(answer) if matches!(answer.code, 0 | 3) => return Some((*server, answer)),
            // Neither an answer nor that there is no such name: it cannot or will not say, and another one may.
            _ => {}
        }
    }
    None
}

/// Where the alias leads that an answer has of this name.
pub(super) fn alias_in(answer: &Message, name: &str) -> Option<String> {
    let record = answer.of_type(TYPE_CNAME).find(|record| record.name.eq_ignore_ascii_case(name))?;
    match &record.data {
        Data::Name(target) => Some(target.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::NameServer;
    use super::super::wire::{TYPE_A, TYPE_NS};
    use super::*;

    #[tokio::test]
    async fn aliases_are_followed_where_they_are_meant() {
        let server = NameServer::start().await;
        for zone in ["example.com", "example.net"] {
            server.add_record(zone, TYPE_NS, "ns.example");
        }
        server.add_record("ns.example", TYPE_A, "127.0.0.1");
        for (name, target) in [
            ("_acme-challenge.a.example.com", "a.challenges.example.net"),
            ("_acme-challenge.twice.example.com", "_acme-challenge.a.example.com"),
            ("_acme-challenge.round.example.com", "round.example.net"),
            ("round.example.net", "_acme-challenge.round.example.com"),
            ("*.hosted.example.com", "site.hoster.example.net"),
            ("_acme-challenge.both.hosted.example.com", "both.example.net"),
            ("*.both.hosted.example.com", "site.hoster.example.net"),
            ("_acme-challenge.elsewhere.example.org", "a.example.net"),
        ] {
            server.add_record(name, TYPE_CNAME, target);
        }
        for (name, expected) in [
            ("a.example.com", Some("a.challenges.example.net")),
            ("twice.example.com", Some("a.challenges.example.net")),
            ("none.example.com", None),
            ("round.example.com", None),
            ("hosted.example.com", None),
            ("both.hosted.example.com", Some("both.example.net")),
            // No server is known for the zone.
            ("elsewhere.example.org", None),
        ] {
            let found = follow(server.address(), &format!("_acme-challenge.{name}")).await;
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        // Nobody but the zone's own servers was asked for the names themselves: those are never asked to recurse.
        let asked = server.asked();
        assert!(asked.iter().all(|(name, recursive)| !(*recursive && name.starts_with('_'))), "{asked:?}");
    }

    #[tokio::test]
    async fn another_server_is_asked_where_one_refuses() {
        let server = NameServer::start().await;
        // The first one by its name, at the same port.
        let refusing = NameServer::refusing_at(([127, 0, 0, 2], server.address().port()).into()).await;
        for (name, address) in [("a.ns.example", "127.0.0.2"), ("b.ns.example", "127.0.0.1")] {
            server.add_record("example.com", TYPE_NS, name);
            server.add_record(name, TYPE_A, address);
        }
        server.add_record("_acme-challenge.example.com", TYPE_CNAME, "challenges.example.net");
        let found = follow(server.address(), "_acme-challenge.example.com").await;
        assert_eq!(found.as_deref(), Some("challenges.example.net"));
        assert_eq!(refusing.asked(), [("_acme-challenge.example.com".to_owned(), false)]);
    }
}

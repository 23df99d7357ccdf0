//! Whether a record is seen where the CA will look for it, before the CA is told to look: each look that fails counts
//! against its limits, and may be remembered by resolvers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::DnsError;
use super::alias::{alias_in, first_answer};
use super::exchange::ask;
use super::wire::{Data, Message, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_NS, TYPE_SOA, TYPE_TXT};
use crate::http::excerpt;
use crate::options::Propagation;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Name servers that are asked.
const MAX_SERVERS: usize = 8;
/// Aliases that are followed from the record's name.
const MAX_ALIASES: usize = 8;

/// What a look gave.
enum Look {
    Seen,
    /// This server answered without it, for the name or for where its aliases lead.
    NotYet(SocketAddr, String),
    /// None answered.
    Silent(String),
}

/// Waits until all servers have the TXT record `name` with this value. Gives a warning if nobody could be asked: the CA
/// may see more than this machine.
pub(crate) async fn wait(options: &Propagation, name: &str, value: &str) -> Result<Option<String>, DnsError> {
    sleep(options.delay).await;
    if options.limit.is_zero() {
        return Ok(None);
    }
    let deadline = Instant::now() + options.limit;
    let mut last = Look::Silent("no time to ask".to_owned());
    loop {
        let look = look(options, name, value);
        match timeout_at(deadline, look).await {
            Ok(Look::Seen) => return Ok(None),
            Ok(other) => last = other,
            Err(_) => break,
        }
        if deadline.saturating_duration_since(Instant::now()) <= LOOK_EVERY {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let seconds = options.limit.as_secs();
    match last {
        Look::Silent(why) => {
            Ok(Some(format!("cannot look whether `{name}` is there ({why}); the CA is told to look anyway")))
        }
        Look::NotYet(server, place) => Err(missing(name, &place, server, seconds)),
        Look::Seen => Ok(None),
    }
}

fn missing(name: &str, place: &str, server: SocketAddr, seconds: u64) -> DnsError {
    let (at, zone) = match place == name {
        true => (", nor an alias (CNAME) to where it is".to_owned(), "it the right zone"),
        false => (format!(" at `{place}`, where its alias (CNAME) leads"), "that where it was written"),
    };
    DnsError::new(format!(
        "the TXT record `{name}` was written, but the name server {server} does not have it after {seconds} s{at}: is \
         {zone}, or does it need longer (`propagation`)?"
    ))
}

async fn look(options: &Propagation, name: &str, value: &str) -> Look {
    let (servers, name, recursive) = if options.resolvers.is_empty() {
        let resolvers = system_resolvers();
        let Some(resolver) = resolvers.first() else {
            return Look::Silent("no name server in /etc/resolv.conf".to_owned());
        };
        match authoritative(*resolver, name).await {
            Ok((servers, name)) => (servers, name, false),
            Err(why) => return Look::Silent(why),
        }
    } else {
        (options.resolvers.clone(), name.to_owned(), true)
    };
    let mut answered = false;
    let mut silent = String::new();
    for server in servers {
        match ask(server, &name, TYPE_TXT, recursive).await {
            Ok(message) if has(&message, value) => answered = true,
            Ok(message) if message.code == 0 || message.code == 3 => {
                return Look::NotYet(server, end_of_aliases(&message, &name));
            }
            Ok(message) => silent = format!("{server} answered with code {}", message.code),
            Err(error) => silent = format!("{server}: {error}"),
        }
    }
    if answered { Look::Seen } else { Look::Silent(silent) }
}

fn has(message: &Message, value: &str) -> bool {
    message.of_type(TYPE_TXT).any(|record| record.data == Data::Text(value.as_bytes().to_vec()))
}

/// Where the aliases of a name lead, those of them that an answer has.
fn end_of_aliases(message: &Message, name: &str) -> String {
    let mut end = name.to_owned();
    for _ in 0..MAX_ALIASES {
        match alias_in(message, &end) {
            Some(target) => end = target,
            None => break,
        }
    }
    end
}

/// The servers of the zone that has the name, and the name itself after aliases. Of the name only its zone's own servers
/// are asked: acme-dns says of all but TXT that there is no such name, which a resolver would remember for each type
/// (RFC 2308 section 5), and the CA may ask the same one.
async fn authoritative(resolver: SocketAddr, name: &str) -> Result<(Vec<SocketAddr>, String), String> {
    let mut name = name.to_owned();
    for _ in 0..=MAX_ALIASES {
        let servers = servers_above(resolver, &name).await?;
        let answer = match first_answer(&servers, &name).await {
            Some((_, answer)) => answer,
            // None of them can be asked from here, or says anything: better the resolver than to know of no alias.
            None => ask(resolver, &name, TYPE_CNAME, true).await.unwrap_or_default(),
        };
        if let Some(target) = alias_in(&answer, &name) {
            name = target;
            continue;
        }
        // They know no more than who has it where it is a zone of its own (RFC 1034 section 4.3.2).
        let of_zone = [TYPE_NS, TYPE_SOA];
        let is_zone = of_zone.iter().any(|kind| answer.of_type(*kind).any(|record| record.name == name));
        let own = if is_zone { servers_of(resolver, [name.as_str()].into_iter()).await? } else { servers };
        return Ok((own, name));
    }
    Err(format!("`{}` has more than {MAX_ALIASES} aliases", excerpt(&name)))
}

/// The servers of the zone that its parent is in; its own where that is above all domains.
async fn servers_above(resolver: SocketAddr, name: &str) -> Result<Vec<SocketAddr>, String> {
    let parent = name.split_once('.').map_or("", |(_, parent)| parent);
    match super::parents(parent).next() {
        Some(_) => servers_of(resolver, super::parents(parent)).await,
        None => servers_of(resolver, [name].into_iter()).await,
    }
}

/// The servers of the first of these zones that is one.
pub(super) async fn servers_of(
    resolver: SocketAddr,
    zones: impl Iterator<Item = &str>,
) -> Result<Vec<SocketAddr>, String> {
    let mut last = "";
    for zone in zones {
        last = zone;
        let Ok(answer) = ask(resolver, zone, TYPE_NS, true).await else { continue };
        let of_zone = answer.of_type(TYPE_NS).filter(|record| record.name == zone);
        let names: BTreeSet<String> =
            of_zone.filter_map(|record| target(&record.data)).take(MAX_SERVERS).collect();
        if !names.is_empty() {
            let servers = addresses(resolver, &names).await;
            let none = || format!("the name servers of `{}` have no address", excerpt(zone));
            return if servers.is_empty() { Err(none()) } else { Ok(servers) };
        }
    }
    Err(format!("no zone was found up to `{}`", excerpt(last)))
}

fn target(data: &Data) -> Option<String> {
    match data {
        Data::Name(name) => Some(name.clone()),
        _ => None,
    }
}

/// One address of each server, IPv4 where there is one. They are asked where the resolver is: at port 53.
async fn addresses(resolver: SocketAddr, names: &BTreeSet<String>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for name in names {
        for kind in [TYPE_A, TYPE_AAAA] {
            let Ok(answer) = ask(resolver, name, kind, true).await else { continue };
            let address = answer.of_type(kind).find_map(|record| match record.data {
                Data::Address(address) => Some(SocketAddr::new(address, resolver.port())),
                _ => None,
            });
            if let Some(address) = address {
                found.push(address);
                break;
            }
        }
    }
    found
}

/// The resolvers of the system (resolv.conf(5)).
pub(super) fn system_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    resolvers(&text)
}

fn resolvers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::NameServer;

    fn options(server: &NameServer, limit: Duration) -> Propagation {
        Propagation { delay: Duration::ZERO, limit, resolvers: vec![server.address()] }
    }

    #[tokio::test]
    async fn sees_the_record_once_it_is_there() {
        let server = NameServer::start().await;
        server.add("_acme-challenge.a.example", "other");
        let limit = Duration::from_secs(1);
        let missing = wait(&options(&server, limit), "_acme-challenge.a.example", "value").await.unwrap_err();
        assert!(missing.to_string().contains("does not have it after 1 s, nor an alias"), "{missing}");
        server.add("_acme-challenge.a.example", "value");
        assert_eq!(wait(&options(&server, limit), "_acme-challenge.a.example", "value").await, Ok(None));
    }

    /// What an account at another place looks like, to whom the alias does not lead.
    #[tokio::test]
    async fn says_where_the_alias_leads_that_has_no_record() {
        let server = NameServer::start().await;
        for (name, target) in [("_acme-challenge.a.example", "b.example"), ("b.example", "d42.auth.example")]
        {
            server.add_record(name, TYPE_CNAME, target);
        }
        // As a resolver answers: with the aliases that it followed.
        let options = Propagation { limit: Duration::from_secs(1), ..options(&server, Duration::ZERO) };
        let missing = wait(&options, "_acme-challenge.a.example", "value").await.unwrap_err().to_string();
        assert!(missing.contains("at `d42.auth.example`, where its alias"), "{missing}");
    }

    /// An acme-dns server says of all but TXT that there is no such name.
    #[tokio::test]
    async fn a_resolver_is_not_asked_for_what_it_would_remember_to_be_missing() {
        let server = NameServer::start().await;
        for (name, kind, value) in [
            ("example.com", TYPE_NS, "ns.example"),
            ("auth.example.net", TYPE_NS, "ns.example"),
            ("ns.example", TYPE_A, "127.0.0.1"),
            ("_acme-challenge.a.example.com", TYPE_CNAME, "d42.auth.example.net"),
            ("_acme-challenge.b.example.com", TYPE_CNAME, "challenges.example"),
            // Zones of their own, with another server.
            ("challenges.example", TYPE_NS, "own.example"),
            ("_acme-challenge.c.example.com", TYPE_NS, "own.example"),
            ("own.example", TYPE_A, "127.0.0.2"),
        ] {
            server.add_record(name, kind, value);
        }
        let port = server.address().port();
        for (name, last, place) in [
            ("_acme-challenge.a.example.com", 1, "d42.auth.example.net"),
            ("_acme-challenge.b.example.com", 2, "challenges.example"),
            ("_acme-challenge.c.example.com", 2, "_acme-challenge.c.example.com"),
            ("_acme-challenge.d.example.com", 1, "_acme-challenge.d.example.com"),
        ] {
            let servers = vec![SocketAddr::from(([127, 0, 0, last], port))];
            assert_eq!(
                authoritative(server.address(), name).await,
                Ok((servers, place.to_owned())),
                "{name}"
            );
        }
        let asked = server.asked();
        let zones =
            ["example.com", "auth.example.net", "challenges.example", "_acme-challenge.c.example.com"];
        let is_fine = |name: &str| {
            zones.contains(&name)
                || ["a", "b", "c", "d"].iter().any(|host| name == format!("{host}.example.com"))
        };
        let wrong: Vec<_> = asked
            .iter()
            .filter(|(name, recursive)| *recursive && !is_fine(name) && !name.ends_with(".example"))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[tokio::test]
    async fn the_resolver_is_asked_for_an_alias_where_nobody_else_can_be() {
        let server = NameServer::start().await;
        for (name, kind, value) in [
            ("example.com", TYPE_NS, "dead.example"),
            ("dead.example", TYPE_A, "127.0.0.3"),
            ("_acme-challenge.example.com", TYPE_CNAME, "d42.auth.example.net"),
            ("auth.example.net", TYPE_NS, "ns.example"),
            ("ns.example", TYPE_A, "127.0.0.1"),
        ] {
            server.add_record(name, kind, value);
        }
        let found = authoritative(server.address(), "_acme-challenge.example.com").await;
        assert_eq!(found, Ok((vec![server.address()], "d42.auth.example.net".to_owned())));
    }

    #[tokio::test]
    async fn goes_on_with_a_warning_if_nobody_answers() {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let options = Propagation {
            delay: Duration::ZERO,
            limit: Duration::from_millis(100),
            resolvers: vec![socket.local_addr().unwrap()],
        };
        let warning = wait(&options, "_acme-challenge.a.example", "value").await.unwrap();
        assert!(warning.unwrap().contains("anyway"));
    }

    #[test]
    fn reads_resolv_conf() {
        let found = resolvers("# x\nnameserver 10.0.0.1\nsearch a.example\n nameserver ::1 \nnameserver x\n");
        assert_eq!(found, [SocketAddr::from(([10, 0, 0, 1], 53)), "[::1]:53".parse().unwrap()]);
    }
}

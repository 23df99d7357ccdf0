//! Whether a record is seen where the CA will look for it, before the CA is told to look: each look that fails counts
//! against its limits, and may be remembered by resolvers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::DnsError;
use super::exchange::ask;
use super::wire::{Data, Message, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_NS, TYPE_TXT};
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
    /// This server answered without it.
    NotYet(SocketAddr),
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
        Look::NotYet(server) => Err(DnsError::new(format!(
            "the TXT record `{name}` was written, but the name server {server} does not have it after {seconds} s: is it \
             the right zone, or does it need longer (`propagation`)?"
        ))),
        Look::Seen => Ok(None),
    }
}

async fn look(options: &Propagation, name: &str, value: &str) -> Look {
    let (servers, name, recursive) = if options.resolvers.is_empty() {
        match authoritative(name).await {
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
            Ok(message) if message.code == 0 || message.code == 3 => return Look::NotYet(server),
            Ok(message) => silent = format!("{server} answered with code {}", message.code),
            Err(error) => silent = format!("{server}: {error}"),
        }
    }
    if answered { Look::Seen } else { Look::Silent(silent) }
}

fn has(message: &Message, value: &str) -> bool {
    message.of_type(TYPE_TXT).any(|record| record.data == Data::Text(value.as_bytes().to_vec()))
}

/// The servers of the zone that has the name, and the name itself after aliases.
async fn authoritative(name: &str) -> Result<(Vec<SocketAddr>, String), String> {
    let resolvers = system_resolvers();
    let resolver = *resolvers.first().ok_or("no name server in /etc/resolv.conf")?;
    let mut name = name.to_owned();
    for _ in 0..MAX_ALIASES {
        let answer =
            ask(resolver, &name, TYPE_CNAME, true).await.map_err(|error| format!("{resolver}: {error}"))?;
        let alias = answer.of_type(TYPE_CNAME).find(|record| record.name == name);
        match alias.map(|record| &record.data) {
            Some(Data::Name(target)) => name = target.clone(),
            _ => break,
        }
    }
    let servers = servers_of(resolver, super::parents(&name)).await?;
    Ok((servers, name))
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
        assert!(missing.to_string().contains("does not have it"), "{missing}");
        server.add("_acme-challenge.a.example", "value");
        assert_eq!(wait(&options(&server, limit), "_acme-challenge.a.example", "value").await, Ok(None));
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

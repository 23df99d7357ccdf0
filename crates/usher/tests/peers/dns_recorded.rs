//! DNS-01 by what Cloudflare and deSEC really said: others recorded it with accounts of theirs, and publish that with their
//! programs (dns-lexicon, desec-dns). What is recorded is served again, with our names and values in it, to a proxy that
//! obtains certificates; `cargo xtask test` brings it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use usher_testkit::{Endpoint, Reply};

use crate::dns_world::{World, failed, obtained};
use crate::peer::{say_missing, until, wheels};

const SERVICES: &str = include_str!("dns_recorded.py");
const TOKEN: &str = "secret-token";

fn recordings() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/recordings");
    if !folder.is_dir() {
        say_missing("recorded answers of DNS hosts", "cargo xtask test");
        return None;
    }
    Some(folder)
}

fn world() -> Option<World> {
    World::start(&wheels("yaml")?, SERVICES, &[&recordings()?])
}

fn provider(world: &World, name: &str, token: &str) -> String {
    let path = if name == "cloudflare" { "/client/v4" } else { "/api/v1" };
    format!("provider = \"{name}\"\ntoken = \"{token}\"\nurl = \"{}{path}\"", world.url)
}

#[test]
fn certificates_by_recorded_answers() {
    let Some(mut world) = world() else { return };
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let cases = [("cloudflare", "flare.example"), ("desec", "sec.example")];
    let ushers = cases.map(|(name, host)| {
        let wildcard = format!("*.{host}");
        // Both have their record at the same name.
        world.usher(&endpoint, &provider(&world, name, TOKEN), &[host, &wildcard])
    });
    ushers.iter().for_each(|usher| obtained(usher, 2));
    let (mut state, mut asked) = (Value::Null, Vec::new());
    until("the records to be removed", || {
        state = world.state();
        asked.extend(state["asked"].as_array().unwrap().clone());
        state["left"] == 0
    });
    assert_eq!(state["strange"], Value::Array(Vec::new()));
    // They were written one after the other, and one had to wait.
    let count = |method: &str, status: u16| {
        asked.iter().filter(|one| one["method"] == method && one["status"] == status).count()
    };
    assert_eq!((count("POST", 200), count("DELETE", 200)), (2, 2), "{asked:#?}");
    assert_eq!((count("PATCH", 200), count("PATCH", 429)), (4, 1), "{asked:#?}");
    for usher in &ushers {
        assert!(!usher.output().contains("TXT record"), "{}", usher.output());
    }
}

#[test]
fn recorded_refusals_are_said() {
    let Some(mut world) = world() else { return };
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let cases = [
        ("cloudflare", TOKEN, "elsewhere.example", "permission 'com.cloudflare.api.account.zone.list'"),
        ("desec", "nobody", "sec.example", r#"{"detail":"Invalid token."}; check the token"#),
        ("desec", "reader-token", "sec.example", "You do not have permission to perform this action"),
        ("desec", "refused-token", "sec.example", "currently unsupported"),
        ("desec", TOKEN, "elsewhere.example", "has no domain for `_acme-challenge.elsewhere.example`"),
    ];
    let ushers =
        cases.map(|(name, token, host, _)| world.usher(&endpoint, &provider(&world, name, token), &[host]));
    for ((name, token, host, expected), usher) in cases.into_iter().zip(&ushers) {
        let error = failed(usher);
        assert!(error.contains(expected), "{name} {token} {host}: {error}");
    }
    assert_eq!(world.state()["strange"], Value::Array(Vec::new()));
}

//! DNS-01 by the APIs of DNS hosts, at a certificate authority that looks at the records.
//!
//! Route 53 is moto, behind a check of signatures by Amazon's own library. The other services have no such double to be
//! had, so theirs is ours (`dns_apis.py`); but clients of others are used to the real ones, and go through the same: what
//! they take as an answer, and what they ask, is what Usher is measured by. What two of them really said is in
//! `dns_recorded.rs`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use usher_testkit::{Endpoint, Reply, Usher};

use crate::dns_world::{World, obtained};
use crate::peer::{Peer, until, wheels};

const APIS: &str = include_str!("dns_apis.py");
const CLIENTS: &str = include_str!("dns_clients.py");
const ROUTE53: &str = include_str!("dns_route53.py");

/// Who may write, at all of them but Route 53.
const TOKEN: &str = "secret-token-of-forty-characters-000000000";
const USER: &str = "c36f50e8-4632-44f0-83fe-e070fef28a10";
const KEY: &str = "0123456789012345678901234567890123456789";
const SUBDOMAIN: &str = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a";

#[test]
fn route_53_takes_what_we_sign_and_write() {
    let Some(python) = wheels("boto3, flask_cors, moto.server") else { return };
    let Some(mut world) = World::start(&python, ROUTE53, &[]) else { return };
    let before = world.state()["sets"].clone();
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let provider = format!(
        "provider = \"route53\"\naccess_key_id = \"AKIDEXAMPLE\"\nsecret_access_key = \"{key}\"\nurl = \"{}\"",
        world.url
    );
    // The first two have their records at one name, beside another's; the last is in a zone below.
    let hosts = ["aws.example", "*.aws.example", "a.sub.aws.example"];
    let usher = world.usher(&endpoint, &provider, &hosts);
    obtained(&usher, hosts.len());
    let mut state = Value::Null;
    until("the records to be removed", || {
        state = world.state();
        state["sets"] == before
    });
    assert_eq!(state["counts"], json!({ "refused": 0, "changes": 2 * hosts.len() }));
    assert!(!usher.output().contains("TXT record"), "{}", usher.output());
}

/// Certificates from each of the three, with all that was asked of them.
fn ours(world: &mut World) -> Value {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let url = &world.url;
    let token = format!("token = \"{TOKEN}\"");
    let providers = [
        (format!("provider = \"cloudflare\"\n{token}\nurl = \"{url}/client/v4\""), "flare.example"),
        (format!("provider = \"cloudflare\"\n{token}\nurl = \"{url}/client/v4\""), "a.sub.flare.example"),
        (format!("provider = \"desec\"\n{token}\nurl = \"{url}/api/v1\""), "sec.example"),
        (
            format!(
                "provider = \"acme-dns\"\nurl = \"{url}\"\nusername = \"{USER}\"\npassword = \"{KEY}\"\n\
                 subdomain = \"{SUBDOMAIN}\""
            ),
            "plain.example",
        ),
    ];
    let start = |(provider, host): &(String, &str)| {
        let wildcard = format!("*.{host}");
        world.usher(&endpoint, provider, &[host, &wildcard])
    };
    let ushers: Vec<Usher> = providers.iter().map(start).collect();
    ushers.iter().for_each(|usher| obtained(usher, 2));
    let mut asked = Vec::new();
    // The records of acme-dns stay, as it has no way to remove them.
    until("the records to be removed", || {
        let state = world.state();
        asked.extend(state["asked"].as_array().unwrap().clone());
        let records = state["records"].as_object().unwrap();
        records.len() == 1 && records["_acme-challenge.plain.example"].as_array().unwrap().len() == 2
    });
    for usher in &ushers {
        assert!(!usher.output().contains("TXT record"), "{}", usher.output());
    }
    Value::Array(asked)
}

/// What a value is made of, without what it says.
fn form(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => Value::Array(items.iter().take(1).map(form).collect()),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), form(value))).collect(),
    }
}

/// The form of a request: of what it does, where, who it says that it is, and its body.
fn request(asked: &Value) -> (String, String) {
    let path = asked["path"].as_str().unwrap();
    let is_number = |part: &&str| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = |part: &str| match part {
        part if is_number(&part) => "{id}".to_owned(),
        part if part.starts_with("_acme-challenge") => "{name}".to_owned(),
        part => part.to_owned(),
    };
    let path: Vec<String> = path.split('/').map(part).collect();
    let fields = &asked["fields"];
    let of_body = !asked["body"].is_null();
    let body = json!({
        "credentials": [fields["authorization"], fields["x-api-user"], fields["x-api-key"]],
        "type": of_body.then(|| fields["content-type"].clone()),
        "body": form(&asked["body"]),
    });
    (format!("{} {}", asked["method"].as_str().unwrap(), path.join("/")), body.to_string())
}

#[test]
fn clients_of_others_ask_cloudflare_desec_and_acme_dns_the_same() {
    let imports = "cloudflare, certbot_acme_dns, certbot_dns_cloudflare, certbot_dns_desec, desec.api";
    let Some(python) = wheels(imports) else { return };
    let Some(mut world) = World::start(&python, APIS, &[]) else { return };
    let mut command = Command::new(&python);
    command.args(["-c", CLIENTS, &world.url, TOKEN, USER, KEY, SUBDOMAIN]);
    assert_eq!(Peer::start(&mut command).finish(), "done\n");
    let theirs = world.state()["asked"].clone();
    let ours = ours(&mut world);
    let forms = |asked: &Value| -> BTreeSet<(String, String)> {
        asked.as_array().unwrap().iter().filter(|one| one["status"] != 400).map(request).collect()
    };
    let (ours, theirs) = (forms(&ours), forms(&theirs));
    let unknown: Vec<_> = ours.difference(&theirs).collect();
    assert!(unknown.is_empty(), "nobody else asks {unknown:#?}, but {theirs:#?}");
    let methods: BTreeSet<&str> = ours.iter().map(|(what, _)| what.as_str()).collect();
    let all = [
        "DELETE /client/v4/zones/{id}/dns_records/{id}",
        "GET /api/v1/domains/",
        "GET /api/v1/domains/sec.example/rrsets/",
        "GET /client/v4/zones",
        "GET /client/v4/zones/{id}/dns_records",
        "POST /client/v4/zones/{id}/dns_records",
        "POST /update",
        "PATCH /api/v1/domains/sec.example/rrsets/",
    ];
    assert_eq!(methods, BTreeSet::from(all));
}

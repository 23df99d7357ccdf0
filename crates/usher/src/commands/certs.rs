//! `usher certs`

use serde_json::Value;

use super::admin_client::Asked;
use crate::cli::CertsArgs;
use crate::terminal::{Failure, print, say};

pub(super) fn run(args: &CertsArgs) -> Result<(), Failure> {
    let asked = match &args.admin {
        Some(address) => Asked::named(address.clone()),
        None => Asked::configured(&args.config)?,
    };
    if let Some(name) = &args.renew {
        return renew(&asked, name);
    }
    let (status, body) = asked.ask("GET", "/certificates")?;
    let parsed = serde_json::from_str::<Value>(&body).ok().filter(|_| status == 200);
    let all = parsed.as_ref().and_then(Value::as_array);
    let all = all.ok_or_else(|| Failure::Message(format!("the answer cannot be read: status {status}")))?;
    if args.json {
        return print(format!("{}\n", serde_json::to_string_pretty(all).unwrap_or(body)));
    }
    if all.is_empty() {
        return print("no certificates: no listener has `tls`, or no route on one names a host\n");
    }
    print(table(all))
}

fn renew(asked: &Asked, name: &str) -> Result<(), Failure> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':');
    if name.is_empty() || !name.chars().all(named) {
        return Err(Failure::Message(format!("`{name}` is not the name of a certificate")));
    }
    let (status, body) = asked.ask("POST", &format!("/certificates/renew?name={name}"))?;
    if status == 200 {
        return print(&body);
    }
    say(&body);
    Err(Failure::Said)
}

/// One paragraph for each, so that long errors have room.
fn table(all: &[Value]) -> String {
    let mut out = String::new();
    for one in all {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let names = one["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        let state = text("state");
        out += &format!("{}  {state}, by {}\n", names.join(", "), text("authority"));
        let mut line = |what: &str, value: &str| {
            if !value.is_empty() {
                out += &format!("    {what:<14}{value}\n");
            }
        };
        line("issuer", text("issuer"));
        line("expires", text("not_after"));
        line("next attempt", text("next_attempt"));
        line("last error", text("last_error"));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table;

    #[test]
    fn shows_what_an_operator_asks_for() {
        let all = [
            json!({"names": ["a.example", "b.example"], "state": "valid", "authority": "letsencrypt", "issuer": "CN=R3",
                   "not_after": "2027-01-01T00:00:00Z", "next_attempt": "2026-12-01T00:00:00Z", "last_error": null}),
            json!({"names": ["c.example"], "state": "failed", "authority": "letsencrypt", "last_error": "no DNS"}),
        ];
        let expected = "a.example, b.example  valid, by letsencrypt\n    issuer        CN=R3\n    \
                        expires       2027-01-01T00:00:00Z\n    next attempt  2026-12-01T00:00:00Z\n\
                        c.example  failed, by letsencrypt\n    last error    no DNS\n";
        assert_eq!(table(&all), expected);
    }
}

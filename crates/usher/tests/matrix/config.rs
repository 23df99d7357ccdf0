//! The proxy's config: for every cluster the same routes.

use std::fmt::Write as _;

use crate::endpoint::Endpoints;
use crate::speech::{ALL, Speech};

/// What holds for all.
const BEGINNING: &str = r#"
automatic_https = false
access_log = "access.log"
workers = 2

[[certificate]]
cert = "cert.pem"
key = "key.pem"
default = true

[[listener]]
name = "front"
bind = "$LISTEN[front]"
tls = true

[[listener]]
name = "plain"
bind = "$LISTEN[plain]"
"#;

/// For each cluster, `NAME`.
const ROUTES: &str = r#"
[[route]]
path = "/to/NAME/*"
cluster = "NAME"

[[route]]
path = "/refused/NAME/*"
cluster = "refusing-NAME"

[[route]]
path = "/strip/NAME/*"
cluster = "NAME"
rewrite = { strip_prefix = "/strip/NAME" }

[route.headers]
request = { set = { X-Set = "by usher" }, remove = ["X-Gone"] }
response = { set = { X-Set = "by usher" }, remove = ["X-Gone"] }

[[route]]
path = "/auth/NAME/*"
cluster = "NAME"
basic_auth = { file = "users.htpasswd", realm = "Matrix" }

[[route]]
path = "/rate/NAME/*"
cluster = "NAME"
rate_limit = { rate = "1/h", burst = 1, per = "header:X-Pair" }

[[route]]
path = "/moved/NAME/*"
redirect = "https://elsewhere.test{request.path}"

[[route]]
path = "/said/NAME/*"
respond = "said by {request.version}"

[[route]]
path = "/files/NAME/*"
static_files = { root = "files" }

[[route]]
path = "/whole/NAME/*"
cluster = "NAME"
buffer_request = "1MiB"

[[route]]
path = "/again/NAME/*"
cluster = "NAME"
retry = { on = ["reset", "refused_stream", 503], tries = 4, non_idempotent = true, backoff = { max = "0s" } }

[[route]]
path = "/mirrored/NAME/*"
cluster = "NAME"
mirror = "shadow-NAME"

[[route]]
path = "/mirrored-whole/NAME/*"
cluster = "NAME"
mirror = { cluster = "shadow-NAME", timeout = "60s" }
buffer_request = "1MiB"
headers = { request = { set = { X-Set = "by usher" } } }

[[route]]
path = "/held/NAME/*"
cluster = "NAME"
retry = { on = "reset", tries = 4, buffer_response = "64KiB", backoff = { max = "0s" } }

[[route]]
path = "/small/NAME/*"
cluster = "NAME"
limits = { body = "1KiB" }
"#;

/// `ada:lovelace`
pub(crate) const USERS: &str = concat!(
    "ada:$6$usherexample1234$",
    "A3YR.JgCys4g.LqL1/6vZzBs/a.VqutY8zr.m5XV1dHjp/iAorzEGOYEzENEjrLXpMni4uUpYeYHIk4u8lcPs1\n"
);

pub(crate) fn config(endpoints: &Endpoints) -> String {
    let mut config = BEGINNING.to_owned();
    for speech in ALL {
        let name = speech.name();
        let (there, nobody) = (endpoints.address(speech), endpoints.refusing(speech));
        let (scheme, protocol) = match speech {
            Speech::H1 => ("https://", "protocol = \"h1\""),
            Speech::H2 => ("https://", "protocol = \"h2\""),
            Speech::H3 => ("https://", "protocol = \"h3\""),
            Speech::Plain => ("", ""),
            Speech::H2c => ("h2c://", ""),
        };
        let tls =
            if scheme == "https://" { "tls = { ca = \"ca.pem\", server_name = \"localhost\" }" } else { "" };
        // Copies have connections of their own, as the clusters of mirrors have.
        let shadow = (format!("shadow-{name}"), there);
        for (cluster, address) in [(name.to_owned(), there), shadow, (format!("refusing-{name}"), nobody)] {
            let endpoints = format!("endpoints = [\"{scheme}{address}\"]");
            let _ = writeln!(config, "[cluster.{cluster}]\n{endpoints}\n{protocol}\n{tls}");
        }
        config.push_str(&ROUTES.replace("NAME", name));
    }
    config
}

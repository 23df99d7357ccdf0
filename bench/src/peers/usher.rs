//! Usher: one worker, everything else as it comes out of the box.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;

use super::{Place, Settings};
use crate::certificate::Files;
use crate::works::Door;

/// Writes the config and gives the arguments.
pub(super) fn configure(place: &Place<'_>, settings: &Settings) -> io::Result<Vec<OsString>> {
    write(place, settings, 0)?;
    Ok(vec!["run".into(), "--config".into(), place.file("usher.toml").into()])
}

/// The host whose redirect names the generation of the config.
pub(crate) const GENERATION_HOST: &str = "generation.example.com";

/// What guards a cluster: as `docs/endpoints.md` has it, with limits that are not reached.
const GUARDS: &str = r#"
health = { path = "/1k", interval = "1s" }
outliers = { slower_than = 10 }
limits = { per_endpoint = 1024, queue = 1024 }
"#;
const RETRY: &str = r#"retry = { on = ["connect_failure", "refused_stream", "reset", "timeout", 502, 503, 504], per_try = "5s" }"#;

/// Writes the config; a route of its own shows which generation serves.
pub(super) fn write(place: &Place<'_>, settings: &Settings, generation: u32) -> io::Result<()> {
    let log = place.file("access.log");
    let log = if settings.access_log {
        format!("{{ path = \"{}\", format = \"combined\" }}", log.display())
    } else {
        "\"off\"".to_owned()
    };
    let listen = place.listen;
    let endpoint = format!("{}{}", if settings.grpc { "h2c://" } else { "" }, settings.endpoint);
    let mut text = format!("workers = 1\naccess_log = {log}\nadmin = \"off\"\n");
    if settings.door.is_encrypted() {
        let Files { certificate, key, .. } = &place.certificate;
        let (certificate, key) = (certificate.display(), key.display());
        let _ = write!(
            text,
            "automatic_https = false\n\n[[certificate]]\ncert = \"{certificate}\"\nkey = \"{key}\"\n\n\
             [[listener]]\nbind = \"{listen}\"\ntls = true\n"
        );
    } else {
        let _ = write!(text, "\n[[listener]]\nbind = \"{listen}\"\n");
    }
    match settings.door {
        Door::Tcp => _ = write!(text, "protocol = \"tcp\"\nto = \"{endpoint}\"\n"),
        _ if settings.guarded => {
            let _ = write!(text, "\n[[route]]\ncluster = \"app\"\n{RETRY}\n");
            let _ = write!(text, "\n[cluster.app]\nendpoints = [\"{endpoint}\"]{GUARDS}");
        }
        _ => _ = write!(text, "\n[[route]]\nto = \"{endpoint}\"\n"),
    }
    for number in 0..settings.extra_routes {
        let route = format!(
            "\n[[route]]\nhost = \"site-{number}.example.com\"\npath = \"/app-{}/*\"\nto = \"{endpoint}\"\n",
            number % 100
        );
        text.push_str(&route);
    }
    if settings.extra_routes > 0 {
        let _ = write!(
            text,
            "\n[[route]]\nhost = \"{GENERATION_HOST}\"\n\
             redirect = {{ to = \"https://example.com/{generation}\", status = 308 }}\n"
        );
    }
    fs::write(place.file("usher.toml"), text)
}

//! Sockets that a service manager opened before it started this process (sd_listen_fds(3)).

use std::env;
use std::io;

use crate::listen::Inherited;
use crate::sys::inherited_descriptors;

/// Sockets that are taken; those beyond are left alone. systemd's own limit is lower.
const MAX_ACTIVATED: usize = 1024;

/// The sockets that `LISTEN_FDS` announces, if `LISTEN_PID` says that they are meant for this process; named as
/// `LISTEN_FDNAMES` says. What cannot be listened on is an error, with its name. The second call gives none.
pub fn activated() -> Vec<Result<Inherited, (String, io::Error)>> {
    let number = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    let is_ours = number("LISTEN_PID") == Some(std::process::id());
    let Some(count) = number("LISTEN_FDS").filter(|_| is_ours) else { return Vec::new() };
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let count = usize::try_from(count).unwrap_or(MAX_ACTIVATED).min(MAX_ACTIVATED);
    let named = inherited_descriptors(count).into_iter().map(|found| {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
        found.and_then(|descriptor| Inherited::new(descriptor, &name, false)).map_err(|error| (name, error))
    });
    named.collect()
}

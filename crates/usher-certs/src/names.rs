//! Names of certificates: what is one, which are internal, what a wildcard covers, and what their folders are called.

use std::fmt;
use std::net::IpAddr;

/// The longest DNS name in text (RFC 1035 section 2.3.4), without the root's dot.
const MAX_NAME: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// Names below these are of the machine or the home network: no public CA signs them (RFC 6761, RFC 6762, RFC 8375, and
/// ICANN's reservation of `internal`).
const INTERNAL_SUFFIXES: [&str; 6] = ["localhost", "internal", "local", "test", "home.arpa", "localdomain"];

/// Why a name cannot be that of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameError {
    name: String,
    why: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be the name of a certificate: {}", self.name.escape_default(), self.why)
    }
}

impl std::error::Error for NameError {}

/// The name as it is compared and stored: lower case, no trailing dot; addresses in their canonical text.
pub(crate) fn normalize(name: &str) -> Result<String, NameError> {
    let error = |why| NameError { name: name.chars().take(MAX_NAME).collect(), why };
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let lower = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if lower.is_empty() {
        return Err(error("it is empty"));
    }
    if lower.len() > MAX_NAME {
        return Err(error("it is longer than 253 characters"));
    }
    if !lower.is_ascii() {
        return Err(error("write it in its ASCII form, `xn--…`"));
    }
    let host = lower.strip_prefix("*.").unwrap_or(&lower);
    if host.contains('*') {
        return Err(error("`*` can only be the whole first label"));
    }
    for label in host.split('.') {
        check_label(label).map_err(error)?;
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error("it ends in a number but is no address"));
    }
    Ok(lower)
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("it has an empty label");
    }
    if label.len() > MAX_LABEL {
        return Err("it has a label of more than 63 characters");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins or ends with `-`");
    }
    if !label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err("it has a character other than letters, digits, `-` and `.`");
    }
    Ok(())
}

/// No public CA signs it: an address, a single label, or below a suffix that is reserved for local use.
pub(crate) fn is_internal(name: &str) -> bool {
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    !host.contains('.')
        || INTERNAL_SUFFIXES.iter().any(|suffix| {
            host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// The wildcard that would cover this name: `*.` instead of its first label. None for wildcards, addresses and single labels.
pub(crate) fn covering_wildcard(name: &str) -> Option<String> {
    if name.starts_with("*.") || name.parse::<IpAddr>().is_ok() {
        return None;
    }
    let (_, rest) = name.split_once('.')?;
    Some(format!("*.{rest}"))
}

/// Whether a certificate with the names `have` is good for `name` (RFC 9525 section 6.3).
pub(crate) fn covers(have: &[String], name: &str) -> bool {
    let wildcard = covering_wildcard(name);
    have.iter().any(|one| one == name || Some(one) == wildcard.as_ref())
}

/// The folder of a certificate whose first name this is: unique per name, and a single safe path segment.
pub(crate) fn folder(name: &str) -> String {
    if name.parse::<IpAddr>().is_ok() {
        return format!("_ip.{}", name.replace(':', "_"));
    }
    match name.strip_prefix("*.") {
        Some(host) => format!("_wildcard.{host}"),
        None => name.to_owned(),
    }
}

/// The name of the reverse zone, which stands for an address in SNI (RFC 8738 section 6).
pub(crate) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles =
                v6.octets().into_iter().rev().map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            format!("{}ip6.arpa", nibbles.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes_or_refuses() {
        let good = [
            ("Example.COM.", "example.com"),
            ("*.example.com", "*.example.com"),
            ("[::1]", "::1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ];
        for (name, wanted) in good {
            assert_eq!(normalize(name).as_deref(), Ok(wanted));
        }
        let long = format!("{}.example.com", "a".repeat(64));
        let bad = [
            "",
            ".",
            "a..b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "../etc",
            "a/b",
            "*",
            "a.*.com",
            "*.*.com",
            "bücher.example",
            "1.2.3",
            "1.2.3.4.5",
            "a b.com",
            "a\0.com",
            &long,
        ];
        for name in bad {
            assert!(normalize(name).is_err(), "{name}");
        }
    }

    #[test]
    fn knows_internal_names() {
        for name in [
            "localhost",
            "a.localhost",
            "*.localhost",
            "x.internal",
            "printer",
            "10.0.0.1",
            "::1",
            "n.home.arpa",
        ] {
            assert!(is_internal(name), "{name}");
        }
        for name in ["example.com", "notlocalhost.com", "mylocal.example", "xinternal.de", "arpa.home"] {
            assert!(!is_internal(name), "{name}");
        }
    }

    #[test]
    fn wildcards_cover_one_label() {
        let have = ["*.example.com".to_owned(), "b.org".to_owned()];
        for (name, covered) in [
            ("a.example.com", true),
            ("example.com", false),
            ("a.b.example.com", false),
            ("b.org", true),
            ("a.b.org", false),
        ] {
            assert_eq!(covers(&have, name), covered, "{name}");
        }
    }

    #[test]
    fn folders_are_single_segments() {
        assert_eq!(folder("*.example.com"), "_wildcard.example.com");
        assert_eq!(folder("2001:db8::1"), "_ip.2001_db8__1");
        assert_eq!(folder("example.com"), "example.com");
    }

    #[test]
    fn reverses_addresses() {
        assert_eq!(reverse("127.0.0.2".parse().unwrap()), "2.0.0.127.in-addr.arpa");
        let v6 = reverse("2001:db8::1".parse().unwrap());
        assert!(v6.starts_with("1.0.0.0.0.0.") && v6.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
    }
}

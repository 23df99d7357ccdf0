//! From the config to what the thread that obtains certificates is told.

use std::path::PathBuf;

use usher_certs::dns::{self, DnsOptions};
use usher_certs::{
    Authority, CertificateFile, ChallengeKind, ExternalAccount, KeyType, Level, Logger, Managed,
    OnDemandOptions, Options, Propagation,
};
use usher_config::config::{self, Automatic, DnsProvider, DnsProviderName};
use usher_config::value::Secret;
use usher_config::{Diagnostic, Loaded, Spanned};

use super::names;
use crate::log;

/// Where certificates are kept if the config does not say.
const SYSTEM_STORAGE: &str = "/var/lib/usher";

/// What is wanted, and what about it is likely not meant so.
pub(crate) fn options(loaded: &Loaded) -> (Options, Vec<Diagnostic>) {
    let config = &loaded.config;
    let mut found = Vec::new();
    let mut options = Options::new(storage(config));
    options.log = Logger::new(|level, line| match level {
        Level::Debug => {}
        Level::Info => log::info(format_args!("{line}")),
        Level::Warn => log::warn(format_args!("{line}")),
        Level::Error => log::error(format_args!("{line}")),
    });
    options.ocsp = config.tls.ocsp_stapling;
    let file = |one: &Spanned<config::Certificate>| CertificateFile {
        chain: one.cert.value.clone(),
        key: one.key.value.clone(),
        default: one.default,
    };
    options.files = config.certificates.iter().map(file).collect();
    if let Some(automatic) = config.automatic_https.on() {
        automatic_options(automatic, &mut options, &mut found);
        let wanted = names::wanted(config, automatic, &mut found);
        options.managed = wanted.iter().map(|name| Managed::name(name)).collect();
    }
    (options, found)
}

/// Where certificates and keys are kept.
pub(crate) fn storage(config: &config::Config) -> PathBuf {
    let named = config.automatic_https.on().and_then(|automatic| automatic.storage.as_ref());
    if let Some(path) = named {
        return path.value.clone();
    }
    if rustix::process::geteuid().is_root() {
        return SYSTEM_STORAGE.into();
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home).map_or_else(|| SYSTEM_STORAGE.into(), |folder| folder.join("usher"))
}

fn automatic_options(automatic: &Automatic, options: &mut Options, found: &mut Vec<Diagnostic>) {
    options.email.clone_from(&automatic.email);
    options.key_type = match automatic.key_type {
        config::KeyType::EcdsaP256 => KeyType::EcdsaP256,
        config::KeyType::EcdsaP384 => KeyType::EcdsaP384,
        config::KeyType::Rsa2048 => KeyType::Rsa2048,
    };
    let challenge = |kind: &Spanned<config::ChallengeKind>| match kind.value {
        config::ChallengeKind::Http01 => ChallengeKind::Http01,
        config::ChallengeKind::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        config::ChallengeKind::Dns01 => ChallengeKind::Dns01,
    };
    options.challenges = automatic.challenges.iter().map(challenge).collect();
    options.renewal_share = automatic.renew_at.map(|share| share.fraction());
    options.authorities = automatic.ca.iter().map(|ca| authority(ca, found)).collect();
    if let (Some(first), None) = (automatic.challenges.first(), &automatic.dns)
        && automatic.challenges.iter().all(|kind| kind.value == config::ChallengeKind::Dns01)
    {
        let error =
            Diagnostic::error("nobody is named who writes the records of `dns-01`").at(first.span, "");
        found.push(error.help("set `automatic_https.dns`, or allow another challenge"));
    }
    if let Some(provider) = &automatic.dns {
        options.propagation = propagation(provider, found);
        options.follow_cname = provider.follow_cname;
        match dns_options(provider) {
            Ok(dns) => options.dns = Some(dns),
            Err(missing) => {
                let name = provider.provider.name();
                let error = Diagnostic::error(format!("the DNS provider `{name}` needs `{missing}`"));
                found.push(error.at(provider.span, ""));
            }
        }
    }
    options.on_demand = automatic.on_demand.as_ref().map(|on_demand| {
        if on_demand.ask.is_none() && on_demand.hosts.is_empty() {
            let error = Diagnostic::error("`on_demand` must say which hosts are ours").at(on_demand.span, "");
            found.push(
                error.help("set `ask` or `hosts`: without them anybody could have certificates obtained"),
            );
        }
        OnDemandOptions {
            ask: on_demand.ask.as_ref().map(|url| url.value.clone()),
            allow: on_demand.hosts.iter().map(|host| host.value.clone()).collect(),
            rate: on_demand.rate.count,
            per: on_demand.rate.per,
            max_names: on_demand.max as usize,
        }
    });
}

fn authority(ca: &config::CertificateAuthority, found: &mut Vec<Diagnostic>) -> Authority {
    let known = Authority::KNOWN.iter().any(|(name, _)| *name == ca.directory.value);
    if !known && !ca.directory.starts_with("https://") {
        let names: Vec<String> = Authority::KNOWN.iter().map(|(name, _)| format!("`{name}`")).collect();
        let error = Diagnostic::error(format!("`{}` is not a certificate authority", ca.directory.value));
        let help = format!("write one of {}, or the address of a directory: `https://…`", names.join(", "));
        found.push(error.at(ca.directory.span, "").help(help));
    }
    let roots = ca.roots.as_ref().and_then(|path| {
        let read = std::fs::read(&path.value);
        let error = |why| {
            Diagnostic::error(format!("cannot read `{}`: {why}", path.value.display())).at(path.span, "")
        };
        read.map_err(|why| found.push(error(why))).ok()
    });
    let external_account = match (&ca.eab_key_id, &ca.eab_hmac_key) {
        (Some(key_id), Some(hmac_key)) => {
            Some(ExternalAccount { key_id: key_id.clone(), hmac_key: hmac_key.expose().to_owned() })
        }
        (None, None) => None,
        _ => {
            let error = Diagnostic::error("`eab_key_id` and `eab_hmac_key` go together");
            found.push(error.at(ca.directory.span, "only one of them is set here"));
            None
        }
    };
    Authority {
        directory: ca.directory.value.clone(),
        roots,
        external_account,
        profile: ca.profile.clone(),
        preferred_chain: ca.preferred_chain.clone(),
    }
}

fn propagation(provider: &DnsProvider, found: &mut Vec<Diagnostic>) -> Propagation {
    let mut resolvers = Vec::new();
    for server in &provider.resolvers {
        let with_port = || format!("{}:53", server.value);
        match server.value.parse().or_else(|_| with_port().parse()) {
            Ok(address) => resolvers.push(address),
            Err(_) => {
                let error =
                    Diagnostic::error(format!("`{}` is not the address of a name server", server.value));
                found.push(error.at(server.span, "").help("write `192.0.2.1` or `192.0.2.1:53`"));
            }
        }
    }
    Propagation { limit: provider.propagation, resolvers, ..Propagation::default() }
}

/// The options of a DNS provider; or the name of a key that is missing.
fn dns_options(provider: &DnsProvider) -> Result<DnsOptions, &'static str> {
    let secret =
        |secret: &Option<Secret>, name| secret.as_ref().map(|text| text.expose().to_owned()).ok_or(name);
    let base = provider.url.as_ref().map(|url| url.value.trim_end_matches('/').to_owned());
    Ok(match provider.provider {
        DnsProviderName::Command => {
            let words = provider.command.as_ref().ok_or("command")?;
            let (program, arguments) = words.split_first().ok_or("command")?;
            let mut options = dns::CommandOptions::new(program);
            options.arguments = arguments.to_vec();
            DnsOptions::Command(options)
        }
        DnsProviderName::Cloudflare => {
            let mut options = dns::CloudflareOptions::new(secret(&provider.token, "token")?);
            options.zone_id.clone_from(&provider.zone);
            options.base = base.unwrap_or(options.base);
            DnsOptions::Cloudflare(options)
        }
        DnsProviderName::Desec => {
            let mut options = dns::DeSecOptions::new(secret(&provider.token, "token")?);
            options.base = base.unwrap_or(options.base);
            DnsOptions::DeSec(options)
        }
        DnsProviderName::Route53 => {
            let key = provider.access_key_id.as_ref().ok_or("access_key_id")?;
            let mut options =
                dns::Route53Options::new(key, secret(&provider.secret_access_key, "secret_access_key")?);
            options.zone_id.clone_from(&provider.zone);
            if provider.session_token.is_some() {
                options.session_token = Some(secret(&provider.session_token, "session_token")?);
            }
            options.base = base.unwrap_or(options.base);
            DnsOptions::Route53(options)
        }
        DnsProviderName::AcmeDns => DnsOptions::AcmeDns(dns::AcmeDnsOptions {
            base: base.ok_or("url")?,
            username: provider.username.clone().ok_or("username")?,
            password: secret(&provider.password, "password")?,
            subdomain: provider.subdomain.clone().ok_or("subdomain")?,
        }),
        DnsProviderName::Rfc2136 => DnsOptions::Rfc2136(rfc2136(provider)?),
    })
}

fn rfc2136(provider: &DnsProvider) -> Result<dns::Rfc2136Options, &'static str> {
    let server = provider.server.as_ref().ok_or("server")?;
    let with_port = || format!("{}:53", server.value).parse();
    let algorithm = match provider.key_algorithm {
        None | Some(config::TsigAlgorithm::HmacSha256) => dns::TsigAlgorithm::HmacSha256,
        Some(config::TsigAlgorithm::HmacSha384) => dns::TsigAlgorithm::HmacSha384,
        Some(config::TsigAlgorithm::HmacSha512) => dns::TsigAlgorithm::HmacSha512,
    };
    Ok(dns::Rfc2136Options {
        server: server.value.parse().or_else(|_| with_port()).map_err(|_| "server = \"192.0.2.1:53\"")?,
        zone: provider.zone.clone(),
        key_name: provider.key_name.clone().ok_or("key_name")?,
        secret: provider.key.as_ref().ok_or("key")?.expose().to_owned(),
        algorithm,
    })
}

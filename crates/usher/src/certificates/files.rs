//! Certificates from files, as they are when the config is read.

use std::path::Path;
use std::time::{Duration, SystemTime};

use usher_config::config::{Certificate as Section, Config};
use usher_config::{Diagnostic, Spanned};
use usher_net::tls::Certificate;

/// What is wrong with them.
pub(super) fn findings(config: &Config) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = config.certificates.iter().filter_map(problem).collect();
    let mut defaults = config.certificates.iter().filter(|one| one.default);
    if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
        let error = Diagnostic::error("only one certificate can be the default");
        found.push(error.at(second.cert.span, "this one too").at(first.cert.span, "the first"));
    }
    found
}

fn problem(section: &Spanned<Section>) -> Option<Diagnostic> {
    let (chain, key) = match (read(&section.cert.value), read(&section.key.value)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (Err(why), _) => return Some(Diagnostic::error(why).at(section.cert.span, "")),
        (_, Err(why)) => return Some(Diagnostic::error(why).at(section.key.span, "")),
    };
    let error = match Certificate::from_pem(&chain, &key) {
        Ok(certificate) => return out_of_date(section, &certificate),
        Err(error) => error,
    };
    let (place, path) = match error.is_about_key() {
        true => (section.key.span, &section.key.value),
        false => (section.cert.span, &section.cert.value),
    };
    Some(Diagnostic::error(format!("`{}` cannot be used: {error}", path.display())).at(place, ""))
}

/// That clients refuse it for its dates.
fn out_of_date(section: &Spanned<Section>, certificate: &Certificate) -> Option<Diagnostic> {
    let (now, path) = (SystemTime::now(), section.cert.value.display());
    let days = |span: Duration| match span.as_secs() / 86_400 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let said = if let Ok(since) = now.duration_since(certificate.not_after()) {
        format!("`{path}` expired {} ago", days(since))
    } else if let Ok(until) = certificate.not_before().duration_since(now) {
        format!("`{path}` is not valid yet, for {}", days(until))
    } else {
        return None;
    };
    let found = Diagnostic::warning(said).at(section.cert.span, "clients refuse it");
    Some(found.help("put a new one in its place: it is taken within seconds, without a reload"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

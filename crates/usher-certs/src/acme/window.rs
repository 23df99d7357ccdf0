//! When a CA suggests to renew a certificate (ACME Renewal Information, RFC 9773).

use std::time::SystemTime;

use instant_acme::{CertificateIdentifier, Error};
use usher_net::tls::Certificate;

use super::{Failure, Surroundings, account};
use crate::options::{Authority, Options};
use crate::random::fraction;
use crate::renewal::{choose, window_check};
use crate::storage::Window;

/// How the CA names a certificate (section 4.1). None for certificates without the identifier of their issuer's key.
pub(super) fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let leaf = certificate.der_chain().first()?;
    CertificateIdentifier::try_from(leaf).ok().map(CertificateIdentifier::into_owned)
}

/// Asks the CA for the window of a certificate. None if it has none to give, and will not soon.
pub(crate) async fn renewal_window(
    around: &Surroundings,
    options: &Options,
    authority: &Authority,
    (certificate, before): (&Certificate, Option<&Window>),
) -> Result<Option<Window>, Failure> {
    let Some(identifier) = identifier(certificate) else { return Ok(None) };
    let session = account::open(around, authority, options.email.as_deref()).await?;
    match session.account.renewal_info(&identifier).await {
        Ok((info, retry_after)) => {
            let window =
                (SystemTime::from(info.suggested_window.start), SystemTime::from(info.suggested_window.end));
            let check = window_check(options.clock.now(), retry_after);
            Ok(choose(window, check, before, fraction()))
        }
        Err(Error::Unsupported(_)) => Ok(None),
        Err(error) => Err(session.failure("ask when to renew", &error)),
    }
}

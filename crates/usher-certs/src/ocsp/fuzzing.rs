//! OCSP responses, as the fuzz target `ocsp_response` sees them.

use std::time::SystemTime;

use super::der::{Der, SEQUENCE};
use super::{answer_in, certificate_id, check};

/// From when until when a response, signed by the issuer, says that the certificate is good.
pub fn good(der: &[u8], leaf: &[u8], issuer: &[u8], now: SystemTime) -> Option<(SystemTime, SystemTime)> {
    let staple = check(der, (&certificate_id(leaf, issuer)?, issuer), now).ok()?;
    Some((staple.since, staple.until))
}

/// The same of what would be signed, whoever has signed it.
pub fn good_unsigned(
    data: &[u8],
    leaf: &[u8],
    issuer: &[u8],
    now: SystemTime,
) -> Option<(SystemTime, SystemTime)> {
    let data = Der::new(data).take(SEQUENCE)?;
    answer_in(&data, &certificate_id(leaf, issuer)?, now).ok()
}

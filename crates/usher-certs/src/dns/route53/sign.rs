//! AWS Signature Version 4. Route 53 is a global service: its region is `us-east-1`.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

use super::Route53Options;
use crate::encoding::hex;
use crate::time::civil;

const REGION: &str = "us-east-1";
const SERVICE: &str = "route53";

/// What is signed of a request.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Escaped.
    pub(super) path: &'a str,
    /// Escaped, in order of names.
    pub(super) query: &'a str,
    pub(super) body: &'a str,
}

/// The fields that prove it.
pub(super) struct Signed {
    pub(super) authorization: String,
    pub(super) date: String,
}

fn mac(key: &[u8], data: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes()).as_ref().to_vec()
}

fn hash(data: &str) -> String {
    hex(digest(&SHA256, data.as_bytes()).as_ref())
}

pub(super) fn sign(request: &Signable<'_>, options: &Route53Options, now: SystemTime) -> Signed {
    sign_for(request, options, now, (REGION, SERVICE))
}

fn sign_for(
    request: &Signable<'_>,
    options: &Route53Options,
    now: SystemTime,
    (region, service): (&str, &str),
) -> Signed {
    let (year, month, day, hour, minute, second) = civil(now);
    let today = format!("{year:04}{month:02}{day:02}");
    let date = format!("{today}T{hour:02}{minute:02}{second:02}Z");
    let mut fields = format!("host:{}\nx-amz-date:{date}\n", request.host);
    let mut names = "host;x-amz-date".to_owned();
    if let Some(token) = &options.session_token {
        fields.push_str(&format!("x-amz-security-token:{token}\n"));
        names.push_str(";x-amz-security-token");
    }
    let Signable { method, path, query, body, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{fields}\n{names}\n{}", hash(body));
    let scope = format!("{today}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&canonical));
    let key = format!("AWS4{}", options.secret_key).into_bytes();
    let key = [today.as_str(), region, service, "aws4_request"].iter().fold(key, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        options.access_key
    );
    Signed { authorization, date }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_civil;

    /// The case `get-vanilla` of the test suite that AWS publishes for Signature Version 4.
    #[test]
    fn signs_as_published() {
        let options = Route53Options::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let request =
            Signable { method: "GET", host: "example.amazonaws.com", path: "/", query: "", body: "" };
        let now = from_civil(2015, 8, 30, 12 * 3600 + 36 * 60).unwrap();
        let signed = sign_for(&request, &options, now, ("us-east-1", "service"));
        assert_eq!(signed.date, "20150830T123600Z");
        assert_eq!(
            signed.authorization,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }
}

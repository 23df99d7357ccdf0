//! From what a CA says to a sentence that an operator can act on.

use std::time::SystemTime;

use instant_acme::{Error, Problem};

use crate::http::{HttpError, excerpt};
use crate::options::ChallengeKind;

/// What kind of failure it was: decides what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The CA did not see the answer to this challenge; another one may work.
    Validation(ChallengeKind),
    /// The CA does not offer this challenge; it has looked at nothing, so that the order is as good as before.
    NotOffered,
    /// The CA has had enough, for this name or this account.
    RateLimited,
    /// The CA is overloaded or cannot be reached.
    Unavailable,
    /// The CA refuses; trying the same again will not help soon.
    Refused,
    /// The account is not known to the CA any more.
    AccountLost,
    /// Something on this side: storage, DNS host, options.
    Local,
}

/// Why there is no certificate.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// What happened and what to do.
    pub(crate) sentence: String,
    /// The CA said to come back then.
    pub(crate) retry_after: Option<SystemTime>,
}

impl Failure {
    pub(crate) fn local(sentence: impl Into<String>) -> Self {
        Self { kind: FailureKind::Local, sentence: sentence.into(), retry_after: None }
    }
}

const URN: &str = "urn:ietf:params:acme:error:";

/// The kind of a problem without its namespace: `rateLimited`.
pub(crate) fn problem_type(problem: &Problem) -> &str {
    let full = problem.r#type.as_deref().unwrap_or_default();
    full.strip_prefix(URN).unwrap_or(full)
}

/// Whether it is this problem.
pub(crate) fn is_problem(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem_type(problem) == kind)
}

/// Whether what was asked for is not there, or not ours: by a problem document or by a bare status.
pub(crate) fn is_unknown(error: &Error) -> bool {
    let status = match error {
        Error::Api(problem) if matches!(problem_type(problem), "rateLimited" | "serverInternal") => {
            return false;
        }
        Error::Api(problem) => problem.status.unwrap_or(400),
        Error::Other(other) => {
            other.downcast_ref::<HttpError>().and_then(|http| http.status).unwrap_or_default()
        }
        _ => 0,
    };
    (400..500).contains(&status) && status != 429
}

/// The CA's own words, with those for each name.
fn detail(problem: &Problem) -> String {
    let mut text = problem.detail.clone().unwrap_or_else(|| problem_type(problem).to_owned());
    for sub in problem.subproblems.iter().take(5) {
        if let Some(detail) = &sub.detail {
            text.push_str("; ");
            text.push_str(detail);
        }
    }
    excerpt(&text)
}

/// A request to the CA failed, while `doing` something ("order a certificate").
pub(crate) fn request(
    authority: &str,
    doing: &str,
    error: &Error,
    retry_after: Option<SystemTime>,
) -> Failure {
    match error {
        Error::Api(problem) => refused(authority, doing, problem, retry_after),
        Error::Other(other) => match other.downcast_ref::<HttpError>() {
            Some(http) => Failure {
                kind: FailureKind::Unavailable,
                sentence: format!("cannot {doing} at `{authority}`: {http}"),
                retry_after: http.retry_after,
            },
            None => unavailable(authority, doing, &other.to_string(), retry_after),
        },
        Error::Timeout(_) => {
            unavailable(authority, doing, "it did not come to an end in time; it is tried again", retry_after)
        }
        other => unavailable(authority, doing, &other.to_string(), retry_after),
    }
}

fn unavailable(authority: &str, doing: &str, what: &str, retry_after: Option<SystemTime>) -> Failure {
    let sentence = format!("cannot {doing} at `{authority}`: {}", excerpt(what));
    Failure { kind: FailureKind::Unavailable, sentence, retry_after }
}

fn refused(authority: &str, doing: &str, problem: &Problem, retry_after: Option<SystemTime>) -> Failure {
    let (kind, advice) = match problem_type(problem) {
        "rateLimited" => (FailureKind::RateLimited, "it is asked again when it said so"),
        "serverInternal" => (FailureKind::Unavailable, "the fault is on its side; it is tried again"),
        "badNonce" => (FailureKind::Unavailable, "it is tried again"),
        "accountDoesNotExist" => (FailureKind::AccountLost, "a new account is made at the next attempt"),
        "externalAccountRequired" => (
            FailureKind::Refused,
            "this CA wants an external account: set its key id and HMAC key, which its web page gives out",
        ),
        "rejectedIdentifier" => {
            (FailureKind::Refused, "it does not sign this name: use another CA, or the internal one")
        }
        "caa" => (FailureKind::Refused, "add this CA to the CAA records of the domain, or use another"),
        "userActionRequired" => (FailureKind::Refused, "its terms have changed: see the link in its message"),
        "invalidContact" | "unsupportedContact" => (FailureKind::Refused, "correct the email address"),
        "invalidProfile" => (FailureKind::Refused, "use a profile that this CA offers, or none"),
        "unauthorized" if doing.contains("account") => {
            (FailureKind::Refused, "check the key id and HMAC key of the external account")
        }
        // What a CA says of an account that was deactivated (RFC 8555 section 7.3.6).
        "unauthorized" => (
            FailureKind::Refused,
            "if the account was deactivated there, move its `account.json` out of the storage, and another one is made",
        ),
        _ if problem.status == Some(503) => (FailureKind::Unavailable, "it is tried again"),
        _ => (FailureKind::Refused, "it is tried again, less and less often"),
    };
    let sentence = format!(
        "cannot {doing}: `{authority}` says: {} ({}); {advice}",
        detail(problem),
        problem_type(problem)
    );
    Failure { kind, sentence, retry_after }
}

/// A challenge was not seen by the CA.
pub(crate) fn validation(
    authority: &str,
    name: &str,
    challenge: ChallengeKind,
    problem: Option<&Problem>,
) -> Failure {
    let what = match problem {
        Some(problem) => format!("{} ({})", detail(problem), problem_type(problem)),
        None => "no reason given".to_owned(),
    };
    let advice = match (challenge, problem.map(problem_type).unwrap_or_default()) {
        (_, "caa") => "the CAA records of the domain do not allow this CA: add it, or use another".to_owned(),
        (_, "dns") if challenge != ChallengeKind::Dns01 => {
            format!("does `{name}` have an address record that points here?")
        }
        (ChallengeKind::Http01, "connection") => format!(
            "the CA could not reach `http://{name}/.well-known/acme-challenge/`: is port 80 open, and does `{name}` point here?"
        ),
        (ChallengeKind::Http01, _) => format!(
            "somebody else answered `http://{name}/.well-known/acme-challenge/`: does `{name}` point here, at every address \
             it has, and is no other server before this one?"
        ),
        (ChallengeKind::TlsAlpn01, "connection" | "tls") => format!(
            "the CA could not speak TLS with `{name}` on port 443: is the port open, does `{name}` point here, and does \
             nothing before this server end TLS?"
        ),
        (ChallengeKind::TlsAlpn01, _) => {
            format!("somebody else answered `{name}` on port 443: does something before this server end TLS?")
        }
        (ChallengeKind::Dns01, _) => format!(
            "the CA did not find the TXT record `_acme-challenge.{}`: is it the right zone, and is the time to wait for \
             propagation long enough?",
            name.trim_start_matches("*.")
        ),
    };
    Failure {
        kind: FailureKind::Validation(challenge),
        sentence: format!(
            "`{authority}` could not validate `{name}` by {}: {what}; {advice}",
            challenge.as_str()
        ),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Problem {
        let text = serde_json::json!({ "type": format!("{URN}{kind}"), "detail": detail }).to_string();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn says_what_to_do_about_a_challenge() {
        let cases = [
            (ChallengeKind::Http01, "connection", "is port 80 open"),
            (ChallengeKind::Http01, "unauthorized", "somebody else answered"),
            (ChallengeKind::Http01, "dns", "address record"),
            (ChallengeKind::TlsAlpn01, "tls", "port 443"),
            (ChallengeKind::Dns01, "unauthorized", "`_acme-challenge.a.example`"),
            (ChallengeKind::Dns01, "caa", "CAA records"),
        ];
        for (challenge, kind, part) in cases {
            let failure = validation("ca", "a.example", challenge, Some(&problem(kind, "Words of the CA")));
            assert!(failure.sentence.contains(part), "{}", failure.sentence);
            assert!(
                failure.sentence.contains("Words of the CA") && failure.sentence.contains(challenge.as_str())
            );
            assert_eq!(failure.kind, FailureKind::Validation(challenge));
        }
    }

    #[test]
    fn tells_kinds_of_refusals_apart() {
        let cases = [
            ("rateLimited", FailureKind::RateLimited),
            ("serverInternal", FailureKind::Unavailable),
            ("accountDoesNotExist", FailureKind::AccountLost),
            ("rejectedIdentifier", FailureKind::Refused),
            ("strange", FailureKind::Refused),
        ];
        for (kind, wanted) in cases {
            let failure =
                request("ca", "order a certificate", &Error::Api(problem(kind, "x\n\u{1b}[31m")), None);
            assert_eq!(failure.kind, wanted, "{kind}");
            assert!(!failure.sentence.contains(char::is_control));
        }
    }
}

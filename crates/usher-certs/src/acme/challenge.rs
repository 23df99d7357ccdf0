//! The answers to challenges (RFC 8555 section 8, RFC 8737): given, and taken back.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use usher_net::tls::Certificate;

use super::Surroundings;
use super::explain::Failure;
use crate::dns;
use crate::keys;
use crate::names::reverse;
use crate::options::{ChallengeKind, Level, Options};

/// What a CA wants to see for one name.
pub(super) struct Question {
    /// The name, without `*.`.
    pub(super) name: String,
    pub(super) token: String,
    /// The document of HTTP-01.
    pub(super) authorization: String,
    /// SHA-256 of it, for TLS-ALPN-01.
    pub(super) digest: [u8; 32],
    /// The text of the record of DNS-01.
    pub(super) record: String,
}

/// The answers of one order. Those of HTTP-01 and TLS-ALPN-01 are taken back when it is dropped.
pub(super) struct Answers<'a> {
    around: &'a Surroundings,
    options: &'a Options,
    tokens: Vec<String>,
    servers: Vec<String>,
    /// Held while records are there, where only one order can have them.
    turn: Option<OwnedMutexGuard<()>>,
    records: Vec<(String, String)>,
}

/// The record's name.
fn record_name(name: &str) -> String {
    format!("_acme-challenge.{name}")
}

impl<'a> Answers<'a> {
    pub(super) fn new(around: &'a Surroundings, options: &'a Options) -> Self {
        Self { around, options, tokens: Vec::new(), servers: Vec::new(), turn: None, records: Vec::new() }
    }

    /// Takes over a record that an earlier run has written.
    pub(super) fn adopting(around: &'a Surroundings, options: &'a Options, record: (String, String)) -> Self {
        let mut this = Self::new(around, options);
        this.records.push(record);
        this
    }

    /// The records that giving this answer will write.
    pub(super) fn record_of(kind: ChallengeKind, question: &Question) -> Option<(String, String)> {
        (kind == ChallengeKind::Dns01).then(|| (record_name(&question.name), question.record.clone()))
    }

    pub(super) async fn give(&mut self, kind: ChallengeKind, question: &Question) -> Result<(), Failure> {
        match kind {
            ChallengeKind::Http01 => {
                self.around.challenges.set(&question.token, &question.authorization);
                self.tokens.push(question.token.clone());
                Ok(())
            }
            ChallengeKind::TlsAlpn01 => self.give_certificate(question),
            ChallengeKind::Dns01 => self.write_record(question).await,
        }
    }

    fn give_certificate(&mut self, question: &Question) -> Result<(), Failure> {
        let broken =
            |error: String| Failure::local(format!("cannot make the certificate of a challenge: {error}"));
        let (chain, key) =
            keys::challenge(&question.name, &question.digest).map_err(|error| broken(error.to_string()))?;
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        let server = match question.name.parse::<IpAddr>() {
            Ok(address) => reverse(address),
            Err(_) => question.name.clone(),
        };
        self.around.certificates.set_challenge(&server, Arc::new(certificate));
        self.servers.push(server);
        Ok(())
    }

    fn provider(&self) -> Result<Rc<dns::Shared>, Failure> {
        let none = || Failure::local("DNS-01 is needed, but nothing says how records are written (`dns`)");
        self.around.provider(self.options.dns.as_ref().ok_or_else(none)?)
    }

    async fn write_record(&mut self, question: &Question) -> Result<(), Failure> {
        let name = record_name(&question.name);
        let shared = self.provider()?;
        if self.turn.is_none() {
            self.turn = shared.turn().await;
        }
        // Before it is there: a failure may come after the record was written.
        self.records.push((name.clone(), question.record.clone()));
        let place = self.place(shared.provider(), &name).await;
        if place != name {
            let line = format!("`{name}` is an alias: the TXT record is written at `{place}`");
            self.options.log.write(Level::Info, &line);
        }
        let written = shared.provider().set(&place, &question.record).await;
        written.map_err(|error| Failure::local(format!("cannot write the TXT record `{place}`: {error}")))
    }

    /// Where the record is to be written.
    async fn place(&self, provider: &dyn dns::DnsProvider, name: &str) -> String {
        let followed = match self.options.follow_cname && provider.has_zones() {
            true => dns::target(name).await,
            false => None,
        };
        followed.unwrap_or_else(|| name.to_owned())
    }

    /// Waits until the answers can be seen.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        for (name, value) in &self.records {
            let warning = dns::wait(&self.options.propagation, name, value).await;
            if let Some(warning) = warning.map_err(|error| Failure::local(error.to_string()))? {
                self.options.log.write(Level::Warn, &warning);
            }
        }
        Ok(())
    }

    /// Takes all answers back. Gives the records that could not be removed: they do no harm, so that this only warns.
    pub(super) async fn take_back(mut self) -> Vec<(String, String)> {
        let mut left = Vec::new();
        for (name, value) in std::mem::take(&mut self.records) {
            let removed = match self.provider() {
                Ok(shared) => {
                    let place = self.place(shared.provider(), &name).await;
                    shared.provider().remove(&place, &value).await.map_err(|error| error.to_string())
                }
                Err(failure) => Err(failure.sentence),
            };
            if let Err(error) = removed {
                self.options
                    .log
                    .write(Level::Warn, &format!("cannot remove the TXT record `{name}`: {error}"));
                left.push((name, value));
            }
        }
        left
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.tokens.iter().for_each(|token| self.around.challenges.remove(token));
        self.servers.iter().for_each(|server| self.around.certificates.remove_challenge(server));
    }
}

//! The account at a CA (RFC 8555 section 7.3): made once, kept, and found again.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::{Account, AccountBuilder, AccountCredentials, Error, Key};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::explain::{self, Failure, FailureKind};
use super::transport::Transport;
use super::{Surroundings, bound, steady};
use crate::encoding::{base64_any, base64_encode, base64_url, hex};
use crate::options::{Authority, ExternalAccount};
use crate::storage::Lock;

/// How long to wait for another order, or process, that is making the account.
const LOCK_LIMIT: Duration = Duration::from_secs(60);
const LOCK_EVERY: Duration = Duration::from_millis(100);

/// An account in use by one order.
pub(super) struct Session {
    pub(super) account: Account,
    pub(super) transport: Transport,
    /// The CA's name in messages.
    pub(super) label: String,
    /// Its folder in storage.
    pub(super) folder: String,
}

impl Session {
    /// The failure of a request.
    pub(super) fn failure(&self, doing: &str, error: &Error) -> Failure {
        let retry_after = self.transport.seen().retry_after;
        explain::request(&self.label, doing, error, retry_after)
    }
}

/// The folder of a CA's account: readable, and unique for its directory.
pub(super) fn folder(directory: &str) -> String {
    let host = Authority::named(directory);
    let host: String =
        host.label().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
    let hash = digest(&SHA256, directory.as_bytes());
    format!("accounts/{}-{}", host.trim_start_matches('.'), hex(hash.as_ref().get(..4).unwrap_or_default()))
}

/// Opens the account of this CA, and makes it if there is none.
pub(super) async fn open(
    around: &Surroundings,
    authority: &Authority,
    email: Option<&str>,
) -> Result<Session, Failure> {
    let transport = Transport::new(around.client(authority)?, authority.url(), around.directories.clone());
    let folder = folder(authority.url());
    let opening =
        Opening { around, authority, email, transport: &transport, file: format!("{folder}/account.json") };
    let account = match opening.kept()?.filter(is_made) {
        Some(kept) => opening.restore(kept).await?,
        None => {
            let _lock = opening.lock(&format!("{folder}/lock")).await?;
            opening.account().await?
        }
    };
    Ok(Session { account, transport, label: authority.label().to_owned(), folder })
}

/// The CA does not know the account any more: the next attempt makes another. The file is kept for a look.
pub(super) fn lost(around: &Surroundings, session: &Session) {
    let file = format!("{}/account.json", session.folder);
    // It fails only if another order was faster.
    let _ = around.storage.put_aside(&file);
}

/// Whether the CA has made the account; else there is only its key.
fn is_made(kept: &Value) -> bool {
    kept["credentials"].is_object()
}

struct Opening<'a> {
    around: &'a Surroundings,
    authority: &'a Authority,
    email: Option<&'a str>,
    transport: &'a Transport,
    file: String,
}

impl Opening<'_> {
    async fn lock(&self, file: &str) -> Result<Lock, Failure> {
        let waited = tokio::time::timeout(LOCK_LIMIT, async {
            loop {
                let lock =
                    self.around.storage.lock(file).map_err(|error| Failure::local(error.to_string()))?;
                match lock {
                    Some(lock) => return Ok(lock),
                    None => tokio::time::sleep(LOCK_EVERY).await,
                }
            }
        });
        let busy = |_| {
            Failure::local(format!(
                "another order or process that makes an account has held `{file}` for a minute"
            ))
        };
        waited.await.map_err(busy)?
    }

    fn builder(&self) -> AccountBuilder {
        Account::builder_with_http(Box::new(self.transport.clone()))
    }

    fn failure(&self, doing: &str, error: &Error) -> Failure {
        let retry_after = self.transport.seen().retry_after;
        explain::request(self.authority.label(), doing, error, retry_after)
    }

    /// What is kept; None if there is nothing, or nothing that can be read.
    fn kept(&self) -> Result<Option<Value>, Failure> {
        let bytes = self.around.storage.read(&self.file);
        let bytes = bytes.map_err(|error| Failure::local(error.to_string()))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The account, made if there is none. Whoever calls it has the lock.
    async fn account(&self) -> Result<Account, Failure> {
        let storage = &self.around.storage;
        let local = |error: crate::storage::StorageError| Failure::local(error.to_string());
        let kept = self.kept()?;
        if kept.is_none() && storage.read(&self.file).map_err(local)?.is_some() {
            storage.put_aside(&self.file).map_err(local)?;
        }
        let kept = kept.unwrap_or_default();
        if is_made(&kept) {
            return self.restore(kept).await;
        }
        match &self.authority.external_account {
            Some(external) => self.create_bound(&kept, external).await,
            None => self.create(&kept).await,
        }
    }

    async fn restore(&self, kept: Value) -> Result<Account, Failure> {
        let unreadable = |error: serde_json::Error| {
            let path = self.around.storage.path(&self.file);
            Failure::local(format!(
                "the account in `{}` cannot be read: {error}; move it away",
                path.display()
            ))
        };
        let read = || serde_json::from_value::<AccountCredentials>(kept["credentials"].clone());
        let credentials = read().map_err(unreadable)?;
        let account = self.builder().from_credentials(credentials).await;
        let account = account.map_err(|error| self.failure("open the account", &error))?;
        if kept["contact"].as_str() != self.email {
            self.write_contact(&account).await?;
            self.save(&kept["credentials"])?;
        }
        Ok(account)
    }

    /// The key is kept before the CA hears of it, so that a process that is killed now finds the same account again
    /// (RFC 8555 section 7.3: a known key gives the known account).
    async fn create(&self, kept: &Value) -> Result<Account, Failure> {
        let key = self.key(kept)?;
        let made = steady!(async {
            let der = PrivatePkcs8KeyDer::from(key.clone());
            let pair = (Key::from_pkcs8_der(der.clone_key())?, PrivateKeyDer::Pkcs8(der));
            self.builder().create_from_key(pair, self.authority.url().to_owned()).await
        });
        let (account, credentials) = made.map_err(|error| self.failure("make an account", &error))?;
        if self.email.is_some() {
            self.write_contact(&account).await?;
        }
        self.save(&serde_json::to_value(&credentials).unwrap_or_default())?;
        Ok(account)
    }

    /// The key of an account that is to be made, PKCS#8.
    fn key(&self, kept: &Value) -> Result<Vec<u8>, Failure> {
        if let Some(key) = kept["pending_key"].as_str().and_then(base64_any) {
            return Ok(key);
        }
        let (_, key) = Key::generate_pkcs8().map_err(|error| Failure::local(error.to_string()))?;
        let key = key.secret_pkcs8_der().to_vec();
        self.write(&json!({ "pending_key": base64_encode(&key) }))?;
        Ok(key)
    }

    async fn create_bound(&self, kept: &Value, external: &ExternalAccount) -> Result<Account, Failure> {
        let no_key = || {
            Failure::local(format!("the external account key of `{}` is not base64", self.authority.label()))
        };
        let secret = base64_any(&external.hmac_key).ok_or_else(no_key)?;
        let key = self.key(kept)?;
        let new = bound::NewAccount {
            directory: self.authority.url(),
            key: &key,
            contact: self.email.map(|email| format!("mailto:{email}")),
            binding: (&external.key_id, &secret),
        };
        let http = self.around.client(self.authority)?;
        let id = steady!(new.make(&http)).map_err(|error| self.failure("make an account", &error))?;
        // As the library keeps them.
        let credentials =
            json!({ "id": id, "key_pkcs8": base64_url(&key), "directory": self.authority.url() });
        self.save(&credentials)?;
        self.restore(json!({ "credentials": credentials, "contact": self.email })).await
    }

    async fn write_contact(&self, account: &Account) -> Result<(), Failure> {
        let contact: Vec<String> = self.email.map(|email| format!("mailto:{email}")).into_iter().collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let written = steady!(account.update_contacts(&contact));
        written.map_err(|error| {
            let failure = self.failure("write the account's contact", &error);
            if failure.kind == FailureKind::AccountLost {
                let _ = self.around.storage.put_aside(&self.file);
            }
            failure
        })
    }

    fn save(&self, credentials: &Value) -> Result<(), Failure> {
        self.write(&json!({ "credentials": credentials, "contact": self.email }))
    }

    fn write(&self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(value).unwrap_or_default();
        self.around.storage.write(&self.file, &text).map_err(|error| Failure::local(error.to_string()))
    }
}

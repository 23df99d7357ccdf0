//! An account that is bound to one that its owner has at the CA already (RFC 8555 section 7.3.4).
//!
//! The protocol's library makes the key of such an account itself, and shows it when the CA has made the account. A process
//! that is killed in between would have used up a binding that may be good for once. So this one request is made here,
//! with a key that is kept already: asked again, the CA gives the account of that key (section 7.3.1).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use hyper::header::LOCATION;
use instant_acme::{Error, Problem};
use serde_json::{Value, json};

use crate::encoding::base64_url;
use crate::http::{Http, HttpError, Reply};

/// The bytes of an uncompressed point on P-256: a tag, then x and y of 32 each (SEC 1 section 2.3.3).
const POINT: usize = 65;

/// An account that is to be made.
pub(super) struct NewAccount<'a> {
    /// The address of the CA's directory.
    pub(super) directory: &'a str,
    /// Its own key, PKCS#8.
    pub(super) key: &'a [u8],
    /// Where the CA may write to.
    pub(super) contact: Option<String>,
    /// The identifier and the key that the CA gave.
    pub(super) binding: (&'a str, &'a [u8]),
}

impl NewAccount<'_> {
    /// Its address at the CA.
    pub(super) async fn make(&self, http: &Http) -> Result<String, Error> {
        let directory = get(http, "GET", self.directory).await?.json();
        let (Some(new_account), Some(new_nonce)) =
            (directory["newAccount"].as_str(), directory["newNonce"].as_str())
        else {
            return Err(Error::Str("the directory does not say where accounts are made"));
        };
        let answer = get(http, "HEAD", new_nonce).await?;
        let nonce = answer.headers.get("replay-nonce").and_then(|nonce| nonce.to_str().ok());
        let nonce = nonce.ok_or(Error::Str("there is no nonce"))?;
        let body = self.request(new_account, nonce)?.to_string().into_bytes();
        let fields = [("content-type", "application/jose+json")];
        let reply = http.call("POST", new_account, &fields, body).await.map_err(unreachable)?;
        let reply = checked(reply, new_account)?;
        let place = reply.headers.get(LOCATION).and_then(|place| place.to_str().ok());
        place.map(str::to_owned).ok_or(Error::Str("the CA does not say where the account is"))
    }

    /// The signed request (RFC 7515 section 7.2.2).
    fn request(&self, url: &str, nonce: &str) -> Result<Value, Error> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, self.key);
        let pair = pair.map_err(|_| Error::KeyRejected)?;
        let own = web_key(pair.public_key().as_ref()).ok_or(Error::KeyRejected)?;
        let (id, secret) = self.binding;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let binding = signed(&json!({ "alg": "HS256", "kid": id, "url": url }), &own, |text| {
            Ok(hmac::sign(&secret, text).as_ref().to_vec())
        })?;
        let mut account = json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
        if let Some(contact) = &self.contact {
            account["contact"] = json!([contact]);
        }
        let head = json!({ "alg": "ES256", "jwk": own, "nonce": nonce, "url": url });
        signed(&head, &account, |text| {
            let signature = pair.sign(&SystemRandom::new(), text).map_err(|_| Error::Crypto)?;
            Ok(signature.as_ref().to_vec())
        })
    }
}

fn signed(
    head: &Value,
    payload: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>,
) -> Result<Value, Error> {
    let [head, payload] = [head, payload].map(|part| base64_url(part.to_string().as_bytes()));
    let signature = sign(format!("{head}.{payload}").as_bytes())?;
    Ok(json!({ "protected": head, "payload": payload, "signature": base64_url(&signature) }))
}

/// A public key as JSON (RFC 7518 section 6.2.1).
fn web_key(point: &[u8]) -> Option<Value> {
    let point = point.strip_prefix(&[4]).filter(|point| point.len() == POINT - 1)?;
    let (x, y) = point.split_at(POINT / 2);
    Some(json!({ "crv": "P-256", "kty": "EC", "x": base64_url(x), "y": base64_url(y) }))
}

async fn get(http: &Http, method: &str, url: &str) -> Result<Reply, Error> {
    let reply = http.call(method, url, &[], Vec::new()).await.map_err(unreachable)?;
    checked(reply, url)
}

fn unreachable(error: HttpError) -> Error {
    Error::Other(Box::new(error))
}

/// Errors are problem documents (RFC 7807), or come from something before the CA.
fn checked(reply: Reply, url: &str) -> Result<Reply, Error> {
    if reply.status < 400 {
        return Ok(reply);
    }
    if let Ok(problem) = serde_json::from_slice::<Problem>(&reply.body) {
        return Err(Error::Api(problem));
    }
    let what = format!("answered with status {}", reply.status);
    Err(unreachable(HttpError { host: url.to_owned(), what, status: Some(reply.status), retry_after: None }))
}

//! The section `basic_auth`.

use std::path::PathBuf;

use usher_config::{Named, OneOrMany, Secret, Spanned};

usher_config::section! {
    /// Asks for a user name and a password (RFC 7617). Use it with HTTPS only: the password is sent with every request.
    #[bare(file)]
    pub default struct BasicAuth {
        /// Names, and the hash of each password: bcrypt (`$2y$…`), SHA-512 (`$6$…`) or SHA-256 (`$5$…`).
        pub users: Named<Spanned<Secret>> = Named::default(),
        /// Files with a `name:hash` on each line, as `htpasswd -B` writes them.
        pub file: OneOrMany<Spanned<PathBuf>> = OneOrMany::default(),
        /// What the browser shows when it asks.
        #[check(is_realm)]
        pub realm: String = "Restricted".to_owned(),
        /// Passes the field `Authorization` on to the endpoint.
        pub forward: bool = false,
    }
}

/// The longest realm (bytes).
const MAX_REALM: usize = 128;

/// It stands in a quoted string, which browsers read as ASCII.
#[expect(clippy::ptr_arg, reason = "a check is given what the field holds")]
fn is_realm(realm: &String) -> Result<(), String> {
    if realm.len() <= MAX_REALM && realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!("a realm has at most {MAX_REALM} characters, all of them ASCII"))
}

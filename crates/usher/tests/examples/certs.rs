//! The certificates that examples and the book name, as `examples/certs/make.sh` makes them.

use usher_testkit::{Authority, Leaf};

/// Where they lie, beside a config.
pub(crate) const FOLDER: &str = "certs";

/// Names and contents of the files.
pub(crate) fn files() -> Result<Vec<(String, String)>, String> {
    make().map_err(|error| error.to_string())
}

fn make() -> usher_testkit::Result<Vec<(String, String)>> {
    let authority = Authority::new("An authority for trying things out")?;
    let names = ["example.com", "*.example.com", "localhost"];
    let mut files = vec![(format!("{FOLDER}/ca.pem"), authority.pem())];
    let mut add = |name: &str, leaf: Leaf| {
        files.push((format!("{FOLDER}/{name}.pem"), leaf.cert));
        files.push((format!("{FOLDER}/{name}.key"), leaf.key));
    };
    add("example.com", authority.server(&names)?);
    add("example.com-rsa", authority.rsa_server(&names)?);
    add("client", authority.client("billing.apps.internal")?);
    // Not as secret as it should be, but as long.
    files.push((format!("{FOLDER}/tickets.key"), "0123456789".repeat(8)));
    Ok(files)
}

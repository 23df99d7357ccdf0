//! Simulates the balancers and draws what comes out: `cargo xtask simulate`.
//!
//! Everything comes from one seed, so the pictures change only when a balancer does. Times are simulated: the balancers
//! are the real ones, endpoints and visitors are numbers.
#![expect(clippy::expect_used, reason = "a tool for developers, which ends with a message")]

mod cluster;
mod policy;
mod random;
mod scenes;
mod svg;

use std::path::PathBuf;

/// Draws the pictures into the folder that is named.
fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).expect("the folder for the pictures").into();
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let pictures = [
        ("balancing-shares.svg", scenes::shares()),
        ("balancing-churn.svg", scenes::churn()),
        ("balancing-slow-endpoint.svg", scenes::slow_endpoint()),
        ("balancing-workers.svg", scenes::workers()),
    ];
    for (name, picture) in pictures {
        let path = folder.join(name);
        std::fs::write(&path, picture).expect("the picture can be written");
        println!("wrote {}", path.display());
    }
}

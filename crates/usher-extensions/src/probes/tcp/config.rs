//! The options of the probe `tcp`.

use usher_config::Spanned;

usher_config::section! {
    /// Connects, with the TLS handshake if the cluster speaks TLS. A text may be sent, and another expected.
    pub struct Tcp {
        /// A text that is sent once the connection is there. `\r`, `\n` and the like are written as the config's format
        /// has them.
        pub send: Option<String>,
        /// A text that the first 4 KiB of what comes back must contain.
        #[check(not_empty)]
        pub expect: Option<Spanned<String>>,
    }
}

fn not_empty(text: &Option<Spanned<String>>) -> Result<(), &'static str> {
    match text {
        Some(text) if text.is_empty() => {
            Err("an empty text is in every answer: write one, or leave `expect` out")
        }
        _ => Ok(()),
    }
}

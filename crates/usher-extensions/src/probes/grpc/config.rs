//! The options of the probe `grpc`.

usher_config::section! {
    /// Calls `grpc.health.v1.Health/Check`, over HTTP/2 or, if the cluster speaks that, HTTP/3.
    pub struct Grpc {
        /// The service that is asked for. Without it, the server as a whole.
        #[check(name)]
        pub service: String = String::new(),
    }
}

/// The longest name of a service (bytes).
const MAX_NAME: usize = 1024;

#[expect(clippy::ptr_arg, reason = "a check is given what the field holds")]
fn name(service: &String) -> Result<(), String> {
    if service.len() > MAX_NAME || service.chars().any(char::is_control) {
        return Err(format!("`{}` is not the name of a service", service.escape_debug()));
    }
    Ok(())
}

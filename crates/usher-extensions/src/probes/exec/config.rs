//! The options of the probe `exec`.

usher_config::section! {
    /// Runs a program. Status 0 is well, any other is not.
    pub struct Exec {
        /// The program by its path, and its arguments. No shell reads them.
        #[check(program)]
        pub command: Vec<String>,
    }
}

#[expect(clippy::ptr_arg, reason = "a check is given what the field holds")]
fn program(command: &Vec<String>) -> Result<(), String> {
    match command.first() {
        None => Err("the list is empty: write the path of a program, and its arguments".to_owned()),
        Some(path) if !path.starts_with('/') => Err(format!(
            "`{path}` is not an absolute path: write `/usr/local/bin/…`, or `/bin/sh` for a script"
        )),
        Some(_) if command.iter().any(|part| part.contains('\0')) => {
            Err("a program cannot be given a NUL".to_owned())
        }
        Some(_) => Ok(()),
    }
}

//! The section of a balancer that has no options.

use usher_api::BuildContext;
use usher_config::{Diagnostic, Node};

/// The key that names the balancer when `balance` is written as a table.
const POLICY: &str = "policy";

/// Whether the section holds nothing but the balancer's name; what else it holds is reported.
pub(super) fn without_options(section: Option<&Node>, context: &mut BuildContext<'_, '_>) -> bool {
    let entries = section.and_then(Node::as_table).unwrap_or_default();
    let mut plain = true;
    for (key, _) in entries.iter().filter(|(key, _)| key.name != POLICY) {
        plain = false;
        let error = Diagnostic::error(format!("unknown key `{}`", key.name)).at(key.span, "");
        context.config.push(error.help("this balancer has no options; write its name alone"));
    }
    plain
}

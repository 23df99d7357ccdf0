//! The sections of balancers: what stands beside the name when `balance` is written as a table.

use usher_api::BuildContext;
use usher_config::{Decode, Diagnostic, Node, Value};

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

/// The options of a section; the default where only the name is written.
pub(super) fn options<T: Decode + Default>(
    section: Option<&Node>,
    context: &mut BuildContext<'_, '_>,
) -> Option<T> {
    section.map_or_else(|| Some(T::default()), |section| T::decode(&without_policy(section), context.config))
}

/// The options of a section of which one is required, told with what to write where only the name is written.
pub(super) fn required<T: Decode>(
    section: Option<&Node>,
    context: &mut BuildContext<'_, '_>,
    (key, help): (&str, &str),
) -> Option<T> {
    if section.is_none() {
        let error = Diagnostic::error(format!("the balancer of {} needs `{key}`", context.scope));
        context.config.push(error.help(help));
    }
    T::decode(&without_policy(section?), context.config)
}

/// The section without the balancer's name.
fn without_policy(section: &Node) -> Node {
    let mut node = section.clone();
    if let Value::Table(entries) = &mut node.value {
        entries.retain(|(key, _)| key.name != POLICY);
    }
    node
}

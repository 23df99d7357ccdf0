//! The extensions that this binary has.

use usher_config::schema::Schema;
use usher_config::{Known, json_schema, reference};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_extensions::probes::PROBES;

/// The keys that filters add to a route.
pub(crate) fn filter_names() -> Vec<&'static str> {
    FILTERS.iter().map(|factory| factory.name).collect()
}

/// The names that may stand behind `balance =`; the first is the default.
pub(crate) fn balancer_names() -> Vec<&'static str> {
    BALANCERS.iter().map(|factory| factory.name).collect()
}

/// The JSON Schema of a config, with the sections of all extensions.
pub(crate) fn schema() -> String {
    with_known(|known| format!("{:#}\n", json_schema(known)))
}

/// The reference page in Markdown, with the sections of all extensions.
pub(crate) fn reference_page() -> String {
    with_known(reference)
}

fn with_known(render: impl FnOnce(&Known<'_>) -> String) -> String {
    let filters: Vec<(&str, Schema)> = FILTERS.iter().map(|one| (one.name, (one.schema)())).collect();
    let balancers: Vec<(&str, Schema)> = BALANCERS.iter().map(|one| (one.name, (one.schema)())).collect();
    let probes: Vec<(&str, Schema)> = PROBES.iter().map(|one| (one.name, (one.schema)())).collect();
    render(&Known { filters: &filters, balancers: &balancers, probes: &probes })
}

//! Tests.

use super::super::testing::{build, exchange, reply};
use super::FACTORY;

#[test]
fn asks_for_bodies_up_to_its_size() {
    let filter = build(&FACTORY, r#"buffer_request = "64KiB""#);
    assert_eq!(filter.body_limit(), Some(65_536));
    assert!(reply(&*filter, &mut exchange("/")).is_none());
    assert_eq!(filter.describe(), "bodies up to 64KiB");
}

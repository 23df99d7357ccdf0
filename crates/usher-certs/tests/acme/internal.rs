//! The CA of the machine.

use usher_certs::{By, InternalOptions, Managed, State, internal_root};

use crate::world::{World, eventually, status};

#[test]
fn local_names_are_there_at_once_without_any_network() {
    let world = World::new();
    let mut options = world.options(&["localhost", "*.lan.internal", "10.0.0.1", "::1"]);
    options.managed.push(Managed { names: vec!["intranet.example.com".to_owned()], by: By::Internal });
    options.authorities.clear();
    let manager = world.start(options.clone());
    for name in ["localhost", "a.lan.internal", "10.0.0.1", "::1", "intranet.example.com"] {
        assert!(world.served(name).is_some(), "{name}");
    }
    let shown = status(&manager, "internal:localhost");
    assert_eq!((shown.state, shown.authority.as_str()), (State::Valid, "internal"));
    let root = internal_root(&world.storage(), &InternalOptions::default()).unwrap();
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"));
    // They are renewed in time, by the same root.
    let first = world.served("localhost").unwrap();
    world.pass(std::time::Duration::from_secs(5 * 86_400));
    eventually("it is renewed", || {
        (world.served("localhost").unwrap().not_after() > first.not_after()).then_some(())
    });
    assert_eq!(internal_root(&world.storage(), &InternalOptions::default()).unwrap(), root);
    let renewed = world.served("localhost").unwrap();
    manager.stop();
    let _manager = world.start(options);
    assert_eq!(world.served("localhost").unwrap().fingerprint(), renewed.fingerprint());
}

#[test]
fn a_root_that_is_replaced_is_not_replaced_silently() {
    let world = World::new();
    let options = world.options(&["localhost"]);
    world.start(options.clone()).stop();
    std::fs::write(world.storage().join("internal/root.pem"), "torn").unwrap();
    std::fs::remove_dir_all(world.storage().join("certificates/_internal.localhost")).unwrap();
    assert!(!world.logged("was replaced"));
    let _manager = world.start(options);
    assert!(world.logged("was replaced") && world.served("localhost").is_some());
}

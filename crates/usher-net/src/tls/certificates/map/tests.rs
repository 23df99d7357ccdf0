use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// How many nodes there are, and how many of them `other` has as well.
fn count<V>(node: &Arc<Node<V>>, other: &Arc<Node<V>>) -> (usize, usize) {
    let same = usize::from(Arc::ptr_eq(node, other));
    match (&**node, &**other) {
        (Node::Branches(one), Node::Branches(two)) => one
            .iter()
            .zip(two)
            .map(|(one, two)| count(one, two))
            .fold((1, same), |(all, shared), (more, too)| (all + more, shared + too)),
        _ => (1, same),
    }
}

#[test]
fn a_change_copies_one_path_however_many_names_there_are() {
    let mut map = Map::default();
    for number in 0..10_000 {
        let before = map.clone();
        map.set(&format!("{number}.example"), Some(number));
        let (all, shared) = if number % 100 == 99 { count(&map.root, &before.root) } else { (0, 0) };
        // Four branchings are enough for all, and a fifth where hashes are alike.
        assert!(all - shared <= 6, "{} of {all} nodes were copied", all - shared);
        assert_eq!(before.get(&format!("{number}.example")), None, "versions stay as they are");
    }
    assert!((0..10_000).all(|number| map.get(&format!("{number}.example")) == Some(&number)));
    assert_eq!(map.get("10000.example"), None);
}

proptest! {
    #[test]
    fn holds_what_was_set_last(changes in prop::collection::vec((0..60_u8, any::<Option<u8>>()), 0..300)) {
        let (mut map, mut known) = (Map::default(), BTreeMap::new());
        for (name, value) in changes {
            let before = map.clone();
            let old = known.get(&name).copied();
            map.set(&name.to_string(), value);
            match value {
                Some(value) => drop(known.insert(name, value)),
                None => drop(known.remove(&name)),
            }
            prop_assert_eq!(before.get(&name.to_string()).copied(), old);
            for name in 0..60 {
                prop_assert_eq!(map.get(&name.to_string()), known.get(&name));
            }
        }
    }
}

//! What the tests of balancers share.

use usher_api::{Balance, BalancerFactory, BuildContext, Candidate, Carry, Exchange, OnRoute, PickInput};
use usher_config::{Context, Sources};

use super::Random;

/// Usable endpoints of these weights, without requests.
pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let one = |(i, weight): (usize, &u32)| Candidate {
        weight: *weight,
        in_flight: 0,
        usable: true,
        identity: i as u64,
    };
    weights.iter().enumerate().map(one).collect()
}

/// The balancer as the engine builds it, without options.
pub(super) fn build(factory: &BalancerFactory) -> std::sync::Arc<dyn Balance> {
    let sources = Sources::new();
    let (mut config, mut carry) = (Context::new(&sources), Carry::default());
    let mut context = BuildContext {
        config: &mut config,
        carry: &mut carry,
        scope: "cluster test",
        route: OnRoute::default(),
    };
    (factory.build)(None, &mut context).unwrap()
}

/// Its state for these endpoints.
pub(super) fn begin(
    factory: &BalancerFactory,
    candidates: &[Candidate],
    seed: u64,
) -> Box<dyn usher_api::Balancer> {
    build(factory).begin(candidates, seed)
}

/// Picks once.
pub(super) fn pick(balancer: &mut dyn usher_api::Balancer, candidates: &[Candidate]) -> Option<usize> {
    let usable = candidates.iter().filter(|one| one.usable).count();
    balancer.pick(&PickInput { candidates, usable, client: None, exchange: &Exchange::default() })
}

/// How often each is picked in so many picks, if nothing else changes.
pub(super) fn histogram(
    balancer: &mut dyn usher_api::Balancer,
    candidates: &[Candidate],
    picks: usize,
) -> Vec<usize> {
    let mut counts = vec![0; candidates.len()];
    for _ in 0..picks {
        counts[pick(balancer, candidates).unwrap()] += 1;
    }
    counts
}

/// In one round, each is picked as often as its weight says.
pub(super) fn follows_weights_exactly(factory: &BalancerFactory, weights: &[u32]) {
    let all = candidates(weights);
    let expected: Vec<usize> = weights.iter().map(|weight| *weight as usize).collect();
    let picks = expected.iter().sum();
    assert_eq!(histogram(&mut *begin(factory, &all, 3), &all, picks), expected, "{}", factory.name);
}

/// What must hold for every balancer: only usable endpoints with a weight are picked, and one is if there is one.
pub(super) fn never_picks_unusable(factory: &BalancerFactory) {
    let balance = build(factory);
    let mut random = Random::new(7);
    for round in 0..300 {
        let len = random.index(if round % 10 == 0 { 500 } else { 12 });
        let weights: Vec<u32> =
            (0..len).map(|_| random.below(if round % 3 == 0 { 3 } else { 60_000 }) as u32).collect();
        let mut all = candidates(&weights);
        let mut balancer = balance.begin(&all, random.next());
        for _ in 0..30 {
            let odds = 1 + random.below(40);
            all.iter_mut().for_each(|one| {
                one.usable = random.below(odds) == 0;
                one.in_flight = random.below(5) as u32;
            });
            let possible = all.iter().any(|one| one.usable && one.weight > 0);
            match pick(&mut *balancer, &all) {
                Some(i) => {
                    assert!(all[i].usable && all[i].weight > 0, "{}: picked {i} of {all:?}", factory.name)
                }
                None => assert!(!possible, "{}: picked none of {all:?}", factory.name),
            }
        }
    }
}

/// Two balancers of one seed pick the same.
pub(super) fn follows_its_seed(factory: &BalancerFactory) {
    let all = candidates(&[3, 1, 4, 1, 5, 9, 2, 6]);
    let picks = |seed| {
        let mut balancer = begin(factory, &all, seed);
        (0..50).map(|_| pick(&mut *balancer, &all)).collect::<Vec<_>>()
    };
    assert_eq!(picks(42), picks(42), "{}", factory.name);
    assert_ne!(picks(42), picks(43), "{}", factory.name);
}

/// A section with a key that means nothing is refused.
pub(super) fn refuses_options(factory: &BalancerFactory) {
    let mut sources = Sources::new();
    let id = sources.add("test", ".", format!("policy = \"{}\"\nchoises = 2\n", factory.name));
    let document = usher_config::read::read(&sources, id, usher_config::Format::Toml).unwrap();
    let (mut config, mut carry) = (Context::new(&sources), Carry::default());
    let mut context = BuildContext {
        config: &mut config,
        carry: &mut carry,
        scope: "cluster test",
        route: OnRoute::default(),
    };
    assert!((factory.build)(Some(&document.root), &mut context).is_none());
    let found = config.finish();
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("choises"), "{}", found[0].message);
}

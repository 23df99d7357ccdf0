//! What the tests of balancers share.

use std::sync::Arc;

use usher_api::{Balance, BalancerFactory, BuildContext, Candidate, Carry, Exchange, OnRoute, PickInput};
use usher_config::{Context, Node, Report, Sources};

use super::Random;

/// A balancer to compare with.
pub(super) fn named(name: &str) -> &'static BalancerFactory {
    super::BALANCERS.iter().find(|factory| factory.name == name).expect("a known balancer")
}

/// Usable endpoints of these weights, without requests.
pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let one = |(i, weight): (usize, &u32)| Candidate {
        weight: *weight,
        in_flight: 0,
        usable: true,
        draining: false,
        identity: i as u64,
    };
    weights.iter().enumerate().map(one).collect()
}

/// Builds a balancer from the text of its section. The findings are rendered; empty if there are none.
pub(super) fn try_build(
    factory: &BalancerFactory,
    (name, directory, text): (&str, &str, &str),
) -> (Option<Arc<dyn Balance>>, String) {
    let mut sources = Sources::new();
    let id = sources.add(name, directory, text.to_owned());
    let document = match usher_config::read::read(&sources, id, usher_config::Format::Toml) {
        Ok(document) => document,
        Err(found) => return (None, Report::new(found, sources).render(false)),
    };
    let mut config = Context::new(&sources);
    // Written as a table, or the name alone: as the engine tells them apart.
    let node = document.root.get("balance").unwrap_or(&document.root);
    let balance = build_in(factory, Some(node).filter(|node| node.as_str().is_none()), &mut config);
    let (failed, found) = (config.has_errors(), config.finish());
    let report = if found.is_empty() { String::new() } else { Report::new(found, sources).render(false) };
    (balance.filter(|_| !failed), report)
}

/// Builds a balancer from its section.
pub(super) fn build_in(
    factory: &BalancerFactory,
    section: Option<&Node>,
    config: &mut Context<'_>,
) -> Option<Arc<dyn Balance>> {
    let (mut carry, route) = (Carry::default(), OnRoute::default());
    (factory.build)(section, &mut BuildContext { config, carry: &mut carry, scope: "cluster test", route })
}

/// What a balancer cannot do without.
fn needed(factory: &BalancerFactory) -> &'static str {
    if factory.name == "sticky" { "secret = \"sixteen or more!\"\n" } else { "" }
}

/// The balancer as the engine builds it, with these options and those that it cannot do without.
pub(super) fn build_with(factory: &BalancerFactory, options: &str) -> Arc<dyn Balance> {
    let text = format!("{}{options}", needed(factory));
    let (balance, said) = try_build(factory, ("test", ".", &text));
    balance.unwrap_or_else(|| panic!("{said}"))
}

/// As [`build_with`], without options.
pub(super) fn build(factory: &BalancerFactory) -> Arc<dyn Balance> {
    build_with(factory, "")
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
    pick_of(balancer, candidates, candidates.iter().filter(|one| one.usable).count())
}

fn pick_of(balancer: &mut dyn usher_api::Balancer, candidates: &[Candidate], usable: usize) -> Option<usize> {
    balancer.pick(&PickInput {
        candidates,
        usable,
        group: 0,
        client: None,
        exchange: &Exchange::default(),
        now: 0,
    })
}

/// Picks for a request of this client.
pub(super) fn pick_for(
    balancer: &mut dyn usher_api::Balancer,
    candidates: &[Candidate],
    (client, exchange): (&str, &Exchange),
) -> Option<usize> {
    let usable = candidates.iter().filter(|one| one.usable).count();
    balancer.pick(&PickInput { candidates, usable, group: 0, client: client.parse().ok(), exchange, now: 0 })
}

/// A request of this path and query with one field.
pub(super) fn request(target: &str, (name, value): (&str, &str)) -> Exchange {
    let mut exchange = Exchange::default();
    exchange.request.clear();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    path.clone_into(&mut exchange.request.path);
    exchange.request.query = query.map(str::to_owned);
    exchange.request.fields.add(name.as_bytes(), value.as_bytes()).expect("a valid field");
    exchange
}

/// How often each is picked in so many picks, if nothing else changes.
pub(super) fn histogram(
    balancer: &mut dyn usher_api::Balancer,
    candidates: &[Candidate],
    picks: usize,
) -> Vec<usize> {
    let usable = candidates.iter().filter(|one| one.usable).count();
    let mut counts = vec![0; candidates.len()];
    for _ in 0..picks {
        counts[pick_of(balancer, candidates, usable).unwrap()] += 1;
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
    // Tables of hashes take a while to make.
    let rounds = if factory.name.contains("hash") { 30 } else { 300 };
    for round in 0..rounds {
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
                // Nobody was there before, so nobody may be sent to one that is draining.
                one.draining = !one.usable && random.below(3) == 0;
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
    let text = format!("policy = \"{}\"\nchoises = 2\n{}", factory.name, needed(factory));
    let (balance, said) = try_build(factory, ("test", ".", &text));
    assert!(balance.is_none());
    assert!(said.contains("choises") && !said.contains("policy`"), "{said}");
}

/// After other weights, only those that have one are picked, and each of them is.
pub(super) fn follows_new_weights(factory: &BalancerFactory) {
    let mut all = candidates(&[1, 2, 3, 0]);
    let mut balancer = begin(factory, &all, 3);
    histogram(&mut *balancer, &all, 100);
    all.iter_mut().zip([0, 100, 20, 10]).for_each(|(one, weight)| one.weight = weight);
    balancer.reweighted(&all);
    let counts = histogram(&mut *balancer, &all, 2000);
    assert!(counts[0] == 0 && counts[1..].iter().all(|count| *count > 0), "{}: {counts:?}", factory.name);
}

/// How far the share of an endpoint is off at most (1 is its whole share), over all workers.
pub(super) fn unevenness(factory: &BalancerFactory, (workers, requests): (usize, usize), seed: u64) -> f64 {
    let all = candidates(&[1; 10]);
    let balance = build(factory);
    let mut random = Random::new(seed);
    let mut each: Vec<_> = (0..workers).map(|_| balance.begin(&all, random.next())).collect();
    let mut counts = vec![0_usize; all.len()];
    for _ in 0..requests {
        counts[pick(&mut *each[random.index(workers)], &all).unwrap()] += 1;
    }
    let fair = requests as f64 / all.len() as f64;
    counts.iter().map(|count| (*count as f64 / fair - 1.0).abs()).fold(0.0, f64::max)
}

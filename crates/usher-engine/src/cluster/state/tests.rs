use usher_api::metrics::Registry;
use usher_api::{Balance, BalancerFactory, Error, ErrorKind};
use usher_config::Schema;
use usher_config::{Input, LoadOptions};
use usher_net::MemoryStream;

use super::*;
use crate::cluster::Cluster;
use crate::snapshot::Builder;

thread_local! {
    /// How many were usable, each time that the balancer was asked.
    static ASKED: RefCell<Vec<usize>> = RefCell::default();
    /// Requests that it knows of.
    static KNOWN: Cell<usize> = const { Cell::new(0) };
}

/// Picks the first that is usable.
struct First;

impl Balancer for First {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        ASKED.with_borrow_mut(|asked| asked.push(input.usable));
        let picked = input.candidates.iter().position(|one| one.usable)?;
        KNOWN.set(KNOWN.get() + 1);
        Some(picked)
    }

    fn finished(&mut self, _: Outcome) {
        KNOWN.set(KNOWN.get() - 1);
    }
}

impl Balance for First {
    fn begin(&self, _: &[Candidate], _: u64) -> Box<dyn Balancer> {
        Box::new(First)
    }
}

static FIRST: BalancerFactory = BalancerFactory {
    name: "first",
    summary: "",
    schema: || Schema::table(usher_config::schema::Table::new("First", "")),
    build: |_, _| Some(Arc::new(First)),
};

/// Three endpoints with this limit.
fn cluster(limit: &str) -> Rc<Cluster<MemoryStream>> {
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:1\"\n[[route]]\ncluster = \"app\"\n[cluster.app]\n{limit}\n\
         endpoints = [\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\"]\n"
    );
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.into() };
    let loaded = usher_config::load(input, &options).unwrap();
    let builder = Builder { filters: &[], balancers: &[&FIRST], probes: &[] };
    let built = builder.build(&loaded, None, None).unwrap();
    Cluster::new(built.snapshot.clusters[0].clone(), None, 1, &Registry::new("0").register_worker())
}

/// Picks an endpoint; gives also how many were usable, each time that the balancer was asked.
fn pick(cluster: &Cluster<MemoryStream>) -> (Result<Lease<MemoryStream>, Error>, Vec<usize>) {
    let picked = cluster.pick(&Exchange::default(), &[]);
    (picked, ASKED.take())
}

#[test]
fn all_are_looked_at_only_where_the_picked_one_has_no_room() {
    for limit in ["limits = { per_endpoint = 1 }", "pool = { connections = 1 }"] {
        let cluster = cluster(limit);
        let mut leases = Vec::new();
        for (index, expected) in [(0, vec![3]), (1, vec![3, 2]), (2, vec![3, 1])] {
            let (picked, asked) = pick(&cluster);
            let lease = picked.unwrap();
            assert_eq!((lease.index, asked), (index, expected), "{limit}");
            leases.push(lease);
            assert_eq!(KNOWN.get(), leases.len(), "{limit}");
        }
        let (refused, asked) = pick(&cluster);
        assert_eq!(refused.err().map(|error| error.kind), Some(ErrorKind::Overloaded), "{limit}");
        assert_eq!(asked, [3], "{limit}: nobody is left to choose from");
        assert_eq!(KNOWN.get(), 3, "{limit}");
        cluster.forget(&leases.remove(0));
        let (picked, asked) = pick(&cluster);
        assert_eq!((picked.unwrap().index, asked), (0, vec![3]), "{limit}: there is room");
        KNOWN.set(0);
    }
}

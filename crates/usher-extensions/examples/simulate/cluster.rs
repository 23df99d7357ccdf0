//! A cluster, event by event: visitors come to workers, workers choose endpoints, endpoints work and queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use usher_api::balancer::Outcome;
use usher_api::{Balance, Balancer, Candidate, Exchange, PickInput};

use crate::policy;
use crate::random::Random;

/// What is simulated.
pub(crate) struct Plan<'a> {
    pub(crate) balance: &'a dyn Balance,
    pub(crate) weights: &'a [u32],
    pub(crate) workers: usize,
    /// Requests that an endpoint works on at once, for each of its weight; more wait in its queue.
    pub(crate) slots: usize,
    /// The mean time that a request takes (microseconds).
    pub(crate) work: f64,
    /// Requests per second, over all workers.
    pub(crate) rate: f64,
    pub(crate) seconds: u64,
    /// An endpoint that takes longer: which, how many times, from when until when (seconds).
    pub(crate) slow: Option<(usize, f64, (u64, u64))>,
    pub(crate) seed: u64,
}

/// One request that has ended.
pub(crate) struct Done {
    pub(crate) endpoint: usize,
    /// When it came (microseconds).
    pub(crate) came: u64,
    /// How long it took (microseconds).
    pub(crate) took: u64,
}

/// A request that an endpoint has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    came: u64,
    worker: usize,
}

struct Endpoint {
    free: usize,
    queue: VecDeque<Job>,
}

struct Worker {
    balancer: Box<dyn Balancer>,
    candidates: Vec<Candidate>,
}

struct Simulation<'a> {
    plan: &'a Plan<'a>,
    random: Random,
    workers: Vec<Worker>,
    endpoints: Vec<Endpoint>,
    /// What endpoints work on, by when they are done with it.
    working: BinaryHeap<Reverse<(u64, usize, Job)>>,
    done: Vec<Done>,
    exchange: Exchange,
}

/// All requests that came while it ran, in the order in which they ended.
pub(crate) fn run(plan: &Plan<'_>) -> Vec<Done> {
    let mut random = Random(plan.seed);
    let candidates = policy::candidates(plan.weights);
    let worker = |_| Worker {
        balancer: plan.balance.begin(&candidates, random.next()),
        candidates: candidates.clone(),
    };
    let workers = (0..plan.workers).map(worker).collect();
    let endpoint = |weight: &u32| Endpoint { free: plan.slots * *weight as usize, queue: VecDeque::new() };
    let endpoints = plan.weights.iter().map(endpoint).collect();
    let mut simulation = Simulation {
        plan,
        random,
        workers,
        endpoints,
        working: BinaryHeap::new(),
        done: Vec::new(),
        exchange: Exchange::default(),
    };
    simulation.run();
    simulation.done
}

impl Simulation<'_> {
    fn run(&mut self) {
        let gap = 1e6 / self.plan.rate;
        let mut next = 0.0;
        while next < self.plan.seconds as f64 * 1e6 {
            self.work_until(next as u64);
            self.arrive(next as u64);
            next += self.random.gap(gap);
        }
        self.work_until(u64::MAX);
    }

    fn arrive(&mut self, now: u64) {
        let number = self.random.index(self.workers.len());
        let client = self.random.next() as u32;
        let worker = &mut self.workers[number];
        let input = PickInput {
            group: 0,
            candidates: &worker.candidates,
            usable: worker.candidates.len(),
            client: Some(client.to_be_bytes().into()),
            exchange: &self.exchange,
            now,
        };
        let endpoint = worker.balancer.pick(&input).expect("all can be used");
        worker.candidates[endpoint].in_flight += 1;
        self.endpoints[endpoint].queue.push_back(Job { came: now, worker: number });
        self.begin(endpoint, now);
    }

    /// Works on the next of an endpoint's queue, if it can.
    fn begin(&mut self, number: usize, now: u64) {
        let endpoint = &mut self.endpoints[number];
        if endpoint.free == 0 {
            return;
        }
        let Some(job) = endpoint.queue.pop_front() else { return };
        endpoint.free -= 1;
        let slow = match self.plan.slow {
            Some((slow, times, (from, until)))
                if slow == number && (from * 1_000_000..until * 1_000_000).contains(&now) =>
            {
                times
            }
            _ => 1.0,
        };
        let until = now + self.random.work(self.plan.work * slow) as u64;
        self.working.push(Reverse((until, number, job)));
    }

    fn work_until(&mut self, until: u64) {
        while let Some(Reverse((now, endpoint, job))) = self.working.peek().copied() {
            if now > until {
                return;
            }
            self.working.pop();
            let worker = &mut self.workers[job.worker];
            worker.candidates[endpoint].in_flight -= 1;
            let took = now - job.came;
            worker.balancer.finished(Outcome { endpoint, micros: Some(took), failed: false, now });
            self.done.push(Done { endpoint, came: job.came, took });
            self.endpoints[endpoint].free += 1;
            self.begin(endpoint, now);
        }
    }
}

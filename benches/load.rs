//! wrk against a program, and what that cost: in rounds, one program after the other, so that a machine that is slow for
//! a while is slow for all.

use crate::programs::{LOAD_CPU, Program};
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub seconds: u64,
}

/// Where a program keeps how many requests that can be sent once only one round took at most.
const LONGEST: &str = "the longest round";

/// Kept-alive connections.
pub const CONNECTIONS: usize = 32;

/// How often a program is looked at that has work left, and for how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(80);
const SETTLED_BY: Duration = Duration::from_secs(15);

/// What one round, or the medians of all, came to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Figures {
    /// Answers a second.
    pub rate: f64,
    /// Processor time of the server for each, in microseconds.
    pub cpu: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// Bytes of each answer, head and body.
    pub bytes: f64,
    /// Answers in all rounds.
    pub answers: usize,
    /// Those with a status from 400 on, which do not count as answers.
    pub refused: usize,
}

impl Figures {
    /// How much of the time the server's processor worked for it: 1 is all of it.
    pub fn busy(&self) -> f64 {
        self.rate * self.cpu / 1e6
    }
}

/// An operation as it is loaded.
#[derive(Clone)]
pub struct Operation {
    pub name: String,
    /// Each request can be sent once only.
    pub once: bool,
    pub connections: usize,
    /// Answers that are refusals do not count, but are no reason to stop.
    pub may_refuse: bool,
}

impl Operation {
    pub fn page(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            once: false,
            connections: CONNECTIONS,
            may_refuse: false,
        }
    }
}

/// The medians of each program and operation, in their order. Stops when one of them had no round at all.
pub fn measure(cases: &[(&Program, Operation)], effort: Effort) -> Vec<Figures> {
    measure_beside(cases, effort, || ())
}

/// The same, with something else that takes its turn in every round.
pub fn measure_beside(
    cases: &[(&Program, Operation)],
    effort: Effort,
    mut other: impl FnMut(),
) -> Vec<Figures> {
    let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); cases.len()];
    for round in 0..effort.rounds {
        for turn in 0..cases.len() {
            // Another one begins each time.
            let nth = (round + turn) % cases.len();
            let (program, operation) = &cases[nth];
            if let Some(figures) = load(program, operation, effort.seconds) {
                rounds[nth].push(figures);
            }
            settle(program);
        }
        other();
    }
    for ((program, operation), rounds) in cases.iter().zip(&rounds) {
        let (name, what) = (program.name, &operation.name);
        assert!(!rounds.is_empty(), "{name}: {what}: no round was measured");
    }
    rounds.iter().map(|rounds| medians(rounds)).collect()
}

/// One round; nothing when its requests are used up.
pub fn load(program: &Program, operation: &Operation, seconds: u64) -> Option<Figures> {
    let file = program.requests(&operation.name);
    let used = program
        .used
        .borrow()
        .get(&operation.name)
        .copied()
        .unwrap_or(0);
    let first = if operation.once { used } else { 0 };
    if operation.once {
        // The longest round so far tells how many this one may take.
        let all = fs::read_to_string(&file)
            .expect("its requests")
            .lines()
            .count();
        let longest = program.used.borrow().get(LONGEST).copied().unwrap_or(0);
        if used + longest * 3 / 2 > all {
            return None;
        }
    }
    let before = program.cpu();
    let said = Command::new("taskset")
        .args(["-c", LOAD_CPU, "wrk", "-t1"])
        .arg(format!("-c{}", operation.connections))
        .arg(format!("-d{seconds}s"))
        .args(["--timeout", "10s", "-s", "benches/load.lua"])
        .arg(format!("http://{}", program.address))
        .arg("--")
        .arg(&file)
        .arg(first.to_string())
        .arg(if operation.once { "once" } else { "again" })
        .arg(used.to_string())
        .output()
        .expect("wrk runs");
    let cpu = program.cpu().saturating_sub(before);
    let text = String::from_utf8_lossy(&said.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let errors = String::from_utf8_lossy(&said.stderr);
    let line = line.unwrap_or_else(|| panic!("wrk: {text}{errors}"));
    let numbers: Vec<f64> = line.split(' ').filter_map(|it| it.parse().ok()).collect();
    let &[answers, duration, broken, refused, p50, p99, bytes] = numbers.as_slice() else {
        panic!("wrk: {line}");
    };
    let (name, what) = (program.name, operation.name.as_str());
    assert!(broken == 0.0, "{name}: {what}: {broken} connections broke");
    assert!(
        refused == 0.0 || operation.may_refuse,
        "{name}: {what}: {refused} of {answers} were refused"
    );
    // None at all is a figure too, if a sad one.
    let good = answers - refused;
    // Those that were on their way at the end are used up too.
    let taken = answers as usize + 2 * operation.connections;
    let mut used = program.used.borrow_mut();
    *used.entry(what.to_owned()).or_default() += taken;
    if operation.once {
        let longest = used.entry(LONGEST.to_owned()).or_default();
        *longest = taken.max(*longest);
    }
    Some(Figures {
        rate: good / duration * 1e6,
        cpu: micros(cpu) / good.max(1.0),
        p50: p50 / 1000.0,
        p99: p99 / 1000.0,
        bytes: bytes / answers.max(1.0),
        answers: good as usize,
        refused: refused as usize,
    })
}

/// Waits until the program has done with what wrk left behind: requests that nobody waits for any more would slow down
/// whatever is measured next on the same processor.
pub fn settle(program: &Program) {
    let until = Instant::now() + SETTLED_BY;
    while Instant::now() < until {
        let before = program.cpu();
        thread::sleep(LOOK_EVERY);
        if program.cpu().saturating_sub(before) < LOOK_EVERY / 4 {
            return;
        }
    }
}

fn medians(rounds: &[Figures]) -> Figures {
    let of = |value: &dyn Fn(&Figures) -> f64| {
        median(rounds.iter().map(value).collect()).expect("there are rounds")
    };
    Figures {
        rate: of(&|it| it.rate),
        cpu: of(&|it| it.cpu),
        p50: of(&|it| it.p50),
        p99: of(&|it| it.p99),
        bytes: of(&|it| it.bytes),
        answers: rounds.iter().map(|it| it.answers).sum(),
        refused: rounds.iter().map(|it| it.refused).sum(),
    }
}

/// Nothing of nothing.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

//! How long the fault tests go on, and the dice they throw.
//!
//! Without `SOAK_MINUTES` each test does a few rounds. With it (`tests/run --soak 60`) those that can go on for ever share
//! the time: so many run at once as there are processors, and together they end after about so many minutes.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    io::Write as _,
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// Tests that ask [`Rounds`]: four, on two databases each.
const LONG_TESTS: u32 = 8;

/// How often a test repeats what it does: a few times, or until its share of the soak is over.
pub struct Rounds {
    done: usize,
    least: usize,
    until: Option<Instant>,
}

impl Rounds {
    /// `least` rounds, and in a soak as many more as there is time for.
    pub fn new(least: usize) -> Self {
        Self {
            done: 0,
            least,
            until: soak().map(|share| Instant::now() + share),
        }
    }

    /// Whether there is one more.
    pub fn again(&mut self) -> bool {
        let more = self.done < self.least || self.until.is_some_and(|until| Instant::now() < until);
        self.done += usize::from(more);
        more
    }
}

/// The part of `SOAK_MINUTES` that one test may take.
fn soak() -> Option<Duration> {
    let minutes: u32 = setting("SOAK_MINUTES")?.parse().expect("whole minutes");
    let at_once = setting("RUST_TEST_THREADS")
        .and_then(|threads| threads.parse().ok())
        .or_else(|| available_parallelism().ok()?.get().try_into().ok())
        .unwrap_or(1);
    Some(Duration::from_secs(60) * minutes * LONG_TESTS.min(at_once) / LONG_TESTS)
}

fn setting(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test run hands its length and its seed over in the environment"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a test has measured: one line on standard error, also when the test goes well.
pub fn report(line: &str) {
    // past libtest, which swallows what is printed by tests that go well
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Dice (SplitMix64) that fall the same way for the same seed.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// From `FAULTS_SEED`, or thrown by chance. A failing test shows it.
    pub fn new() -> Self {
        let seed = setting("FAULTS_SEED").map_or_else(
            || RandomState::new().build_hasher().finish(),
            |seed| seed.parse().expect("FAULTS_SEED is a number"),
        );
        println!("FAULTS_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("a small number");
        usize::try_from(self.next() % limit).expect("below a small number")
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Up to so many milliseconds.
    pub fn moment(&mut self, most: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.below(most)).expect("a short time"))
    }

    /// Others, for another thread.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

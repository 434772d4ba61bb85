//! What was measured, as Markdown: tables, and each goal beside its figure.

use crate::load::Figures;
use std::{fmt::Write as _, fs, path::Path};

/// Between these lines of docs/performance.md stand the figures; what is around them was written by hand.
const BEGIN: &str = "<!-- figures: written by benches/run -->";
const END: &str = "<!-- end of figures -->";

/// A server whose processor worked less than this part of the time was not at its limit.
const BUSY: f64 = 0.9;

/// Everything so far.
#[derive(Default)]
pub struct Report {
    text: String,
    goals: Vec<Goal>,
    failed: usize,
}

struct Goal {
    what: String,
    wanted: String,
    measured: String,
    met: bool,
}

impl Report {
    pub fn heading(&mut self, text: &str) {
        self.say(&format!("\n### {text}\n"));
    }

    /// A line, also for whoever watches.
    pub fn say(&mut self, line: &str) {
        println!("{line}");
        writeln!(self.text, "{line}").expect("text");
    }

    /// A part, or the rest of it, that came to nothing.
    pub fn fail(&mut self, part: &str, why: &str) {
        self.failed += 1;
        // One line: it may be the whole log of a program.
        let why: Vec<&str> = why.split_whitespace().collect();
        self.say(&format!("\n**{part} failed here:** {}\n", why.join(" ")));
    }

    /// Whether every part was measured to its end.
    pub fn whole(&self) -> bool {
        self.failed == 0
    }

    /// A table of figures: a row for each program. Below it, those that were not at their limit.
    pub fn table(&mut self, rows: &[(&str, Figures)]) {
        self.say("| | a second | CPU each | busy | p50 | p99 | bytes |");
        self.say("|---|--:|--:|--:|--:|--:|--:|");
        for (name, it) in rows {
            self.say(&format!(
                "| {name} | {} | {} µs | {:.2} | {} ms | {} ms | {} |",
                number(it.rate),
                number(it.cpu),
                it.busy(),
                precise(it.p50),
                precise(it.p99),
                number(it.bytes)
            ));
        }
        self.say("");
        let idle = rows.iter().filter(|(_, it)| it.busy() < BUSY);
        let idle: Vec<&str> = idle.map(|(name, _)| *name).collect();
        if !idle.is_empty() {
            self.say(&format!(
                "Not at the limit of the processor, busy for less than {BUSY} of the time because of the load or the disk: \
                 {}.\n",
                idle.join("; ")
            ));
        }
    }

    /// At least so many times as much as the other.
    pub fn at_least(&mut self, what: &str, wanted: f64, measured: f64, unit: &str) {
        self.goal(
            what,
            format!("≥ {}{unit}", short(wanted)),
            format!("{}{unit}", short(measured)),
            measured >= wanted,
        );
    }

    /// At most so much.
    pub fn at_most(&mut self, what: &str, wanted: f64, measured: f64, unit: &str) {
        self.goal(
            what,
            format!("≤ {}{unit}", short(wanted)),
            format!("{}{unit}", short(measured)),
            measured <= wanted,
        );
    }

    fn goal(&mut self, what: &str, wanted: String, measured: String, met: bool) {
        self.goals.push(Goal {
            what: what.to_owned(),
            wanted,
            measured,
            met,
        });
    }

    /// The goals so far, and everything after them.
    pub fn text(&self, machine: &str) -> String {
        let mut text =
            format!("{machine}\n\n### Goals\n\n| | goal | measured | |\n|---|--:|--:|---|\n");
        for it in &self.goals {
            let met = if it.met { "met" } else { "**missed**" };
            writeln!(
                text,
                "| {} | {} | {} | {met} |",
                it.what, it.wanted, it.measured
            )
            .expect("text");
        }
        let missed = self.goals.iter().filter(|it| !it.met).count();
        writeln!(
            text,
            "\n{} of {} goals met.",
            self.goals.len() - missed,
            self.goals.len()
        )
        .expect("text");
        if !self.whole() {
            writeln!(
                text,
                "\n**Incomplete:** {} of the parts failed.",
                self.failed
            )
            .expect("text");
        }
        text + &self.text
    }
}

/// Puts the figures into the page, in the place of the last ones.
pub fn write(figures: &str, page: &Path) {
    let text = fs::read_to_string(page).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("where the figures begin");
    let (_, after) = rest.split_once(END).expect("where the figures end");
    let text = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim());
    fs::write(page, text).expect("the page is written");
}

/// Three digits that count.
pub fn short(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        10.0..100.0 => format!("{value:.1}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        _ => number(value),
    }
}

fn precise(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// Whole, with a comma at the thousands.
pub fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

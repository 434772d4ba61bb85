//! Many people at the same moment.

use super::people::{Answer, Person, encode};
use std::{sync::Barrier, thread};

/// A form that is filled in, one click away from being sent.
pub struct Click {
    person: Person,
    path: String,
    form: String,
}

impl Click {
    /// Opens `page` for its form token and fills in the form that goes to `path`.
    pub fn ready(person: Person, page: &str, path: &str, fields: &[(&str, &str)]) -> Self {
        let token = person.get(page).csrf();
        let mut all = vec![("csrf", token.as_str())];
        all.extend_from_slice(fields);
        let form = encode(&all);
        Self {
            person,
            path: path.to_owned(),
            form,
        }
    }

    pub fn send(&self) -> Answer<'_> {
        self.person.ask("POST", &self.path, &[], Some(&self.form))
    }
}

/// Everybody clicks at once. The answers are in the order of the clicks; none of them is a fault of the server.
pub fn at_once(clicks: &[Click]) -> Vec<Answer<'_>> {
    let start = Barrier::new(clicks.len());
    let answers: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = clicks
            .iter()
            .map(|click| {
                scope.spawn(|| {
                    start.wait();
                    click.send()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("the click is answered"))
            .collect()
    });
    for answer in &answers {
        assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
    }
    answers
}

/// How many of the answers have this status.
pub fn with_status(answers: &[Answer<'_>], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

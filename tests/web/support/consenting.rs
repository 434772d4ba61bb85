//! Legal documents, seats and reminders: settings for tests, and what the program does by itself, done now.

use super::team::{Setup, Team};
use roster::{
    actions::{Failure, Run, reminders},
    domain::consent::{LegalDocument, LegalPlace, marks},
};
use std::sync::Arc;

/// The text of the document that is with us.
pub const PRIVACY: &str = "We keep little.\n\nAnd <b>that</b> for as short as we can.";

/// Terms elsewhere, in this version, and a privacy notice with us.
pub fn legal(terms: &str) -> Vec<LegalDocument> {
    vec![
        LegalDocument {
            name: "Terms".to_owned(),
            slug: "terms".to_owned(),
            version: terms.to_owned(),
            place: LegalPlace::Address("https://example.test/terms".to_owned()),
        },
        LegalDocument {
            name: "Privacy notice".to_owned(),
            slug: "privacy-notice".to_owned(),
            version: "2026-01".to_owned(),
            place: LegalPlace::Text(PRIVACY.to_owned()),
        },
    ]
}

/// What the box says when both are shown, the terms in this version.
pub fn ticked(terms: &str) -> String {
    marks(&legal(terms))
}

/// A setup with those documents.
pub fn with_legal(terms: &str) -> Setup {
    let mut setup = Setup::default();
    setup.rules.legal = legal(terms);
    setup
}

/// A setup with this many seats in each organization.
pub fn with_seats(seats: u32) -> Setup {
    let mut setup = Setup::default();
    setup.rules.seats = Some(seats);
    setup
}

impl Team {
    /// The same Roster after the operator has changed the settings: same database, clock and key.
    pub fn restarted(&self, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            transport: self.parts.transport.clone(),
            ..Setup::default()
        };
        change(&mut setup);
        Self::on(Arc::clone(&self.database), setup, self.clock.clone())
    }

    /// Reminds whoever is due, as the worker would.
    pub fn remind(&self) {
        self.until_done(reminders::remind);
    }

    /// Tells of the lapses that are due, as the worker would.
    pub fn tell_of_lapses(&self) {
        self.until_done(reminders::tell_of_lapses);
    }

    fn until_done(&self, action: fn(&mut Run<'_>) -> Result<bool, Failure>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            while self
                .parts
                .app
                .act(action)
                .await
                .expect("the database answers")
            {}
        });
    }
}

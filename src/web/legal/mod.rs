//! Legal documents: their pages, and the box by which they are accepted (R-ACC-9).

pub(super) mod show;

use super::urls;
use crate::domain::consent::{self, LegalDocument, LegalPlace};

/// One box for all documents of a page; no box where there are none.
#[derive(Clone, Default, Debug)]
pub(super) struct ConsentBox {
    /// What the box says when it is ticked: names and versions, so that what is accepted is what was shown.
    pub(super) value: String,
    /// What is accepted.
    pub(super) documents: Vec<DocumentLink>,
    /// Why the form came again.
    pub(super) error: Option<String>,
}

/// A document, and where to read it.
#[derive(Clone, Debug)]
pub(super) struct DocumentLink {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) url: String,
}

impl ConsentBox {
    /// The box for these documents.
    pub(super) fn new(documents: &[LegalDocument]) -> Self {
        Self {
            value: consent::marks(documents),
            documents: documents
                .iter()
                .map(|document| DocumentLink {
                    name: document.name.clone(),
                    version: document.version.clone(),
                    url: match &document.place {
                        LegalPlace::Address(address) => address.clone(),
                        LegalPlace::Text(_) => urls::legal(&document.slug),
                    },
                })
                .collect(),
            error: None,
        }
    }

    /// The same, with what was wrong.
    pub(super) fn with(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }
}

/// What the box says when it was not ticked, or was ticked for an older version.
pub(super) const UNTICKED: &str = "Tick “I accept” to go on.";

//! Legal documents: what everybody has to accept, and what somebody has accepted (R-ACC-9).

/// A document that has to be accepted, in its current version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegalDocument {
    /// What it is called: "Terms".
    pub name: String,
    /// Its part of the address: `/legal/{slug}`.
    pub slug: String,
    /// Which version is current.
    pub version: String,
    /// Where its text is.
    pub place: LegalPlace,
}

/// Where the text of a document is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegalPlace {
    /// On another site, at this address.
    Address(String),
    /// With us: the whole text.
    Text(String),
}

/// Name and version, as they are kept.
pub type Accepted = (String, String);

impl LegalDocument {
    /// How a form names document and version. Neither holds `|` or `;`: the settings see to that.
    fn mark(&self) -> String {
        format!("{}|{}", self.name, self.version)
    }
}

/// What a box to tick says for these documents: names and versions, so that what is accepted is what was shown.
pub fn marks<'a>(documents: impl IntoIterator<Item = &'a LegalDocument>) -> String {
    documents
        .into_iter()
        .map(LegalDocument::mark)
        .collect::<Vec<_>>()
        .join(";")
}

/// The current documents that are not among those accepted.
pub fn missing(current: &[LegalDocument], accepted: &[Accepted]) -> Vec<LegalDocument> {
    current
        .iter()
        .filter(|document| {
            !accepted
                .iter()
                .any(|(name, version)| (name, version) == (&document.name, &document.version))
        })
        .cloned()
        .collect()
}

/// What a form brought: the box that was ticked, or nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Consent(String);

impl Consent {
    /// The value of the box as it was sent; empty when it was not ticked.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether every one of these, in this version, was shown beside the box that was ticked.
    pub fn covers<'a>(&self, documents: impl IntoIterator<Item = &'a LegalDocument>) -> bool {
        documents.into_iter().all(|document| {
            let mark = document.mark();
            self.0.split(';').any(|given| given == mark)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, version: &str) -> LegalDocument {
        LegalDocument {
            name: name.to_owned(),
            slug: name.to_lowercase(),
            version: version.to_owned(),
            place: LegalPlace::Text("text".to_owned()),
        }
    }

    #[test]
    fn only_what_was_shown_is_accepted() {
        let (old, new) = (document("Terms", "3"), document("Terms", "4"));
        let privacy = document("Privacy", "3");
        let shown = Consent::given(&marks([&old, &privacy]));
        assert!(shown.covers([&old, &privacy]) && shown.covers([&old]) && shown.covers([]));
        assert!(!shown.covers([&new]) && !shown.covers([&old, &new]));
        assert!(!Consent::default().covers([&old]) && Consent::default().covers([]));
    }

    #[test]
    fn every_version_is_accepted_by_itself() {
        let current = [document("Terms", "4"), document("Privacy", "1")];
        let has = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let missing = |accepted: &[Accepted]| marks(&missing(&current, accepted));
        assert_eq!(missing(&[]), "Terms|4;Privacy|1");
        assert_eq!(
            missing(&[has("Terms", "3"), has("Privacy", "1")]),
            "Terms|4"
        );
        assert_eq!(missing(&[has("Terms", "4"), has("Privacy", "1")]), "");
    }
}

//! Parts of a list.

/// Which part of a list, for pages that never count rows to skip.
#[derive(Clone, Debug)]
pub enum Part<P> {
    /// From the top.
    First,
    /// What follows this place.
    After(P),
    /// What leads up to this place.
    Before(P),
}

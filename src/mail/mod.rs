//! Letters: how they read, how they leave, and the worker that empties the outbox.

pub mod letters;
pub mod outbox;
mod reasons;
pub mod transport;

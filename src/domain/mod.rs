//! Nouns and rules: what an organization, a membership or an invitation is, and what may happen to it.
//!
//! Nothing here reads a clock, a database or a request. Facts come in as arguments, decisions go out as values.

pub mod account;
pub mod agent;
pub mod audit;
pub mod consent;
pub mod delivery;
pub mod email;
pub mod ids;
pub mod invitation;
pub mod membership;
pub mod notification;
pub mod organization;
pub mod policy;
pub mod proof;
pub mod quota;
pub mod refusal;
pub mod role;
pub mod session;
pub mod slug;
pub mod text;
pub mod time;

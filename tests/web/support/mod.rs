//! People, an organization and a running Roster: what every test starts from.
//!
//! Fixtures go through the real pages, and links come from the letters that were sent.

pub mod checker;
pub mod database;
pub mod people;
pub mod rows;
pub mod smtp;
pub mod team;

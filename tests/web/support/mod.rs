//! People, an organization and a running Roster: what every test starts from.
//!
//! Fixtures go through the real pages, and links come from the letters that were sent.

pub mod binary;
pub mod checker;
pub mod consenting;
pub mod database;
pub mod facts;
pub mod mailing;
pub mod people;
pub mod process;
pub mod race;
pub mod routes;
pub mod rows;
pub mod seeds;
pub mod site;
pub mod smtp;
pub mod statements;
pub mod team;

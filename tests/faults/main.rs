//! What breaks in real life: processes that are killed, databases and mail servers that misbehave, clients that are slow.
//! Each test ends with the invariants.
//!
//! They take longer than the tests of tests/web and disturb the machine more, so they have a program of their own.

mod aborts;
mod callers;
mod chaos;
mod clocks;
mod cluster;
mod crowd;
mod far;
mod floods;
mod http;
mod kills;
mod mail;
mod observing;
mod operating;
mod postgres;
mod profile;
mod sqlite;
mod stage;
#[path = "../web/support/mod.rs"]
#[expect(dead_code, reason = "the tests of the pages use more of it")]
mod support;

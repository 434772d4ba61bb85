//! Journeys in a real browser: what a person sees, types and presses.

mod accounts;
mod harness;
mod journeys;
mod memberships;
mod organizations;
mod pictures;
mod roster;
#[path = "../web/support/smtp.rs"]
#[expect(dead_code, reason = "the tests of letters misbehave in more ways")]
mod smtp;
mod support;

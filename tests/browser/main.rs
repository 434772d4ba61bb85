//! Journeys in a real browser: what a person sees, types and presses.

mod harness;
mod journeys;
mod pictures;
mod roster;
#[path = "../web/support/smtp.rs"]
#[expect(dead_code, reason = "the tests of letters misbehave in more ways")]
mod smtp;
mod support;

//! Journeys in a real browser: what a person sees, types and presses.

mod harness;
mod support;

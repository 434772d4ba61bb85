//! Roster: who is in which organization, with which role, and how they got there.
//!
//! # The plan
//!
//! ```text
//! main, server, commands, opening,
//! config                   start, settings, stop, operating                 may use anything
//! web/                     SCREENS: addresses, forms, pages                 domain, store (reads only), actions, leaves
//! actions/   mail/         VERBS: one function, one transaction · LETTERS   domain, store, leaves; never each other
//! store/                   ROWS: the only place that knows SQL              domain
//! domain/                  NOUNS AND RULES: values in, decisions out        nothing of ours
//! clock entropy link
//! password picture token   leaves                                           nothing of ours; password and picture: turns
//! metrics turns
//! ```
//!
//! Imports only point down; `tests/house.rs` fails when one does not. The verb in an address is the verb of the
//! handler, the action, the audit event and the test: `…/invitations/{id}/revoke`, [`actions::invitations::revoke`],
//! [`domain::audit::Verb::Revoke`]. The path of a template is the path of its handler, and `<main data-screen>` on
//! every page names both.
//!
//! A rule has one place. Who may do what: [`domain::policy`]. What may happen to an invitation: [`domain::invitation`].
//! What a delivery becomes: [`domain::delivery`]. How a refusal looks: [`web::problem`]. Rules carry the number of the
//! product's rule book, like R-INV-4.
//!
//! # Walkthrough: inviting
//!
//! 1. `POST /orgs/{org}/settings/team/invite` finds its row in [`web`] and lands in `web/team/invite.rs`. The form is read
//!    within limits, and its origin checked, by `web/form.rs`.
//! 2. The handler turns texts into values: [`domain::email::parse_list`], [`domain::role::InvitableRole`] (which has no
//!    Owner), [`domain::text::Note`]. What cannot be read comes back with the form, as 422.
//! 3. `Post::act` opens one transaction, looks the session up in it, checks the form token, and calls
//!    [`actions::invitations::invite`].
//! 4. The action locks the organization, reads the actor's role again, asks the policy, and for each address decides:
//!    member already, invited already, over a limit, or a new row. With the row it writes a delivery and an audit event.
//! 5. The transaction commits. Only now is anybody told: the browser with 303, the mail worker with a nudge.
//!
//! On SQLite step 3 to 5 run on the one writing thread, in a savepoint, and share their commit with whoever else was
//! waiting (`store/writer.rs`). On PostgreSQL they run on a pooled connection, and are repeated after a collision.
//!
//! # Walkthrough: sending
//!
//! 1. [`mail::outbox::Outbox::deliver_next`] takes the letter that waits longest by *lease*: an update that names the
//!    attempt it saw, so that of several workers and instances one gets it.
//! 2. [`mail::letters`] writes the letter from the rows as they are now. The link is made here, from the invitation's id
//!    and the secret key; the database never holds it. An invitation that ended meanwhile needs no letter.
//! 3. [`mail::transport`] drives the conversation: connect, MAIL, RCPT, DATA. Nothing has been accepted so far, whatever
//!    happens; a failure here is tried again.
//! 4. The server says 354. The invitation is looked at once more, `handing` is committed, and then the letter leaves.
//!    From here on silence means *unknown*, and a crash does too: nobody sends it a second time by itself.
//! 5. [`domain::delivery::judge`] turns what the server said into a state, and the store keeps it if the lease still holds.
//! 6. A server that refuses Roster itself says nothing about the letter: it goes back uncounted, and the whole queue rests
//!    ([`store::outbox`]). Then one letter tries, and when it goes through the others follow.
//!
//! # Walkthrough: accepting
//!
//! 1. `GET /accept-invitation/{token}` reads the token ([`link`]), the invitation and the visitor in one hop, and shows
//!    what [`domain::invitation::Invitation::welcome`] says. Looking changes nothing, however often a scanner looks.
//! 2. `POST …/accept` (signed in) or `POST …/sign-up` (a new account) calls [`actions::invitees::accept`] or
//!    [`actions::invitees::sign_up_and_join`].
//! 3. The action locks the organization, reads the invitation again, and asks `welcome` again: expired, revoked, another
//!    account, already in. Then the seat and the consent, and one guarded update, `… WHERE state = 'pending'`: the row count decides who was first.
//! 4. Membership, member count, audit event and a new session token commit together, or none of them does. The second
//!    click of a double click finds a member and leads to the same place.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::let_underscore_must_use
)]

pub mod actions;
pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod entropy;
pub mod link;
pub mod mail;
pub mod metrics;
pub mod opening;
pub mod password;
pub mod picture;
pub mod server;
pub mod store;
pub mod token;
pub mod turns;
pub mod web;

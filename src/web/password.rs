//! Passwords that a form brings: a new one to hash, or one's own typed again to confirm.

use super::{
    form::{Post, refused},
    problem::Problem,
    visit::Visit,
};
use crate::{actions::accounts, domain::refusal::Refusal};
use secrecy::SecretString;

/// Hashes a new password, with a salt of its own.
///
/// # Errors
/// [`Problem`] 503 when too many wait.
pub(super) async fn new_hash(visit: &Visit, password: SecretString) -> Result<String, Problem> {
    let mut salt = [0; 16];
    visit.app.means.entropy.fill(&mut salt);
    Ok(visit.app.hasher.hash_bounded(password, salt).await?)
}

/// Verifies that whoever is signed in knows their password: what a stolen cookie cannot say. Every attempt is counted
/// like one to sign in.
///
/// # Errors
/// Outside: [`Problem`]. Inside: [`Refusal::WrongPassword`], [`Refusal::TooManyAttempts`], for the form to show.
pub(super) async fn confirm<T>(
    post: &Post<T>,
    password: SecretString,
) -> Result<Result<(), Refusal>, Problem> {
    let begun = post.act(accounts::begin_confirm).await;
    let hash = match refused(begun)? {
        Ok(hash) => hash,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let hasher = &post.visit.app.hasher;
    if !hasher.verify_bounded(password, hash).await? {
        return Ok(Err(Refusal::WrongPassword));
    }
    post.act(accounts::finish_confirm).await?;
    Ok(Ok(()))
}

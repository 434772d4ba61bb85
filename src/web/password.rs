//! Passwords that a form brings: a new one to hash, or one's own typed again to confirm.

use super::{
    form::{Post, refused},
    log,
    problem::Problem,
    visit::Visit,
};
use crate::{
    actions::accounts,
    domain::refusal::Refusal,
    metrics::{PasswordForm, PasswordResult},
};
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
/// like one to sign in, unless too many wait.
///
/// # Errors
/// Outside: [`Problem`]. Inside: [`Refusal::WrongPassword`], [`Refusal::TooManyAttempts`], for the form to show.
pub(super) async fn confirm<T>(
    post: &Post<T>,
    password: SecretString,
) -> Result<Result<(), Refusal>, Problem> {
    let note = |result| log::password(&post.visit, PasswordForm::Confirm, result);
    let begun = post
        .act(accounts::begin_confirm)
        .await
        .inspect_err(|why| log::password_put_off(&post.visit, PasswordForm::Confirm, why));
    let hash = match refused(begun)? {
        Ok(hash) => hash,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let hasher = &post.visit.app.hasher;
    let verified = hasher.verify_bounded(password, hash).await;
    if verified.is_err() {
        note(PasswordResult::Busy);
        // Should it fail, the attempt is counted, and the answer is the same.
        drop(post.act(accounts::put_off_confirm).await);
    }
    if !verified? {
        note(PasswordResult::Wrong);
        return Ok(Err(Refusal::WrongPassword));
    }
    post.act(accounts::finish_confirm).await?;
    note(PasswordResult::Ok);
    Ok(Ok(()))
}
